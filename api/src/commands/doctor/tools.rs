//! Programs beside ours: Python with pip for the build.

use super::check::Check;
use std::{process::Stdio, time::Duration};
use tokio::{process::Command, time::timeout};

const PATIENCE: Duration = Duration::from_secs(10);

pub(super) async fn checks() -> Vec<Check> {
    vec![pip().await]
}

async fn pip() -> Check {
    const NAME: &str = "python3 with pip";
    const ADVICE: &str = "`mecapy python build` fetches the interpreter with it: install Python 3 and pip";
    let mut command = Command::new("python3");
    command.args(["-m", "pip", "--version"]).stdin(Stdio::null()).kill_on_drop(true);
    match timeout(PATIENCE, command.output()).await {
        Ok(Ok(output)) if output.status.success() => {
            let version = String::from_utf8_lossy(&output.stdout);
            let version = version.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
            Check::ok(NAME, version)
        }
        Ok(Ok(_)) => Check::warn(NAME, "python3 has no pip", ADVICE),
        Ok(Err(error)) => Check::warn(NAME, format!("python3 can't be run: {error}"), ADVICE),
        Err(_) => Check::warn(NAME, "python3 does not answer", ADVICE),
    }
}
