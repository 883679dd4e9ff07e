//! What the writer counts of live tasks: who waits where, who runs, whose turn it was. Nothing here has authority: rows do.

use crate::StoreError;
use crate::pace::Track;
use mecapy_model::{Executor, Lane, TenantId};
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use uuid::Uuid;

/// How many tasks a lane holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LaneCount {
    pub lane: Lane,
    pub queued: u64,
    pub running: u64,
}

/// Whose turn a queued task takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Group {
    /// One line for all tenants.
    Shared,
    Tenant(TenantId),
    /// Its tenant is disabled: no turn.
    Held,
}

impl Group {
    /// No [`id`](Self::id) is less.
    pub(crate) const FIRST_ID: Uuid = Uuid::nil();

    /// The group of an enabled tenant's task.
    pub(crate) fn of_lane(lane: Lane, tenant: TenantId) -> Self {
        match lane {
            Lane::HighPriority => Group::Shared,
            Lane::Default | Lane::LongRunning => Group::Tenant(tenant),
        }
    }

    /// As the database holds it.
    pub(crate) fn id(self) -> Option<Uuid> {
        match self {
            Group::Shared => Some(Uuid::nil()),
            Group::Tenant(tenant) => Some(tenant.0),
            Group::Held => None,
        }
    }

    /// What [`id`](Self::id) wrote.
    pub(crate) fn of_id(id: Option<Uuid>) -> Self {
        match id {
            None => Group::Held,
            Some(id) if id.is_nil() => Group::Shared,
            Some(id) => Group::Tenant(TenantId(id)),
        }
    }
}

/// Tasks for containers have ranks of their own, from this one on: so the walk over one executor's part of a lane never
/// meets the other's.
const CONTAINER_RANK_FIRST: i64 = 100;

/// The ranks of the tasks that an executor runs.
pub(crate) const fn ranks_of(executor: Executor) -> Range<i64> {
    match executor {
        Executor::Sandbox => 0..CONTAINER_RANK_FIRST,
        Executor::Container => CONTAINER_RANK_FIRST..2 * CONTAINER_RANK_FIRST,
    }
}

/// What runs the tasks of a rank.
pub(crate) const fn executor_of(rank: i64) -> Executor {
    if rank < CONTAINER_RANK_FIRST { Executor::Sandbox } else { Executor::Container }
}

/// The rank of a task, 0 first among those of its executor.
pub(crate) fn rank_of(lane: Lane, executor: Executor, priority: u8) -> i64 {
    let usual = match lane {
        Lane::Default => i64::from(9 - priority.min(9)),
        Lane::HighPriority | Lane::LongRunning => 0,
    };
    ranks_of(executor).start + usual
}

/// What a lane's turns are counted under in the database: each executor's apart.
pub(crate) const fn turns_of(lane: Lane, executor: Executor) -> &'static str {
    match (lane, executor) {
        (_, Executor::Sandbox) => lane.as_str(),
        (Lane::HighPriority, Executor::Container) => "high_priority/container",
        (Lane::Default, Executor::Container) => "default/container",
        (Lane::LongRunning, Executor::Container) => "long_running/container",
    }
}

/// What [`turns_of`] wrote.
pub(crate) fn track_of_turns(text: &str) -> Result<Track, StoreError> {
    let (lane, executor) = match text.split_once('/') {
        Some((lane, executor)) => (lane, executor.parse().map_err(StoreError::corrupt)?),
        None => (text, Executor::Sandbox),
    };
    Ok((lane.parse().map_err(StoreError::corrupt)?, executor))
}

/// A place in a queue: lane, rank (the lowest first) and group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    pub(crate) lane: Lane,
    pub(crate) rank: i64,
    pub(crate) group: Group,
}

/// A group with queued tasks.
#[derive(Debug, Clone, Copy, Default)]
struct Line {
    queued: u64,
    /// Nothing in it may start before this Unix millisecond, as far as is known.
    not_before_ms: i64,
}

/// Counts of live tasks; the writer keeps them in step with the rows.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    lines: HashMap<Lane, BTreeMap<i64, HashMap<Group, Line>>>,
    queued: HashMap<(Lane, TenantId), u64>,
    running: HashMap<(Lane, TenantId), u64>,
    /// When a tenant last got a turn: the counter's value then.
    served: HashMap<TenantId, u64>,
    turns: u64,
    /// Tasks that this process has started.
    started: HashMap<(Lane, Executor), u64>,
}

/// A group that may have something to start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Turn {
    pub(crate) group: Group,
    pub(crate) running: u64,
    pub(crate) served: u64,
    /// The age of its line, as far as it is known; among tenants that were never served the oldest is first.
    oldest_ms: i64,
}

impl Turn {
    pub(crate) fn new(group: Group, running: u64, served: u64, oldest_ms: i64) -> Self {
        Self { group, running, served, oldest_ms }
    }

    /// Whose turn comes first.
    pub(crate) fn order(&self) -> impl Ord + use<> {
        let tenant = if let Group::Tenant(tenant) = self.group { Some(tenant) } else { None };
        (self.running, self.served, self.oldest_ms, tenant)
    }
}

impl Counts {
    pub(crate) fn queue(&mut self, place: Place, tenant: TenantId, due_ms: i64) {
        self.queue_many(place, tenant, due_ms, 1);
    }

    pub(crate) fn queue_many(&mut self, place: Place, tenant: TenantId, due_ms: i64, tasks: u64) {
        *self.queued.entry((place.lane, tenant)).or_default() += tasks;
        let lines = self.lines.entry(place.lane).or_default().entry(place.rank).or_default();
        let line = lines.entry(place.group).or_insert(Line { queued: 0, not_before_ms: due_ms });
        line.queued += tasks;
        line.not_before_ms = line.not_before_ms.min(due_ms);
    }

    pub(crate) fn unqueue(&mut self, place: Place, tenant: TenantId) {
        decrease(&mut self.queued, (place.lane, tenant));
        let Some(ranks) = self.lines.get_mut(&place.lane) else { return };
        let Some(lines) = ranks.get_mut(&place.rank) else { return };
        if let Some(line) = lines.get_mut(&place.group) {
            line.queued = line.queued.saturating_sub(1);
            if line.queued == 0 {
                lines.remove(&place.group);
            }
        }
        if lines.is_empty() {
            ranks.remove(&place.rank);
        }
    }

    pub(crate) fn start(&mut self, lane: Lane, executor: Executor, tenant: TenantId) {
        *self.running.entry((lane, tenant)).or_default() += 1;
        *self.started.entry((lane, executor)).or_default() += 1;
        self.turns += 1;
        self.served.insert(tenant, self.turns);
    }

    pub(crate) fn stop(&mut self, lane: Lane, tenant: TenantId) {
        decrease(&mut self.running, (lane, tenant));
    }

    /// Forgets the numbers (not whose turn it was), before they are counted afresh.
    pub(crate) fn clear(&mut self) {
        self.lines.clear();
        self.queued.clear();
        self.running.clear();
    }

    pub(crate) fn add_running(&mut self, lane: Lane, tenant: TenantId, tasks: u64) {
        *self.running.entry((lane, tenant)).or_default() += tasks;
    }

    pub(crate) fn has_queued(&self, lane: Lane, executor: Executor) -> bool {
        self.lines.get(&lane).is_some_and(|ranks| ranks.range(ranks_of(executor)).next().is_some())
    }

    pub(crate) fn started_in(&self, lane: Lane, executor: Executor) -> u64 {
        self.started.get(&(lane, executor)).copied().unwrap_or(0)
    }

    /// Everything that runs in a lane, wherever.
    pub(crate) fn running_in(&self, lane: Lane) -> u64 {
        self.running.iter().filter(|((of, _), _)| *of == lane).map(|(_, count)| count).sum()
    }

    /// Everything of a tenant that runs, in all lanes.
    pub(crate) fn running_of(&self, tenant: TenantId) -> u64 {
        Lane::ALL.iter().filter_map(|lane| self.running.get(&(*lane, tenant))).sum()
    }

    pub(crate) fn queued_of(&self, tenant: TenantId) -> u64 {
        Lane::ALL.iter().filter_map(|lane| self.queued.get(&(*lane, tenant))).sum()
    }

    /// The ranks of a lane that hold something for an executor, first to last.
    pub(crate) fn ranks(&self, lane: Lane, executor: Executor) -> Vec<i64> {
        let ranks = self.lines.get(&lane).map(|ranks| ranks.range(ranks_of(executor)).map(|(rank, _)| *rank).collect());
        ranks.unwrap_or_default()
    }

    /// The groups of a rank that may have something to start at `now_ms`, in no order.
    pub(crate) fn turns(&self, lane: Lane, rank: i64, now_ms: i64) -> Vec<Turn> {
        let Some(lines) = self.lines.get(&lane).and_then(|ranks| ranks.get(&rank)) else { return Vec::new() };
        lines
            .iter()
            .filter(|(group, line)| **group != Group::Held && line.not_before_ms <= now_ms)
            .map(|(group, line)| Turn { oldest_ms: line.not_before_ms, ..self.turn(lane, *group) })
            .collect()
    }

    /// Notes that a group has nothing to start before a time.
    pub(crate) fn rest(&mut self, place: Place, until_ms: i64) {
        let lines = self.lines.get_mut(&place.lane).and_then(|ranks| ranks.get_mut(&place.rank));
        if let Some(line) = lines.and_then(|lines| lines.get_mut(&place.group)) {
            line.not_before_ms = until_ms;
        }
    }

    /// How many tasks of the default lane run before one with `ahead` older ones of its own tenant and rank: all of
    /// better rank that the same executor runs, and of each other tenant as many as get a turn first.
    pub(crate) fn fair_position(&self, rank: i64, tenant: TenantId, ahead: u64) -> u64 {
        let lane = Lane::Default;
        let Some(ranks) = self.lines.get(&lane) else { return ahead };
        let open = |lines: &HashMap<Group, Line>| -> u64 {
            lines.iter().filter(|(group, _)| **group != Group::Held).map(|(_, line)| line.queued).sum()
        };
        let better: u64 = ranks.range(ranks_of(executor_of(rank)).start..rank).map(|(_, lines)| open(lines)).sum();
        let own = self.turn(lane, Group::Tenant(tenant));
        let level = own.running + ahead;
        let others =
            ranks.get(&rank).into_iter().flatten().filter(|(group, _)| **group != own.group && **group != Group::Held);
        let earlier: u64 = others
            .map(|(group, line)| {
                let other = self.turn(lane, *group);
                let wins_ties = u64::from(other.served <= own.served);
                (level + wins_ties).saturating_sub(other.running).min(line.queued)
            })
            .sum();
        better + ahead + earlier
    }

    /// Everything queued in a lane for an executor that may get a turn.
    pub(crate) fn open_in(&self, lane: Lane, executor: Executor) -> u64 {
        let ranks = self.lines.get(&lane).into_iter().flat_map(|ranks| ranks.range(ranks_of(executor)));
        let lines = ranks.flat_map(|(_, lines)| lines);
        lines.filter(|(group, _)| **group != Group::Held).map(|(_, line)| line.queued).sum()
    }

    /// The tasks queued at one place.
    pub(crate) fn queued_at(&self, place: Place) -> u64 {
        let line = self.lines.get(&place.lane).and_then(|ranks| ranks.get(&place.rank)?.get(&place.group));
        line.map_or(0, |line| line.queued)
    }

    /// Live tasks per lane, of one tenant or of all.
    pub(crate) fn lane_counts(&self, tenant: Option<TenantId>) -> Vec<LaneCount> {
        let sum = |counts: &HashMap<(Lane, TenantId), u64>, lane: Lane| match tenant {
            Some(tenant) => counts.get(&(lane, tenant)).copied().unwrap_or(0),
            None => counts.iter().filter(|((of, _), _)| *of == lane).map(|(_, count)| count).sum(),
        };
        let count = |lane| LaneCount { lane, queued: sum(&self.queued, lane), running: sum(&self.running, lane) };
        Lane::ALL.into_iter().map(count).collect()
    }

    fn turn(&self, lane: Lane, group: Group) -> Turn {
        let (running, served) = match group {
            Group::Tenant(tenant) => (
                self.running.get(&(lane, tenant)).copied().unwrap_or(0),
                self.served.get(&tenant).copied().unwrap_or(0),
            ),
            Group::Shared | Group::Held => (0, 0),
        };
        Turn { group, running, served, oldest_ms: i64::MIN }
    }
}

fn decrease(counts: &mut HashMap<(Lane, TenantId), u64>, key: (Lane, TenantId)) {
    if let Some(count) = counts.get_mut(&key) {
        *count = count.saturating_sub(1);
        if *count == 0 {
            counts.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_for_one_executor_is_not_there_for_the_other() {
        let tenant = TenantId::from_parts(1, &[1; 10]);
        let group = Group::Tenant(tenant);
        let place = |executor, priority| {
            let lane = Lane::Default;
            Place { lane, rank: rank_of(lane, executor, priority), group }
        };
        let mut counts = Counts::default();
        counts.queue(place(Executor::Sandbox, 5), tenant, 0);
        assert!(counts.has_queued(Lane::Default, Executor::Sandbox));
        assert!(!counts.has_queued(Lane::Default, Executor::Container));
        counts.queue(place(Executor::Container, 9), tenant, 0);
        counts.queue(place(Executor::Container, 0), tenant, 0);
        assert_eq!(counts.ranks(Lane::Default, Executor::Sandbox), [4]);
        assert_eq!(counts.ranks(Lane::Default, Executor::Container), [100, 109]);
        assert_eq!((counts.open_in(Lane::Default, Executor::Container), counts.queued_of(tenant)), (2, 3));
        // The last in a container has one before it, not the sandboxed one.
        assert_eq!(counts.fair_position(109, tenant, 0), 1);
        for executor in Executor::ALL {
            for lane in Lane::ALL {
                assert_eq!(track_of_turns(turns_of(lane, executor)).unwrap(), (lane, executor));
            }
        }
        assert_eq!((executor_of(9), executor_of(100)), (Executor::Sandbox, Executor::Container));
    }
}
