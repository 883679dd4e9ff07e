//! Starting runs, sending them something, and taking their steps.

use super::reading::run_of;
use super::{
    Advance, Advanced, NewRun, NodeTask, RunDeleted, RunKey, RunState, StartRequest, StartRunError, StartedRun,
};
use crate::clock::unix_ms;
use crate::sql::query;
use crate::writer::{Call, NewRow, NewRunRow, Op, RunStart, Step};
use crate::{Idempotency, Store, StoreError};
use mecapy_model::{RunId, TaskId, TenantId};
use serde_json::value::RawValue;
use std::sync::Arc;
use time::OffsetDateTime;
use tokio::sync::Notify;

impl Store {
    /// An id for a task that an [`Advance`] is to start.
    pub fn new_task_id(&self) -> TaskId {
        let (ms, random) = self.ids().next();
        TaskId::from_parts(ms, &random)
    }

    /// An id for a run to start.
    pub fn new_run_id(&self) -> RunId {
        let (ms, random) = self.ids().next();
        RunId::from_parts(ms, &random)
    }

    /// Signalled when a run may be due. A hint, and a lost one costs a second: ask [`due_runs`](Self::due_runs) each
    /// second too.
    pub fn run_wakeup(&self) -> Arc<Notify> {
        self.shared().runs().clone()
    }

    /// Starts a run: its row and the beginning of its log, durable when this returns. It is due at once.
    ///
    /// The same idempotency key with the same digest answers the run that it started before, for as long as that exists.
    pub async fn start_run(&self, run: NewRun, idempotency: Option<Idempotency>) -> Result<StartedRun, StartRunError> {
        let (tenant, over_fuel) = (run.tenant, self.over_fuel(run.tenant).await?);
        let row = NewRunRow::new(&StartRequest { run, idempotency })?;
        let start = self.write_rarely(async move |writer| writer.start_run(&row, over_fuel).await).await?;
        let (id, replayed) = match start {
            RunStart::Now(id) => (id, false),
            RunStart::Before(id) => (id, true),
            RunStart::Refused(refusal) => return Err(refusal),
        };
        let run = run_of((&mut self.reader(tenant).await?).into(), tenant, id).await?;
        let run = run.ok_or_else(|| StoreError::corrupt("a run just started is gone"))?;
        Ok(StartedRun { run, replayed })
    }

    /// Puts something into a run's inbox, which it takes in as [`Arrived::Sent`](crate::Arrived::Sent), whether or not it
    /// has ended. `false`: there is no such run.
    pub async fn send_run(&self, tenant: TenantId, id: RunId, signal: Box<RawValue>) -> Result<bool, StoreError> {
        self.write_rarely(async move |writer| writer.send_run(tenant, id, &signal).await).await
    }

    /// Takes one step of a run. All of it is written or nothing, and nothing where the run has moved on since the event
    /// that it was planned after.
    pub async fn advance_run(&self, advance: Advance) -> Result<Advanced, StoreError> {
        let Advance { run, tasks, queued_max, .. } = &advance;
        let starts = !tasks.is_empty() || !advance.children.is_empty();
        if starts && advance.events.is_empty() {
            return Err(StoreError::corrupt("a run's step starts something and no event says so"));
        }
        let over_fuel = if tasks.is_empty() { None } else { self.over_fuel(run.tenant).await? };
        let copies: Vec<TaskId> = tasks.iter().filter(|task| task.has_objects()).map(|task| task.id).collect();
        let mut rows = Vec::with_capacity(tasks.len());
        for NodeTask { id, task, cached } in tasks {
            let mut task = task.clone();
            (task.tenant, task.ties.run) = (run.tenant, Some(run.id));
            task.ties.cached_from = cached.as_ref().map(|copy| copy.source);
            let row = NewRow::new(&task.into_task(*id, self.now_ms()), None, *queued_max)?;
            rows.push(row.over_fuel(over_fuel).born_with(cached.clone()));
        }
        let tenant = run.tenant;
        let step = Step::new(advance, rows)?;
        let answer = self.write(|reply| Op::Advance(Call::new(Box::new(step), reply))).await;
        if let Ok(Advanced::Stale | Advanced::Refused { .. }) = &answer {
            // Nobody names what was copied for these.
            self.delete_copies(tenant, copies).await;
        }
        answer
    }

    /// Keeps a run from being due until a time, or until it advances: for one that can't be planned just now, so that it
    /// keeps no others waiting.
    pub async fn hold_run(&self, run: RunKey, until: OffsetDateTime) -> Result<(), StoreError> {
        self.write_rarely(async move |writer| {
            let sql = "UPDATE workflow_runs SET held_until_ms = ? WHERE no = ? AND id = ?";
            writer.run(query(sql).bind(unix_ms(until)).bind(run.no).bind(run.id)).await.map(drop)
        })
        .await
    }

    /// Deletes a run that has ended, with its log. Its tasks stay.
    pub async fn delete_run(&self, tenant: TenantId, id: RunId) -> Result<RunDeleted, StoreError> {
        self.write_rarely(async move |writer| {
            let sql = "DELETE FROM workflow_runs WHERE tenant = ? AND id = ? AND state <> ?";
            let ended = query(sql).bind(tenant).bind(id).bind(RunState::Running.as_str());
            if writer.run(ended).await? > 0 {
                writer.run_changed(id);
                return Ok(RunDeleted::Yes);
            }
            let sql = "SELECT 1 FROM workflow_runs WHERE tenant = ? AND id = ?";
            let found = query(sql).bind(tenant).bind(id).fetch_optional(&mut writer.conn).await?;
            Ok(if found.is_some() { RunDeleted::NotEnded } else { RunDeleted::Missing })
        })
        .await
    }
}

impl NodeTask {
    fn has_objects(&self) -> bool {
        self.cached.as_ref().is_some_and(|copy| copy.has_objects())
    }
}
