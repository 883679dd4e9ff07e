//! Outcomes of items between the thread that runs them and the one that saves them.

use mecapy_model::{ItemOutcome, KernelUsage, TaskError, Usage};
use mecapy_runtime::Cancel;
use std::{
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

/// What waits this long is saved.
pub(super) const SAVE_EVERY: Duration = Duration::from_millis(500);
/// So many are saved at once, and as soon as there are so many.
pub(super) const SAVED_AT_ONCE: usize = 64;
/// The same in bytes of results: those of one item may be more.
const SAVED_AT_ONCE_BYTES: usize = 8 << 20;
/// Bytes of results that wait before the next item does.
const WAITING_BYTES_MAX: usize = 32 << 20;
/// How often the cancel switch is looked at by who waits for room.
const CANCEL_HEARD_EVERY: Duration = Duration::from_millis(20);

/// One series' outcomes on their way to the store, in order, and what is known of them together.
#[derive(Default)]
pub(super) struct Outbox {
    state: Mutex<State>,
    /// Told when something was taken.
    room: Condvar,
    /// Told when there is enough to save, and at the end.
    news: Notify,
}

#[derive(Default)]
struct State {
    waiting: Vec<ItemOutcome>,
    bytes: usize,
    /// Nothing more comes.
    has_ended: bool,
    /// Nothing more is saved.
    is_shut: bool,
    sums: Sums,
}

/// What all items of a series come to.
#[derive(Debug, Clone, Default)]
pub(super) struct Sums {
    /// Times and fuel added up; of the memory the largest.
    pub(super) usage: Usage,
    /// The platform failed an item: it is run again, with what follows it.
    pub(super) fault: Option<TaskError>,
}

impl Outbox {
    /// Takes an outcome. Waits where too much waits to be saved already, unless it is cancelled.
    pub(super) fn push(&self, item: ItemOutcome, cancel: &Cancel) {
        let mut state = self.lock();
        while state.bytes > WAITING_BYTES_MAX && !state.is_shut && !cancel.is_cancelled() {
            state = self.room.wait_timeout(state, CANCEL_HEARD_EVERY).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.sums.add(&item.usage);
        if state.is_shut {
            return;
        }
        state.bytes = state.bytes.saturating_add(bytes_of(&item));
        state.waiting.push(item);
        if state.is_due() {
            self.news.notify_one();
        }
    }

    pub(super) fn fail(&self, error: TaskError) {
        self.lock().sums.fault = Some(error);
    }

    /// Nothing more comes.
    pub(super) fn end(&self) {
        self.lock().has_ended = true;
        self.news.notify_one();
    }

    /// Nothing more is saved: what comes is dropped.
    pub(super) fn shut(&self) {
        let mut state = self.lock();
        state.is_shut = true;
        (state.waiting, state.bytes) = (Vec::new(), 0);
        drop(state);
        self.room.notify_all();
    }

    pub(super) fn sums(&self) -> Sums {
        self.lock().sums.clone()
    }

    /// Whether more may come than what was taken.
    pub(super) fn has_ended(&self) -> bool {
        self.lock().has_ended
    }

    /// What is to be saved next, once there is enough, or it has waited long enough; nothing when all has been taken.
    pub(super) async fn next(&self) -> Option<Vec<ItemOutcome>> {
        let mut until = Instant::now() + SAVE_EVERY;
        loop {
            {
                let mut state = self.lock();
                let is_late = Instant::now() >= until;
                if state.is_due() || (is_late && !state.waiting.is_empty()) {
                    let taken = state.take();
                    drop(state);
                    self.room.notify_all();
                    return Some(taken);
                }
                if state.has_ended {
                    return None;
                }
                if is_late {
                    until = Instant::now() + SAVE_EVERY;
                }
            }
            tokio::select! {
                () = self.news.notified() => {}
                () = sleep_until(until) => {}
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_due(&self) -> bool {
        let is_full = self.waiting.len() >= SAVED_AT_ONCE || self.bytes >= SAVED_AT_ONCE_BYTES;
        is_full || (self.has_ended && !self.waiting.is_empty())
    }

    /// The first ones, as many as are saved at once: one at least.
    fn take(&mut self) -> Vec<ItemOutcome> {
        let mut bytes = 0;
        let fits = |item: &&ItemOutcome| {
            bytes += bytes_of(item);
            bytes <= SAVED_AT_ONCE_BYTES
        };
        let count = self.waiting.iter().take(SAVED_AT_ONCE).take_while(fits).count().max(1).min(self.waiting.len());
        let taken: Vec<ItemOutcome> = self.waiting.drain(..count).collect();
        self.bytes = self.bytes.saturating_sub(taken.iter().map(bytes_of).sum());
        taken
    }
}

impl Sums {
    fn add(&mut self, usage: &Usage) {
        let sum = &mut self.usage;
        sum.fuel = sum.fuel.saturating_add(usage.fuel);
        sum.memory_peak_bytes = sum.memory_peak_bytes.max(usage.memory_peak_bytes);
        sum.cpu_ms += usage.cpu_ms;
        sum.startup_ms += usage.startup_ms;
        sum.execute_ms += usage.execute_ms;
        sum.kernels = KernelUsage::sum(sum.kernels, usage.kernels);
    }
}

/// Roughly what an outcome takes until it is saved.
fn bytes_of(item: &ItemOutcome) -> usize {
    match &item.result {
        Ok(result) => result.get().len(),
        Err(error) => error.message.len() + error.traceback.as_ref().map_or(0, String::len),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::value::RawValue;
    use std::{sync::Arc, thread};

    fn item(index: u32, bytes: usize) -> ItemOutcome {
        let text = format!("\"{}\"", "x".repeat(bytes.saturating_sub(2)));
        let usage = Usage { fuel: 2, memory_peak_bytes: u64::from(index), execute_ms: 0.5, ..Usage::default() };
        let result = Ok(RawValue::from_string(text).unwrap());
        ItemOutcome { index, seed: 1, result, warnings: Vec::new(), usage }
    }

    fn indexes(items: Option<Vec<ItemOutcome>>) -> Vec<u32> {
        items.unwrap().iter().map(|item| item.index).collect()
    }

    #[tokio::test]
    async fn what_is_enough_goes_at_once_and_the_rest_at_the_end_in_order() {
        let (outbox, cancel) = (Outbox::default(), Cancel::new());
        (0..70).for_each(|index| outbox.push(item(index, 10), &cancel));
        assert_eq!(indexes(outbox.next().await), (0..64).collect::<Vec<_>>());
        assert!(!outbox.has_ended());
        outbox.end();
        assert_eq!(indexes(outbox.next().await), (64..70).collect::<Vec<_>>());
        assert!(outbox.next().await.is_none() && outbox.has_ended());
        let usage = outbox.sums().usage;
        assert_eq!((usage.fuel, usage.memory_peak_bytes, usage.execute_ms), (140, 69, 35.0));
    }

    #[tokio::test]
    async fn a_few_wait_for_more_and_not_for_long() {
        let (outbox, cancel) = (Outbox::default(), Cancel::new());
        outbox.push(item(7, 10), &cancel);
        let began = Instant::now();
        assert_eq!(indexes(outbox.next().await), [7]);
        assert!(began.elapsed() >= SAVE_EVERY);
    }

    #[tokio::test]
    async fn large_results_are_saved_few_at_a_time_and_hold_up_who_makes_them() {
        let (outbox, cancel) = (Arc::new(Outbox::default()), Cancel::new());
        let (their, stop) = (Arc::clone(&outbox), cancel.clone());
        let maker = thread::spawn(move || {
            (0..9).for_each(|index| their.push(item(index, 5 << 20), &stop));
            their.end();
        });
        let mut taken = Vec::new();
        while let Some(items) = outbox.next().await {
            assert_eq!(items.len(), 1, "two are more than is saved at once");
            assert!(outbox.lock().bytes <= WAITING_BYTES_MAX + (5 << 20));
            taken.extend(indexes(Some(items)));
        }
        maker.join().unwrap();
        assert_eq!(taken, (0..9).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn who_waits_for_room_hears_a_cancel_and_a_shut_outbox_drops_what_comes() {
        let (outbox, cancel) = (Outbox::default(), Cancel::new());
        (0..2).for_each(|index| outbox.push(item(index, 20 << 20), &cancel));
        cancel.cancel();
        outbox.push(item(2, 10), &cancel);
        assert_eq!(outbox.lock().waiting.len(), 3);
        outbox.shut();
        outbox.push(item(3, 10), &Cancel::new());
        outbox.end();
        assert!(outbox.next().await.is_none());
    }
}
