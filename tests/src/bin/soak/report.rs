//! What is said at the end.

use super::disturb::Faults;
use anyhow::{Context, Result};
use mecapy_tests::{Cluster, traffic::Account};
use std::{fmt::Write, time::Duration};

/// How many faults of a kind are shown.
const SHOWN_MAX: usize = 10;

pub(crate) struct Report {
    pub(crate) account: Account,
    /// Invariants that don't hold.
    pub(crate) broken: Vec<String>,
    pub(crate) faults: Faults,
    /// Attempts that died with their worker.
    pub(crate) losses: u64,
    pub(crate) latency: Latency,
    pub(crate) took: Duration,
}

/// From acceptance to end, milliseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Latency {
    p50_ms: u64,
    p99_ms: u64,
}

impl Report {
    /// Nothing is lost, doubled or otherwise than it must be.
    pub(crate) fn is_good(&self) -> bool {
        self.account.is_settled() && self.broken.is_empty()
    }

    pub(crate) fn table(&self) -> String {
        let Self { account, faults, latency, .. } = self;
        let (kills, wipes, restarts) = (faults.kills, faults.wipes, faults.restarts);
        let mut text = format!(
            "faults made               {kills} workers killed, {wipes} Redis wipes, {restarts} PostgreSQL crashes\n"
        );
        let figures = [
            ("submitted (acknowledged)", account.accepted),
            ("completed", account.count("completed")),
            ("failed", account.count("failed")),
            ("cancelled", account.count("cancelled")),
            ("lost", account.lost.len()),
            ("doubled", account.doubled.len()),
            ("ended otherwise", account.wrong.len()),
            ("invariants broken", self.broken.len()),
        ];
        // Writing to a text can't fail.
        for (name, count) in figures {
            let _ = writeln!(text, "{name:<25} {count}");
        }
        let _ = writeln!(text, "{:<25} {}", "worker losses survived", self.losses);
        let _ = writeln!(
            text,
            "{:<25} p50 {} ms, p99 {} ms; {} s in all",
            "from submit to end",
            latency.p50_ms,
            latency.p99_ms,
            self.took.as_secs()
        );
        for faults in [&account.lost, &account.doubled, &account.wrong, &self.broken] {
            for fault in faults.iter().take(SHOWN_MAX) {
                let _ = writeln!(text, "  {fault}");
            }
        }
        text
    }
}

/// What only the rows know: attempts that were lost, and how long tasks took.
pub(crate) async fn of_rows(cluster: &Cluster) -> Result<(u64, Latency)> {
    let sql = "SELECT sum(lost_attempts), \
               percentile_disc(0.5) WITHIN GROUP (ORDER BY completed_ms - created_ms), \
               percentile_disc(0.99) WITHIN GROUP (ORDER BY completed_ms - created_ms) FROM tasks";
    let row = cluster.rows(sql).await?;
    let numbers: Vec<u64> = row.split('|').map(str::parse).collect::<Result<_, _>>().context(row.clone())?;
    let [losses, p50_ms, p99_ms] = numbers.as_slice() else { anyhow::bail!("not three numbers: {row}") };
    Ok((*losses, Latency { p50_ms: *p50_ms, p99_ms: *p99_ms }))
}
