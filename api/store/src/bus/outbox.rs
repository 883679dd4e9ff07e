//! What waits to be sent: each thing once, a bounded number of them.

use super::Hint;
use mecapy_model::{BatchId, Lane, TaskId, TenantId};
use std::collections::{HashMap, VecDeque};

/// How many things wait at most: what a busy server says in seconds, and some 2 MiB.
pub(super) const HINTS_WAITING_MAX: usize = 16 << 10;
/// How many things one message names at most, so that it stays below the size that is read.
pub(super) const HINTS_PER_MESSAGE_MAX: usize = 2 << 10;

#[derive(Debug, Default)]
pub(super) struct Outbox {
    order: VecDeque<Thing>,
    /// What is said of each thing. Of two sayings the larger number is the later one.
    latest: HashMap<Thing, u64>,
    /// Something was dropped since the last message.
    overflowed: bool,
}

/// What a hint is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Thing {
    Lane(Lane),
    Containers(Lane),
    Task(TaskId),
    Cancel(TaskId),
    Access,
    Tenant(TenantId),
    Batch(BatchId),
    Deliveries,
    Runs,
    Everything,
}

impl Outbox {
    /// Adds a hint, or merges it into one that waits; answers how many older things were dropped for it.
    pub(super) fn add(&mut self, hint: Hint) -> u64 {
        match hint {
            Hint::Lane(lane) => self.put(Thing::Lane(lane), 0),
            Hint::Containers(lane) => self.put(Thing::Containers(lane), 0),
            Hint::Tasks(tasks) => {
                tasks.into_iter().map(|(task, ended)| self.put(Thing::Task(task), u64::from(ended))).sum()
            }
            Hint::Cancel { task } => self.put(Thing::Cancel(task), 0),
            Hint::Access => self.put(Thing::Access, 0),
            Hint::Tenant { tenant, seq } => self.put(Thing::Tenant(tenant), seq),
            Hint::Batch { batch, seq } => self.put(Thing::Batch(batch), seq),
            Hint::Deliveries => self.put(Thing::Deliveries, 0),
            Hint::Runs => self.put(Thing::Runs, 0),
            Hint::Everything => self.put(Thing::Everything, 0),
        }
    }

    /// Takes the oldest things, as many as fit into a message; empty when nothing waits.
    pub(super) fn take(&mut self) -> Vec<Hint> {
        let mut hints = Vec::new();
        let mut tasks = Vec::new();
        if std::mem::take(&mut self.overflowed) {
            hints.push(Hint::Everything);
        }
        let count = self.order.len().min(HINTS_PER_MESSAGE_MAX);
        for thing in self.order.drain(..count) {
            let value = self.latest.remove(&thing).unwrap_or(0);
            match thing {
                Thing::Lane(lane) => hints.push(Hint::Lane(lane)),
                Thing::Containers(lane) => hints.push(Hint::Containers(lane)),
                Thing::Task(task) => tasks.push((task, value != 0)),
                Thing::Cancel(task) => hints.push(Hint::Cancel { task }),
                Thing::Access => hints.push(Hint::Access),
                Thing::Tenant(tenant) => hints.push(Hint::Tenant { tenant, seq: value }),
                Thing::Batch(batch) => hints.push(Hint::Batch { batch, seq: value }),
                Thing::Deliveries => hints.push(Hint::Deliveries),
                Thing::Runs => hints.push(Hint::Runs),
                Thing::Everything => hints.push(Hint::Everything),
            }
        }
        if !tasks.is_empty() {
            hints.push(Hint::Tasks(tasks));
        }
        hints
    }

    fn put(&mut self, thing: Thing, value: u64) -> u64 {
        if let Some(latest) = self.latest.get_mut(&thing) {
            *latest = value.max(*latest);
            return 0;
        }
        let oldest = if self.order.len() >= HINTS_WAITING_MAX { self.order.pop_front() } else { None };
        if let Some(oldest) = &oldest {
            self.latest.remove(oldest);
            self.overflowed = true;
        }
        self.order.push_back(thing);
        self.latest.insert(thing, value);
        u64::from(oldest.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::super::hint::{MESSAGE_BYTES_MAX, Message};
    use super::*;
    use uuid::Uuid;

    fn task(number: usize) -> TaskId {
        TaskId(Uuid::from_u128(number as u128))
    }

    #[test]
    fn what_is_said_twice_is_sent_once_and_the_later_word_counts() {
        let tenant = TenantId(Uuid::from_u128(1));
        let mut outbox = Outbox::default();
        for hint in [
            Hint::Lane(Lane::Default),
            Hint::Tasks(vec![(task(1), false), (task(2), true)]),
            Hint::Lane(Lane::Default),
            Hint::Tenant { tenant, seq: 8 },
            Hint::Tasks(vec![(task(2), false), (task(1), true), (task(3), false)]),
            Hint::Tenant { tenant, seq: 7 },
            Hint::Cancel { task: task(1) },
        ] {
            assert_eq!(outbox.add(hint), 0);
        }
        let merged = vec![
            Hint::Lane(Lane::Default),
            Hint::Tenant { tenant, seq: 8 },
            Hint::Cancel { task: task(1) },
            Hint::Tasks(vec![(task(1), true), (task(2), true), (task(3), false)]),
        ];
        assert_eq!(outbox.take(), merged);
        assert!(outbox.order.is_empty());
        assert_eq!(outbox.take(), []);
    }

    #[test]
    fn the_oldest_goes_when_it_is_full_and_the_others_are_told_to_look() {
        let mut outbox = Outbox::default();
        let dropped: u64 = (0..100_000).map(|number| outbox.add(Hint::Tasks(vec![(task(number), true)]))).sum();
        assert_eq!(dropped, 100_000 - HINTS_WAITING_MAX as u64);
        assert_eq!(outbox.order.len(), HINTS_WAITING_MAX);
        assert_eq!(outbox.latest.len(), HINTS_WAITING_MAX);
        let first = outbox.take();
        let [Hint::Everything, Hint::Tasks(tasks)] = first.as_slice() else { panic!("{first:?}") };
        assert_eq!(tasks.first(), Some(&(task(100_000 - HINTS_WAITING_MAX), true)));
        assert!(matches!(outbox.take().as_slice(), [Hint::Tasks(_)]), "they were told once");
    }

    #[test]
    fn the_largest_message_is_one_that_is_read() {
        let mut outbox = Outbox::default();
        for number in 0..HINTS_WAITING_MAX {
            // The longest thing to say.
            outbox.add(Hint::Tenant { tenant: TenantId(Uuid::from_u128(number as u128)), seq: u64::MAX });
        }
        outbox.overflowed = true;
        let mut messages = 0;
        while !outbox.order.is_empty() {
            let message = Message::new(Uuid::nil(), outbox.take()).encode();
            assert!(message.len() <= MESSAGE_BYTES_MAX, "{} bytes", message.len());
            messages += 1;
        }
        assert_eq!(messages, HINTS_WAITING_MAX / HINTS_PER_MESSAGE_MAX);
    }
}
