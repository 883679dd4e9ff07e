//! Further threads for a native kernel, where an attempt may use more than one core.
//!
//! They live for one large product and are few: all sandboxes of the process together have as many as the machine has cores
//! beyond the first. They work at the priority of the guest's thread, count for it, stop with it, and stand aside while it
//! stands aside for others.

use super::{kernels::Meter, thread_cpu_time};
use mecapy_linalg::{Crew, Host, Job, Stop};
use std::{
    sync::{
        LazyLock,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    thread::{self, Thread},
    time::Duration,
};

/// How long a thread that stands aside, or waits for others, sleeps before it looks again.
const PAUSE: Duration = Duration::from_micros(200);

impl Crew for Meter<'_> {
    fn threads(&self) -> usize {
        self.threads
    }

    fn together(&mut self, job: &Job<'_>) -> Result<(), Stop> {
        let places = Places::take(self.threads.saturating_sub(1));
        let shared = Shared::default();
        let lead = thread::current();
        let done = thread::scope(|scope| {
            let helper = || thread::Builder::new().spawn_scoped(scope, || shared.help(job, &lead));
            // Where the system has no more threads, those that there are do it.
            let helpers: Vec<_> = (0..places.count).map_while(|_| helper().ok()).collect();
            let mut host = Lead { meter: self, shared: &shared };
            let mut done = job(&mut host);
            if done.is_err() {
                shared.is_stopped.store(true, Ordering::Relaxed);
            }
            while !helpers.iter().all(|helper| helper.is_finished()) {
                thread::park_timeout(PAUSE);
                done = done.and(host.work(0));
            }
            helpers.into_iter().fold(done, |done, helper| done.and(helper.join().unwrap_or(Err(Stop::Interrupted))))
        });
        // What the last pieces were.
        let paid = self.work(shared.owed.swap(0, Ordering::Relaxed));
        self.helped += Duration::from_nanos(shared.cpu_ns.load(Ordering::Relaxed));
        done.and(paid)
    }
}

/// What the threads of a crew tell each other.
#[derive(Default)]
struct Shared {
    /// Operations of helpers that the guest has not paid for.
    owed: AtomicU64,
    cpu_ns: AtomicU64,
    /// The guest's thread stands aside.
    is_paused: AtomicBool,
    is_stopped: AtomicBool,
}

impl Shared {
    fn help(&self, job: &Job<'_>, lead: &Thread) -> Result<(), Stop> {
        let done = job(&mut Helper(self));
        let cpu = u64::try_from(thread_cpu_time().as_nanos()).unwrap_or(u64::MAX);
        self.cpu_ns.fetch_add(cpu, Ordering::Relaxed);
        lead.unpark();
        done
    }
}

/// The host of the guest's own thread.
struct Lead<'c, 's> {
    meter: &'c mut Meter<'s>,
    shared: &'c Shared,
}

impl Host for Lead<'_, '_> {
    fn work(&mut self, flops: u64) -> Result<(), Stop> {
        let owed = self.shared.owed.swap(0, Ordering::Relaxed);
        self.shared.is_paused.store(true, Ordering::Relaxed);
        let done = self.meter.work(owed.saturating_add(flops));
        self.shared.is_paused.store(false, Ordering::Relaxed);
        if done.is_err() {
            self.shared.is_stopped.store(true, Ordering::Relaxed);
        }
        done
    }

    fn reserve(&mut self, bytes: u64) -> Result<(), Stop> {
        self.meter.reserve(bytes)
    }

    fn release(&mut self, bytes: u64) {
        self.meter.release(bytes);
    }
}

/// The host of another thread.
struct Helper<'c>(&'c Shared);

impl Host for Helper<'_> {
    fn work(&mut self, flops: u64) -> Result<(), Stop> {
        self.0.owed.fetch_add(flops, Ordering::Relaxed);
        loop {
            if self.0.is_stopped.load(Ordering::Relaxed) {
                return Err(Stop::Interrupted);
            }
            // Most pauses are as short as a payment.
            for _ in 0..16 {
                if !self.0.is_paused.load(Ordering::Relaxed) {
                    return Ok(());
                }
                std::hint::spin_loop();
            }
            thread::sleep(PAUSE);
        }
    }

    fn reserve(&mut self, _bytes: u64) -> Result<(), Stop> {
        Err(Stop::Declined)
    }

    fn release(&mut self, _bytes: u64) {}
}

/// Threads that help in this process now.
static HELPING: AtomicUsize = AtomicUsize::new(0);
static HELPING_MAX: LazyLock<usize> = LazyLock::new(|| thread::available_parallelism().map_or(1, usize::from) - 1);

/// Leave for some threads to help, as many as were free.
struct Places {
    count: usize,
}

impl Places {
    fn take(wanted: usize) -> Self {
        let mut count = 0;
        let _ = HELPING.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |helping| {
            count = wanted.min(HELPING_MAX.saturating_sub(helping));
            Some(helping + count)
        });
        Self { count }
    }
}

impl Drop for Places {
    fn drop(&mut self) {
        HELPING.fetch_sub(self.count, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_threads_help_than_there_are_cores_beyond_the_first() {
        let all = Places::take(usize::MAX);
        assert!(all.count <= *HELPING_MAX);
        assert_eq!(Places::take(1).count, 0);
        drop(all);
        let some = Places::take(1);
        assert_eq!(some.count, 1.min(*HELPING_MAX));
    }
}
