//! Firing: what a schedule starts, its next time and its history in one transaction, once however many try.

use crate::clock::from_unix_ms;
use crate::runs::{NewRun, StartRequest};
use crate::sql::query;
use crate::writer::{FireStep, FireWhen, NewRow, NewRunRow, Work};
use crate::{Store, StoreError, Submission, SubmitError};
use mecapy_model::{RunId, ScheduleId, TaskId, TenantId};
use time::OffsetDateTime;
use uuid::Uuid;

/// How many firings of a schedule are kept.
pub const FIRINGS_KEPT: u32 = 50;

/// One firing.
#[derive(Debug, Clone)]
pub struct Fire {
    pub tenant: TenantId,
    pub schedule: ScheduleId,
    /// The schedule's `next_ms` as it was read: who finds another one there is late.
    pub due_ms: i64,
    /// When it fires next.
    pub next_ms: Option<i64>,
    pub work: FireWork,
    /// For the history: why nothing was started, or that missed times are made up for.
    pub note: Option<String>,
}

/// What a firing starts.
#[derive(Debug, Clone)]
pub enum FireWork {
    /// A key for idempotency has no effect here: a firing happens once.
    Task(Box<Submission>),
    Run(Box<NewRun>),
    /// Its `note` says why.
    Nothing,
}

/// What became of a firing.
#[derive(Debug, Clone)]
pub enum Fired {
    /// It started this task, this run, or neither.
    Done { task: Option<TaskId>, run: Option<RunId> },
    /// The schedule has fired, changed, paused or gone meanwhile; nothing was written.
    Stale,
    /// What it would start can't be accepted; nothing was written. Try again later, or fire nothing with a note.
    Refused(SubmitError),
}

/// A firing that was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Firing {
    /// The time that it was for.
    pub due_at: OffsetDateTime,
    pub fired_at: OffsetDateTime,
    pub task: Option<TaskId>,
    pub run: Option<RunId>,
    pub note: Option<String>,
}

impl Store {
    /// Fires a schedule: of all who try for the same time one does, and what it starts stands in the same transaction.
    pub async fn fire(&self, fire: Fire) -> Result<Fired, StoreError> {
        let Fire { tenant, schedule, due_ms, next_ms, work, note } = fire;
        let work = self.fire_work(tenant, work).await?;
        let when = FireWhen::Due { due_ms, next_ms };
        let step = FireStep { tenant, schedule, when, work, note };
        self.write_rarely(async move |writer| writer.fire(&step).await).await
    }

    /// Fires a schedule at its owner's word: now, once for each call, also where it is paused. Its times stay as they are.
    pub async fn fire_now(
        &self,
        tenant: TenantId,
        schedule: ScheduleId,
        work: FireWork,
        note: String,
    ) -> Result<Fired, StoreError> {
        let work = self.fire_work(tenant, work).await?;
        let step = FireStep { tenant, schedule, when: FireWhen::Asked, work, note: Some(note) };
        self.write_rarely(async move |writer| writer.fire(&step).await).await
    }

    async fn fire_work(&self, tenant: TenantId, work: FireWork) -> Result<Work, StoreError> {
        let over_fuel = match &work {
            FireWork::Nothing => None,
            FireWork::Task(_) | FireWork::Run(_) => self.over_fuel(tenant).await?,
        };
        Ok(match work {
            FireWork::Task(submission) => {
                let Submission { mut task, queued_max, .. } = *submission;
                task.tenant = tenant;
                let task = task.into_task(self.new_task_id(), self.now_ms());
                Work::Task(Box::new(NewRow::new(&task, None, queued_max)?.over_fuel(over_fuel)))
            }
            FireWork::Run(run) => {
                let run = NewRun { tenant, ..*run };
                Work::Run(Box::new(NewRunRow::new(&StartRequest { run, idempotency: None })?), over_fuel)
            }
            FireWork::Nothing => Work::Nothing,
        })
    }

    /// The last [`FIRINGS_KEPT`] firings of a schedule, newest first; none where there is no such schedule.
    pub async fn firings(&self, tenant: TenantId, id: ScheduleId) -> Result<Vec<Firing>, StoreError> {
        let sql = "SELECT f.due_ms, f.fired_ms, f.task, f.run, f.note FROM schedules s \
                   JOIN schedule_firings f ON f.schedule_no = s.no WHERE s.tenant = ? AND s.id = ? \
                   ORDER BY f.no DESC LIMIT ?";
        let query = query(sql).bind(tenant).bind(id).bind(FIRINGS_KEPT);
        let rows = query.fetch_all(&mut self.reader(tenant).await?).await?;
        let firing = |row: &crate::sql::Row| {
            Ok(Firing {
                due_at: from_unix_ms(row.try_get(0)?),
                fired_at: from_unix_ms(row.try_get(1)?),
                task: row.try_get::<Option<Uuid>>(2)?.map(TaskId),
                run: row.try_get::<Option<Uuid>>(3)?.map(RunId),
                note: row.try_get(4)?,
            })
        };
        rows.iter().map(firing).collect()
    }
}
