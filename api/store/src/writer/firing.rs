//! Firing schedules.

use super::runs::NewRunRow;
use super::state::Writer;
use super::submit::NewRow;
use crate::schedules::FIRINGS_KEPT;
use crate::sql::query;
use crate::{Fired, OverQuota, StoreError, SubmitError};
use mecapy_model::{RunId, ScheduleId, TaskId, TenantId};

/// When a schedule fires.
#[derive(Debug, Clone, Copy)]
pub(crate) enum FireWhen {
    /// At its time, unless it has fired for it already.
    Due { due_ms: i64, next_ms: Option<i64> },
    /// Now: somebody asked.
    Asked,
}

/// A [`Fire`](crate::Fire) as its rows will say it.
pub(crate) struct FireStep {
    pub(crate) tenant: TenantId,
    pub(crate) schedule: ScheduleId,
    pub(crate) when: FireWhen,
    pub(crate) work: Work,
    pub(crate) note: Option<String>,
}

/// What a firing starts.
pub(crate) enum Work {
    Task(Box<NewRow>),
    /// And the day's fuel, where it is used up.
    Run(Box<NewRunRow>, Option<OverQuota>),
    Nothing,
}

impl Writer {
    pub(crate) async fn fire(&mut self, step: &FireStep) -> Result<Fired, StoreError> {
        // The tenant first, as in a submission, and the schedule then.
        let tasks: Vec<&NewRow> = match &step.work {
            Work::Task(task) => vec![task],
            Work::Run(..) | Work::Nothing => Vec::new(),
        };
        let mut admission = self.admission(tasks.iter().map(|row| (row.tenant(), row.queued_max()))).await?;
        let held = match step.when {
            FireWhen::Due { due_ms, .. } => {
                let sql = "UPDATE schedules SET changed_ms = changed_ms WHERE tenant = ? AND id = ? AND paused = 0 \
                           AND next_ms = ? RETURNING no";
                query(sql).bind(step.tenant).bind(step.schedule).bind(due_ms)
            }
            FireWhen::Asked => {
                let sql = "UPDATE schedules SET changed_ms = changed_ms WHERE tenant = ? AND id = ? RETURNING no";
                query(sql).bind(step.tenant).bind(step.schedule)
            }
        };
        let Some(held) = held.fetch_optional(&mut self.conn).await? else { return Ok(Fired::Stale) };
        if let Some((_, refusal)) = self.refused_of(&tasks, &admission).await? {
            return Ok(Fired::Refused(refusal.into()));
        }
        let (mut task, mut run) = (None, None);
        match &step.work {
            Work::Task(row) => {
                self.accept_all(&tasks, &mut admission).await?;
                task = Some(row.id);
            }
            Work::Run(..) if !self.is_enabled(step.tenant) => {
                return Ok(Fired::Refused(SubmitError::TenantDisabled));
            }
            Work::Run(_, Some(over)) => return Ok(Fired::Refused(SubmitError::OverFuel(*over))),
            Work::Run(row, None) => {
                self.insert_runs(std::slice::from_ref(row)).await?;
                run = Some(row.id());
            }
            Work::Nothing => {}
        }
        self.record_firing(held.try_get(0)?, step, (task, run)).await?;
        Ok(Fired::Done { task, run })
    }

    async fn record_firing(
        &mut self,
        no: i64,
        step: &FireStep,
        (task, run): (Option<TaskId>, Option<RunId>),
    ) -> Result<(), StoreError> {
        let due_ms = match step.when {
            FireWhen::Due { due_ms, next_ms } => {
                self.run(query("UPDATE schedules SET next_ms = ? WHERE no = ?").bind(next_ms).bind(no)).await?;
                due_ms
            }
            FireWhen::Asked => self.now_ms,
        };
        if task.is_some() || run.is_some() {
            let sql = "UPDATE schedules SET last_task = ?, last_run = ? WHERE no = ?";
            self.run(query(sql).bind(task).bind(run).bind(no)).await?;
        }
        let sql =
            "INSERT INTO schedule_firings (schedule_no, due_ms, fired_ms, task, run, note) VALUES (?, ?, ?, ?, ?, ?)";
        let firing = query(sql).bind(no).bind(due_ms).bind(self.now_ms).bind(task).bind(run);
        self.run(firing.bind(step.note.as_deref())).await?;
        let sql = "DELETE FROM schedule_firings WHERE schedule_no = ?1 AND no NOT IN \
                   (SELECT no FROM schedule_firings WHERE schedule_no = ?1 ORDER BY no DESC LIMIT ?2)";
        self.run(query(sql).bind(no).bind(FIRINGS_KEPT)).await.map(drop)
    }
}
