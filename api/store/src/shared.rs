//! What the writer tells the rest of the process after a commit: counts, wake-ups, news of single tasks.
//!
//! Nothing here has authority: rows do.

use crate::bus::{Bus, Hint};
pub(crate) use crate::counts::{Counts, Group, Place, Turn};
use crate::followers::Followers as NumberedFollowers;
use crate::pace::{Paces, Track, tracks};
use crate::recent::{EndedTask, Known, Recent};
use mecapy_model::{BatchId, Executor, Lane, TaskId, TenantId};
use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, broadcast, watch};
use uuid::Uuid;

/// Cancels that a worker may be behind; heartbeats find what it missed.
const CANCELS_BEHIND_MAX: usize = 1_024;

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

/// Of tasks and workflow runs, which have no id in common. By id first: hints name no tenant. Whoever asks for another tenant's task follows nothing, and
/// disturbs nobody.
type Followers = Mutex<BTreeMap<(TaskId, TenantId), watch::Sender<News>>>;

const UNKNOWN: i64 = i64::MIN;

/// Everything that is signalled.
#[derive(Debug)]
pub(crate) struct Shared {
    counts: Mutex<Counts>,
    recent: Mutex<Recent>,
    paces: Mutex<Paces>,
    followers: Arc<Followers>,
    wakeups: BTreeMap<Track, Arc<Notify>>,
    /// No other process changes rows: what was written last is still true.
    alone: bool,
    /// What the database's clock is ahead of this process's monotonic one, milliseconds: the process's own wall clock may
    /// be wrong, and jump. [`UNKNOWN`] where no database has a clock of its own.
    ahead_ms: AtomicI64,
    /// Where other processes are told.
    bus: Option<Bus>,
    /// Tasks of this process that another one was asked to cancel.
    cancels: broadcast::Sender<TaskId>,
    tenants: NumberedFollowers<TenantId>,
    batches: NumberedFollowers<BatchId>,
    /// Deliveries of webhooks wait.
    deliveries: Arc<Notify>,
    /// A workflow run has something to do.
    runs: Arc<Notify>,
}

impl Shared {
    pub(crate) fn new(alone: bool, bus: Option<Bus>) -> Self {
        Self {
            alone,
            ahead_ms: AtomicI64::new(UNKNOWN),
            bus,
            cancels: broadcast::channel(CANCELS_BEHIND_MAX).0,
            tenants: NumberedFollowers::default(),
            batches: NumberedFollowers::default(),
            deliveries: Arc::default(),
            runs: Arc::default(),
            counts: Mutex::default(),
            recent: Mutex::default(),
            paces: Mutex::default(),
            followers: Arc::default(),
            wakeups: tracks().map(|track| (track, Arc::default())).collect(),
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
    pub(crate) fn tenants(&self) -> &NumberedFollowers<TenantId> {
        &self.tenants
    }

    /// Who follows a batch here.
    pub(crate) fn batches(&self) -> &NumberedFollowers<BatchId> {
        &self.batches
    }

    /// Signalled when deliveries of webhooks wait.
    pub(crate) fn deliveries(&self) -> &Arc<Notify> {
        &self.deliveries
    }

    /// Signalled when a workflow run has something to do.
    pub(crate) fn runs(&self) -> &Arc<Notify> {
        &self.runs
    }

    /// The tasks and workflow runs that somebody follows here.
    pub(crate) fn followed(&self) -> HashSet<(TaskId, TenantId)> {
        self.followers.lock().unwrap_or_else(PoisonError::into_inner).keys().copied().collect()
    }

    /// Another process changed tasks or workflow runs.
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

    pub(crate) fn lane_wakeup(&self, lane: Lane, executor: Executor) -> Arc<Notify> {
        self.wakeups.get(&(lane, executor)).cloned().unwrap_or_default()
    }

    pub(crate) fn wake_all(&self) {
        self.wakeups.values().for_each(|notify| notify.notify_one());
    }

    pub(crate) fn wake(&self, lane: Lane, executor: Executor) {
        if let Some(notify) = self.wakeups.get(&(lane, executor)) {
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

    /// Whether a lane may hold something for an executor.
    pub(crate) fn may_have_queued(&self, lane: Lane, executor: Executor) -> bool {
        !self.alone || self.counts().has_queued(lane, executor)
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
