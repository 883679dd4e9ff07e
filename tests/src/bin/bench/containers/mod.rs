//! Solvers in containers: what the platform adds to the bare `docker run` of the same solve, and how long a line of a
//! solver takes to a client. The engine is one of the bench's own, which needs root.

mod lane;
mod live;
mod solve;

use crate::{
    report::{Report, Row},
    shared::Backends,
};
use anyhow::{Context, Result, ensure};
use lane::Lane;
use mecapy_tests::services::Docker;
use std::{fs, os::unix::fs::MetadataExt};

/// What the figures belong to.
const SECTION: &str = "solvers in containers: server, worker, PostgreSQL, Redis, S3 and Docker on this machine";

pub(crate) async fn measure(report: &mut Report) -> Result<()> {
    let engine = match engine().await {
        Ok(engine) => engine,
        Err(reason) => {
            for (key, label) in [(solve::OVERHEAD, solve::OVERHEAD_LABEL), (live::LINE, live::LINE_LABEL)] {
                report
                    .add(Row::new(key, SECTION, label).note(format!("left out, no engine can be started: {reason:#}")));
            }
            return Ok(());
        }
    };
    let backends = Backends::start().await?;
    let lane = Lane::start(&backends, engine).await?;
    solve::measure(report, &lane).await?;
    live::measure(report, &lane).await
}

async fn engine() -> Result<Docker> {
    let owner = fs::metadata("/proc/self").context("no /proc")?.uid();
    ensure!(owner == 0, "it and the work folders of containers take root");
    Docker::with_solvers().await
}
