//! The soak of `make soak`, small enough for every run of the tests.

use anyhow::{Context, Result, ensure};
use std::time::Duration;
use tokio::{process::Command, time::timeout};

const DEADLINE: Duration = Duration::from_secs(240);

#[tokio::test]
async fn nothing_is_lost_and_nothing_doubled_while_workers_redis_and_postgresql_die() -> Result<()> {
    let arguments = "--tasks 400 --nodes 2 --workers 3 --kills 4 --wipes 1 --restarts 1";
    let mut soak = Command::new(env!("CARGO_BIN_EXE_soak"));
    soak.args(arguments.split(' ')).kill_on_drop(true);
    let output = timeout(DEADLINE, soak.output()).await.context("the soak takes too long")??;
    let (said, complaints) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "{}\n{said}\n{complaints}", output.status);
    for line in ["submitted (acknowledged)  400", "lost                      0", "doubled                   0"] {
        ensure!(said.contains(line), "no line {line:?} in:\n{said}");
    }
    ensure!(said.contains("4 workers killed, 1 Redis wipes, 1 PostgreSQL crashes"), "{said}");
    Ok(())
}
