//! How fast the lanes move, and so how long a queued task is likely to wait. Only what is shown relies on it.

use crate::Store;
use mecapy_model::{Executor, Lane, Task};
use std::collections::{HashMap, VecDeque};
use std::time::Duration;

/// For how long starts are remembered.
const REMEMBERED: Duration = Duration::from_secs(60);
/// Numbers of starts are noted no more often.
const NOTED_EVERY: Duration = Duration::from_secs(1);

/// A lane, and what runs the tasks.
pub(crate) type Track = (Lane, Executor);

/// All of them.
pub(crate) fn tracks() -> impl Iterator<Item = Track> {
    Executor::ALL.into_iter().flat_map(|executor| Lane::ALL.map(|lane| (lane, executor)))
}

/// How many tasks of each lane and executor had started in all, at times on the monotonic clock.
#[derive(Debug, Default)]
pub(crate) struct Paces(HashMap<Track, VecDeque<(Duration, u64)>>);

impl Paces {
    pub(crate) fn note(&mut self, track: Track, at: Duration, started: u64) {
        let noted = self.0.entry(track).or_default();
        if noted.back().is_some_and(|(last, _)| at < *last + NOTED_EVERY) {
            return;
        }
        noted.push_back((at, started));
        while noted.front().is_some_and(|(first, _)| *first + REMEMBERED < at) {
            noted.pop_front();
        }
    }

    /// Until a task starts that has so many ahead of it; `None` where nothing started lately.
    fn wait(&self, track: Track, ahead: u64) -> Option<Duration> {
        let noted = self.0.get(&track)?;
        let ((since, before), (until, now)) = (noted.front()?, noted.back()?);
        let started = now.checked_sub(*before).filter(|started| *started > 0)?;
        let seconds = (*until - *since).as_secs_f64() * (ahead as f64 + 1.0) / started as f64;
        Duration::try_from_secs_f64(seconds).ok()
    }
}

impl Store {
    /// How long a queued task with so many ahead of it is likely to wait, by how many of its lane and
    /// executor started within the last minute, whosever they were; never less than until it is due. `None` where nothing started, and for tasks of
    /// `high_priority` in PostgreSQL, whose starts nobody counts.
    pub fn expected_wait(&self, task: &Task, ahead: u64) -> Option<Duration> {
        let until_due = task.run_at.and_then(|at| Duration::try_from(at - self.now()).ok()).unwrap_or_default();
        self.shared().paces().wait((task.lane, task.code.executor()), ahead).map(|wait| wait.max(until_due))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFAULT: Track = (Lane::Default, Executor::Sandbox);

    #[test]
    fn a_wait_follows_from_the_starts_of_the_last_minute() {
        let mut paces = Paces::default();
        let second = Duration::from_secs;
        assert_eq!(paces.wait(DEFAULT, 0), None);
        // A burst, long ago, then two a second.
        paces.note(DEFAULT, second(0), 0);
        paces.note(DEFAULT, second(100), 1_000);
        assert_eq!(paces.wait(DEFAULT, 0), None, "of one number nothing follows");
        for at in 101..=150 {
            paces.note(DEFAULT, second(at), 1_000 + 2 * (at - 100));
            paces.note(DEFAULT, second(at), 9_999);
        }
        assert_eq!(paces.wait(DEFAULT, 0), Some(Duration::from_millis(500)));
        assert_eq!(paces.wait(DEFAULT, 19), Some(second(10)));
        assert_eq!(paces.wait((Lane::LongRunning, Executor::Sandbox), 19), None);
        assert_eq!(paces.wait((Lane::Default, Executor::Container), 19), None);
        paces.note(DEFAULT, second(1_000), 1_100);
        assert_eq!(paces.wait(DEFAULT, 0), None);
    }
}
