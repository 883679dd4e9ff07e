//! How far the tasks are, seen in the database and told as lines.

use anyhow::Result;
use mecapy_tests::{Cluster, services::psql, traffic::Traffic};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::time::sleep;

const LOOK_INTERVAL: Duration = Duration::from_millis(250);
/// Between two lines.
const TOLD_EVERY: Duration = Duration::from_secs(5);
const BAR_CHARS: usize = 30;
/// Without another ended task for so long, nothing goes on any more.
const STANDSTILL: Duration = Duration::from_secs(120);

/// Cheap to clone.
#[derive(Clone)]
pub(crate) struct Watch {
    seen: Arc<Seen>,
}

#[derive(Default)]
struct Seen {
    ended: AtomicUsize,
    faults: AtomicUsize,
    stands_still: AtomicBool,
    is_over: AtomicBool,
}

impl Watch {
    pub(crate) fn start(cluster: &Cluster, traffic: Arc<Traffic>, tasks: usize) -> Result<Self> {
        let (url, seen) = (cluster.backends()?.database.owner_url.clone(), Arc::<Seen>::default());
        tokio::spawn(look(url, Arc::clone(&seen), traffic, tasks));
        Ok(Self { seen })
    }

    /// Tasks that have come to their end.
    pub(crate) fn ended(&self) -> usize {
        self.seen.ended.load(Ordering::Relaxed)
    }

    /// Whether no task has ended for minutes.
    pub(crate) fn stands_still(&self) -> bool {
        self.seen.stands_still.load(Ordering::Relaxed)
    }

    /// A fault was made.
    pub(crate) fn fault(&self) {
        self.seen.faults.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn stop(&self) {
        self.seen.is_over.store(true, Ordering::Relaxed);
    }
}

async fn look(url: String, seen: Arc<Seen>, traffic: Arc<Traffic>, tasks: usize) {
    let (started, mut told, mut moved) = (Instant::now(), None::<Instant>, Instant::now());
    while !seen.is_over.load(Ordering::Relaxed) {
        let sql = "SET mecapy.tenant = '*';\n\
                   SELECT count(*) FROM tasks WHERE state IN ('completed', 'failed', 'cancelled');";
        // The database may be down just now.
        let ended = psql(&url, sql).await.ok().and_then(|text| text.parse::<usize>().ok());
        if ended.is_some_and(|ended| ended > seen.ended.swap(ended, Ordering::Relaxed)) {
            moved = Instant::now();
        }
        seen.stands_still.store(moved.elapsed() > STANDSTILL, Ordering::Relaxed);
        if told.is_none_or(|at| at.elapsed() >= TOLD_EVERY) {
            told = Some(Instant::now());
            let ended = seen.ended.load(Ordering::Relaxed);
            eprintln!(
                "   {:>4} s  [{}] {ended:>6} of {tasks} ended, {:>6} accepted, {:>2} faults",
                started.elapsed().as_secs(),
                bar(ended, tasks),
                traffic.accepted(),
                seen.faults.load(Ordering::Relaxed)
            );
        }
        sleep(LOOK_INTERVAL).await;
    }
}

fn bar(done: usize, of: usize) -> String {
    let full = (BAR_CHARS * done / of.max(1)).min(BAR_CHARS);
    format!("{}{}", "#".repeat(full), ".".repeat(BAR_CHARS - full))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_as_full_as_the_work_is_done() {
        for (done, of, full) in [(0, 10, 0), (5, 10, 15), (10, 10, 30), (11, 10, 30), (0, 0, 0)] {
            let bar = bar(done, of);
            assert_eq!((bar.len(), bar.matches('#').count()), (BAR_CHARS, full), "{done} of {of}");
        }
    }
}
