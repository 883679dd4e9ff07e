//! The shared mode: a server that runs no tasks and a worker, over PostgreSQL, Redis and S3, all on this machine and
//! ended with the measurement.
//!
//! PostgreSQL has its data on disk and its own default settings, so every commit waits for the disk.

mod accept;
mod backends;
mod completed;
mod deployment;
mod disk;
mod recovery;
mod running;

use crate::report::{Report, Row};
use anyhow::Result;
pub(crate) use backends::Backends;
pub(crate) use deployment::Deployment;

/// What the rows before it need of the disk.
const FLUSH: &str = "disk.flush";

pub(crate) async fn measure(report: &mut Report) -> Result<()> {
    let mut backends = Backends::start().await?;
    commits(report, &backends).await?;
    backends.write_out().await?;
    accept::measure(report, &backends).await?;
    backends.write_out().await?;
    completed::measure(report, &backends).await?;
    backends.stamp_commits().await?;
    running::measure(report, &backends).await?;
    recovery::measure(report, &backends).await
}

/// What a commit waits for: the disk alone, and PostgreSQL's own commit of one row.
async fn commits(report: &mut Report, backends: &Backends) -> Result<()> {
    const SECTION: &str = "what a commit waits for here";
    let flush = Row::new(FLUSH, SECTION, "fdatasync of 8 KiB where PostgreSQL's data is");
    report.add(flush.samples(disk::flush_times(backends.folder())?));
    let commit = Row::new("disk.commit", SECTION, "PostgreSQL, a commit of one row by one client");
    report.add(commit.samples(backends.commit_times().await?).note(backends.versions().await?));
    Ok(())
}
