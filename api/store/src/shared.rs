//! What the writer tells the rest of the process after a commit: counts, wake-ups, news of single tasks.
//!
//! Nothing here has authority: rows do.

use crate::bus::{Bus, Hint};
use crate::events::TenantFollowers;
use crate::pace::Paces;
use crate::recent::{EndedTask, Known, Recent};
use mecapy_model::{Lane, TaskId, TenantId};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, broadcast, watch};
use uuid::Uuid;

/// Cancels that a worker may be behind; heartbeats find what it missed.
const CANCELS_BEHIND_MAX: usize = 1_024;

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

/// A place in a queue: lane, rank (0 first) and group.
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
    /// Tasks of a lane that this process has started.
    started: HashMap<Lane, u64>,
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

    pub(crate) fn start(&mut self, lane: Lane, tenant: TenantId) {
        *self.running.entry((lane, tenant)).or_default() += 1;
        *self.started.entry(lane).or_default() += 1;
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

    pub(crate) fn has_queued(&self, lane: Lane) -> bool {
        self.lines.get(&lane).is_some_and(|ranks| !ranks.is_empty())
    }

    pub(crate) fn started_in(&self, lane: Lane) -> u64 {
        self.started.get(&lane).copied().unwrap_or(0)
    }

    /// Everything that runs in a lane.
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

    /// The ranks of a lane that hold something, first to last.
    pub(crate) fn ranks(&self, lane: Lane) -> Vec<i64> {
        self.lines.get(&lane).map(|ranks| ranks.keys().copied().collect()).unwrap_or_default()
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
    /// better rank, and of each other tenant as many as get a turn first.
    pub(crate) fn fair_position(&self, rank: i64, tenant: TenantId, ahead: u64) -> u64 {
        let lane = Lane::Default;
        let Some(ranks) = self.lines.get(&lane) else { return ahead };
        let open = |lines: &HashMap<Group, Line>| -> u64 {
            lines.iter().filter(|(group, _)| **group != Group::Held).map(|(_, line)| line.queued).sum()
        };
        let better: u64 = ranks.range(..rank).map(|(_, lines)| open(lines)).sum();
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

    /// Everything queued in a lane that may get a turn.
    pub(crate) fn open_in(&self, lane: Lane) -> u64 {
        let lines = self.lines.get(&lane).into_iter().flat_map(BTreeMap::values).flatten();
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

/// What happened to a task, as far as its followers are told.
#[derive(Debug, Clone, Copy, Default)]
struct News {
    ended: bool,
}

/// A committed change of a task.
#[derive(Debug)]
pub(crate) enum Change {
    /// Accepted.
    Accepted {
        tenant: TenantId,
    },
    /// Progress, log, claim, return to the queue, a cancel request.
    Moved,
    Ended(EndedTask),
    Deleted,
}

/// By task first: hints name no tenant. Whoever asks for another tenant's task follows nothing, and disturbs nobody.
type Followers = Mutex<BTreeMap<(TaskId, TenantId), watch::Sender<News>>>;

const UNKNOWN: i64 = i64::MIN;

/// Everything that is signalled.
#[derive(Debug)]
pub(crate) struct Shared {
    counts: Mutex<Counts>,
    recent: Mutex<Recent>,
    paces: Mutex<Paces>,
    followers: Arc<Followers>,
    wakeups: BTreeMap<Lane, Arc<Notify>>,
    /// No other process changes rows: what was written last is still true.
    alone: bool,
    /// What the database's clock is ahead of this process's monotonic one, milliseconds: the process's own wall clock may
    /// be wrong, and jump. [`UNKNOWN`] where no database has a clock of its own.
    ahead_ms: AtomicI64,
    /// Where other processes are told.
    bus: Option<Bus>,
    /// Tasks of this process that another one was asked to cancel.
    cancels: broadcast::Sender<TaskId>,
    tenants: TenantFollowers,
    /// Deliveries of webhooks wait.
    deliveries: Arc<Notify>,
}

impl Shared {
    pub(crate) fn new(alone: bool, bus: Option<Bus>) -> Self {
        Self {
            alone,
            ahead_ms: AtomicI64::new(UNKNOWN),
            bus,
            cancels: broadcast::channel(CANCELS_BEHIND_MAX).0,
            tenants: TenantFollowers::default(),
            deliveries: Arc::default(),
            counts: Mutex::default(),
            recent: Mutex::default(),
            paces: Mutex::default(),
            followers: Arc::default(),
            wakeups: Lane::ALL.into_iter().map(|lane| (lane, Arc::default())).collect(),
        }
    }

    pub(crate) fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `None` where the process's own wall clock rules.
    pub(crate) fn ahead_ms(&self) -> Option<i64> {
        Some(self.ahead_ms.load(Ordering::Relaxed)).filter(|ahead_ms| *ahead_ms != UNKNOWN)
    }

    pub(crate) fn set_ahead_ms(&self, ahead_ms: i64) {
        self.ahead_ms.store(ahead_ms, Ordering::Relaxed);
    }

    pub(crate) fn bus(&self) -> Option<&Bus> {
        self.bus.as_ref()
    }

    /// Tells the other processes.
    pub(crate) fn tell_others(&self, hints: Vec<Hint>) {
        if let Some(bus) = self.bus.as_ref().filter(|_| !hints.is_empty()) {
            bus.publish(hints);
        }
    }

    pub(crate) fn cancels(&self) -> broadcast::Receiver<TaskId> {
        self.cancels.subscribe()
    }

    pub(crate) fn cancel_asked(&self, task: TaskId) {
        // Nobody listens where no worker runs.
        let _ = self.cancels.send(task);
    }

    /// Who follows a tenant's events here.
    pub(crate) fn tenants(&self) -> &TenantFollowers {
        &self.tenants
    }

    /// Signalled when deliveries of webhooks wait.
    pub(crate) fn deliveries(&self) -> &Arc<Notify> {
        &self.deliveries
    }

    /// The tasks that somebody follows here.
    pub(crate) fn followed(&self) -> HashSet<(TaskId, TenantId)> {
        self.followers.lock().unwrap_or_else(PoisonError::into_inner).keys().copied().collect()
    }

    /// Another process changed tasks.
    pub(crate) fn others_changed(&self, tasks: impl IntoIterator<Item = (TaskId, bool)>) {
        let followers = self.followers.lock().unwrap_or_else(PoisonError::into_inner);
        for (task, ended) in tasks {
            let of_task = (task, TenantId(Uuid::nil()))..=(task, TenantId(Uuid::max()));
            for (_, sender) in followers.range(of_task) {
                sender.send_modify(|news| news.ended |= ended);
            }
        }
    }

    pub(crate) fn paces(&self) -> MutexGuard<'_, Paces> {
        self.paces.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn lane_wakeup(&self, lane: Lane) -> Arc<Notify> {
        self.wakeups.get(&lane).cloned().unwrap_or_default()
    }

    pub(crate) fn wake(&self, lane: Lane) {
        if let Some(notify) = self.wakeups.get(&lane) {
            notify.notify_one();
        }
    }

    pub(crate) fn watch(&self, tenant: TenantId, task: TaskId) -> TaskWatch {
        let mut followers = self.followers.lock().unwrap_or_else(PoisonError::into_inner);
        let of = (task, tenant);
        let news = followers.entry(of).or_insert_with(|| watch::Sender::new(News::default())).subscribe();
        TaskWatch { of, news: Some(news), followers: self.followers.clone() }
    }

    /// What is known of a task without reading: nothing, where other processes write too.
    pub(crate) fn known(&self, tenant: TenantId, task: TaskId) -> Known {
        if self.alone { self.recent().known(tenant, task) } else { Known::Nothing }
    }

    /// Whether a lane may hold something.
    pub(crate) fn may_have_queued(&self, lane: Lane) -> bool {
        !self.alone || self.counts().has_queued(lane)
    }

    fn recent(&self) -> MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in committed changes and tells the tasks' followers; answers what other processes are to be told.
    pub(crate) fn publish(&self, changes: &mut Vec<(TaskId, Change)>) -> Option<Hint> {
        let mut recent = self.recent();
        let mut told = Vec::with_capacity(changes.len());
        for (task, change) in changes.drain(..) {
            told.push((task, matches!(change, Change::Ended(_) | Change::Deleted)));
            match change {
                _ if !self.alone => {}
                Change::Accepted { tenant } => recent.accepted(task, tenant),
                Change::Moved => {}
                Change::Ended(ended) => recent.ended(task, ended),
                Change::Deleted => recent.deleted(task),
            }
        }
        drop(recent);
        let hint = (self.bus.is_some() && !told.is_empty()).then(|| Hint::Tasks(told.clone()));
        self.others_changed(told);
        hint
    }
}

/// News of one task. Holds no lock; the last one for a task frees what the store keeps for it.
#[derive(Debug)]
pub struct TaskWatch {
    of: (TaskId, TenantId),
    news: Option<watch::Receiver<News>>,
    followers: Arc<Followers>,
}

impl TaskWatch {
    /// Returns after the next commit that touched the task, or at once where one did since the last call (or since the
    /// watch was made). Several commits may count as one, and where processes share the
    /// database a call may return without one.
    pub async fn changed(&mut self) {
        if let Some(news) = &mut self.news
            && news.changed().await.is_err()
        {
            std::future::pending::<()>().await;
        }
    }

    /// Returns once a commit after the watch was made ended (or deleted) the task.
    pub async fn ended(&mut self) {
        if let Some(news) = &mut self.news
            && news.wait_for(|news| news.ended).await.is_err()
        {
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for TaskWatch {
    fn drop(&mut self) {
        let mut followers = self.followers.lock().unwrap_or_else(PoisonError::into_inner);
        self.news = None;
        if followers.get(&self.of).is_some_and(|sender| sender.receiver_count() == 0) {
            followers.remove(&self.of);
        }
    }
}
