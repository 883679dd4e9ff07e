//! Runs that this process has advanced lately, as their logs fold: the next step reads only what is new.

use super::definitions::Known;
use mecapy_model::RunId;
use mecapy_workflow::{Json, Run, Work};
use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, PoisonError},
};

/// Runs that are kept; the one that was used longest ago makes room.
const RUNS_MAX: usize = 256;
/// A run with more events is folded anew each time, so that the memory stays small.
const EVENTS_MAX: u64 = 50_000;

/// Large values of one run that are kept.
const VALUES_MAX: usize = 16;

/// A run up to an event of its log.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) run: Run,
    pub(super) known: Known,
    /// The number of the newest event that is in it.
    pub(super) seq: u64,
    /// Large values that were needed, for the next time.
    pub(super) values: HashMap<Work, Json>,
}

/// Those that are kept.
#[derive(Debug, Default)]
pub(super) struct Held(Mutex<Lru>);

#[derive(Debug, Default)]
struct Lru {
    runs: HashMap<RunId, Open>,
    /// Oldest use first; each once.
    order: VecDeque<RunId>,
}

impl Held {
    /// Takes a run out: who has it alone advances it, and puts it back where that went well.
    pub(super) fn take(&self, id: RunId) -> Option<Open> {
        let mut lru = self.lock();
        let open = lru.runs.remove(&id)?;
        lru.order.retain(|known| *known != id);
        Some(open)
    }

    pub(super) fn put(&self, id: RunId, mut open: Open) {
        if open.values.len() > VALUES_MAX {
            open.values.clear();
        }
        if open.seq > EVENTS_MAX {
            return;
        }
        let mut lru = self.lock();
        if lru.runs.insert(id, open).is_none() {
            lru.order.push_back(id);
        }
        if lru.order.len() > RUNS_MAX
            && let Some(oldest) = lru.order.pop_front()
        {
            lru.runs.remove(&oldest);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Lru> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
