//! How many tasks a second one server accepts, each committed before its 202. No worker is there to claim them.

use super::{Backends, Deployment};
use crate::{
    http::Call,
    load::{self, Turn},
    report::{Report, Row},
    workload::expression_body,
};
use anyhow::{Result, ensure};

const CLIENTS: usize = 32;
/// Half seconds, after one of warm-up.
const WINDOWS: usize = 12;

pub(super) async fn measure(report: &mut Report, backends: &Backends) -> Result<()> {
    const SECTION: &str = "shared mode: tasks accepted into PostgreSQL, one server, no worker";
    let deployment = Deployment::start(backends).await?;
    let turn = Turn::Submit(Call::post("/v1/tasks", &expression_body()));
    let seen = load::throughput(deployment.endpoint(), &turn, CLIENTS, WINDOWS).await?;
    ensure!(seen.errors == 0, "{} submissions failed, one so: {:?}", seen.errors, seen.error);
    let [rows, queued] =
        deployment.numbers("SELECT count(*), count(*) FILTER (WHERE state = 'queued') FROM tasks").await?;
    let acknowledged = i64::try_from(seen.answers)?;
    ensure!(
        (rows, queued) == (acknowledged, acknowledged),
        "{acknowledged} tasks were accepted, the database holds {rows}, {queued} of them queued"
    );
    let label = format!("{CLIENTS} clients, tasks accepted a second");
    let row = Row::new("shared.accept", SECTION, &label).unit("/s").values(seen.per_second);
    report.add(row.note(format!("{rows} were accepted, and as many rows are there")));
    let label = format!("{CLIENTS} clients, each task");
    report.add(Row::new("shared.accept.latency", SECTION, &label).values(seen.milliseconds));
    Ok(())
}
