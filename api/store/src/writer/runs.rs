//! Workflow runs: starting them, and their steps.

use super::admission::Admission;
use super::batch::Call;
use super::state::Writer;
use super::submit::NewRow;
use crate::reading::bytes_of;
use crate::runs::{MAIL_RESULT_BYTES_MAX, Mail, NewRun, ParentNode, RunEnd, StartRequest};
use crate::shared::Change;
use crate::sql::{Dialect, Rows, pieces, query, with_list};
use crate::{Advance, Advanced, Idempotency, OverQuota, RunKey, RunState, StartRunError, StoreError};
use mecapy_model::{RunId, StudyId, TaskId, TenantId, WorkflowId};
use serde_json::value::RawValue;
use std::collections::HashMap;
use std::sync::Arc;
use uuid::Uuid;

/// A run as its rows will say it; made on the caller's side, where work is not serialised.
pub(crate) struct NewRunRow {
    id: RunId,
    tenant: TenantId,
    workflow: WorkflowId,
    version: u32,
    name: Option<Arc<str>>,
    parent: Option<ParentNode>,
    depth: u32,
    study: Option<StudyId>,
    inputs: Arc<str>,
    pins: Arc<str>,
    labels: Option<Arc<str>>,
    events: Vec<Arc<str>>,
    idempotency: Option<Idempotency>,
}

pub(crate) enum RunStart {
    Now(RunId),
    /// The idempotency key started this one.
    Before(RunId),
    Refused(StartRunError),
}

/// An [`Advance`] as its rows will say it.
pub(crate) struct Step {
    run: RunKey,
    seq: u64,
    events: Vec<Arc<str>>,
    consumed: Vec<i64>,
    pub(super) tasks: Vec<NewRow>,
    children: Vec<NewRunRow>,
    cancels: Vec<TaskId>,
    signals: Vec<(RunId, Arc<str>)>,
    wake_ms: Option<i64>,
    restarted: bool,
    ended: Option<RunEnd>,
}

/// A run that has ended, as its tenant is told.
pub(super) struct RunNews {
    pub(super) id: RunId,
    pub(super) name: Option<String>,
    pub(super) state: RunState,
    pub(super) error_kind: Option<String>,
}

/// A run whose row this transaction holds.
pub(super) struct LockedRun {
    id: RunId,
    tenant: TenantId,
    seq: u64,
    parent: Option<RunId>,
    name: Option<String>,
}

const RUNS: Rows = Rows {
    head: "INSERT INTO workflow_runs (id, tenant, workflow, version, name, state, seq, parent, parent_node, parent_index, \
           depth, study, created_ms, wake_ms, idempotency_key, body_digest)",
    width: 16,
    tail: " ON CONFLICT (tenant, idempotency_key) WHERE idempotency_key IS NOT NULL DO NOTHING RETURNING no, id",
};
const TEXTS: Rows = Rows { head: "INSERT INTO workflow_run_texts (run_no, inputs, pins, labels)", width: 4, tail: "" };
const EVENTS: Rows = Rows { head: "INSERT INTO run_events (run_no, seq, at_ms, body)", width: 4, tail: "" };

impl NewRunRow {
    pub(super) fn id(&self) -> RunId {
        self.id
    }

    pub(crate) fn new(request: &StartRequest) -> Result<Self, StoreError> {
        Ok(Self { idempotency: request.idempotency.clone(), ..Self::of(&request.run)? })
    }

    fn of(run: &NewRun) -> Result<Self, StoreError> {
        let labels = match run.labels.is_empty() {
            true => None,
            false => Some(serde_json::to_string(&run.labels).map_err(|error| StoreError::corrupt(error.to_string()))?),
        };
        Ok(Self {
            id: run.id,
            tenant: run.tenant,
            workflow: run.workflow,
            version: run.version,
            name: run.name.as_deref().map(Arc::from),
            parent: run.parent.clone(),
            depth: run.depth,
            study: run.study,
            inputs: run.inputs.get().into(),
            pins: run.pins.get().into(),
            labels: labels.map(Arc::from),
            events: run.events.iter().map(|event| event.get().into()).collect(),
            idempotency: None,
        })
    }
}

impl Step {
    pub(crate) fn new(advance: Advance, tasks: Vec<NewRow>) -> Result<Self, StoreError> {
        let Advance { run, seq, consumed, cancels, wake_ms, restarted, ended, .. } = advance;
        let mut children = Vec::with_capacity(advance.children.len());
        for child in advance.children {
            children.push(NewRunRow::of(&NewRun { tenant: run.tenant, ..child })?);
        }
        let mut signals = Vec::with_capacity(advance.signals.len());
        for (to, signal) in &advance.signals {
            signals.push((*to, Mail::Sent(signal).body()?));
        }
        let events = advance.events.iter().map(|event| event.get().into()).collect();
        Ok(Self { run, seq, events, consumed, tasks, children, cancels, signals, wake_ms, restarted, ended })
    }
}

impl Writer {
    pub(crate) async fn start_run(
        &mut self,
        row: &NewRunRow,
        over_fuel: Option<OverQuota>,
    ) -> Result<RunStart, StoreError> {
        if let Some(earlier) = self.run_under_key(row).await? {
            return Ok(earlier);
        }
        if !self.is_enabled(row.tenant) {
            return Ok(RunStart::Refused(StartRunError::TenantDisabled));
        }
        if let Some(over) = over_fuel {
            return Ok(RunStart::Refused(StartRunError::OverFuel(over)));
        }
        if self.insert_runs(std::slice::from_ref(row)).await? == 0 {
            // Another process used the key since it was looked for.
            let earlier = self.run_under_key(row).await?;
            return earlier.ok_or_else(|| StoreError::corrupt("a run's key that is used by none"));
        }
        Ok(RunStart::Now(row.id))
    }

    async fn run_under_key(&mut self, row: &NewRunRow) -> Result<Option<RunStart>, StoreError> {
        let Some(key) = &row.idempotency else { return Ok(None) };
        let sql = "SELECT id, body_digest FROM workflow_runs WHERE tenant = ? AND idempotency_key = ?";
        let found = query(sql).bind(row.tenant).bind(key.key.as_str()).fetch_optional(&mut self.conn).await?;
        let Some(found) = found else { return Ok(None) };
        let same = bytes_of::<32>(found.try_get(1)?)? == key.body_digest;
        let mismatch = RunStart::Refused(StartRunError::IdempotencyMismatch);
        Ok(Some(if same { RunStart::Before(RunId(found.id(0)?)) } else { mismatch }))
    }

    /// Inserts runs with the beginnings of their logs, due at once; answers how many.
    pub(super) async fn insert_runs(&mut self, rows: &[NewRunRow]) -> Result<usize, StoreError> {
        let mut numbers: HashMap<Uuid, i64> = HashMap::with_capacity(rows.len());
        for piece in pieces(rows) {
            let mut query = query(RUNS.sql(piece.len()));
            for row in piece {
                let (parent, key) = (row.parent.as_ref(), row.idempotency.as_ref());
                query = query
                    .bind(row.id)
                    .bind(row.tenant)
                    .bind(row.workflow)
                    .bind(row.version)
                    .bind(row.name.clone())
                    .bind(RunState::Running.as_str())
                    .bind(i64::try_from(row.events.len()).unwrap_or(i64::MAX))
                    .bind(parent.map(|parent| parent.run))
                    .bind(parent.map(|parent| parent.key.as_str()))
                    .bind(parent.and_then(|parent| parent.index))
                    .bind(row.depth)
                    .bind(row.study)
                    .bind(self.now_ms)
                    .bind(self.now_ms)
                    .bind(key.map(|key| key.key.as_str()))
                    .bind(key.map(|key| key.body_digest.as_slice()));
            }
            for row in query.fetch_all(&mut self.conn).await? {
                numbers.insert(row.id(1)?, row.try_get(0)?);
            }
        }
        let made: Vec<_> = rows.iter().filter_map(|row| Some((*numbers.get(&row.id.0)?, row))).collect();
        for piece in pieces(&made) {
            let mut query = query(TEXTS.sql(piece.len()));
            for (no, row) in piece {
                query = query.bind(*no).bind(row.inputs.clone()).bind(row.pins.clone()).bind(row.labels.clone());
            }
            self.run(query).await?;
        }
        let events: Vec<_> = made
            .iter()
            .flat_map(|(no, row)| (1..).zip(&row.events).map(|(seq, event)| (*no, seq, event.clone())))
            .collect();
        self.insert_run_events(&events).await?;
        if !made.is_empty() {
            self.runs_are_due();
        }
        Ok(made.len())
    }

    async fn insert_run_events(&mut self, events: &[(i64, i64, Arc<str>)]) -> Result<(), StoreError> {
        for piece in pieces(events) {
            let mut query = query(EVENTS.sql(piece.len()));
            for (no, seq, body) in piece {
                query = query.bind(*no).bind(*seq).bind(self.now_ms).bind(body.clone());
            }
            self.run(query).await?;
        }
        Ok(())
    }

    /// Holds the rows of the runs that are to advance, in one order everywhere, and before anything else is held, so that
    /// no two processes wait for one another.
    pub(super) async fn lock_runs(
        &mut self,
        calls: &[Call<Box<Step>, Advanced>],
    ) -> Result<HashMap<i64, LockedRun>, StoreError> {
        let lock = match self.dialect {
            Dialect::Sqlite => ") ORDER BY no",
            // What is put into a run's inbox meanwhile refers to the row, and need not wait.
            Dialect::Postgres => ") ORDER BY no FOR NO KEY UPDATE",
        };
        let mut numbers: Vec<i64> = calls.iter().map(|call| call.input.run.no).collect();
        numbers.sort_unstable();
        numbers.dedup();
        let mut locked = HashMap::with_capacity(numbers.len());
        for piece in pieces(&numbers) {
            let sql = "SELECT no, id, tenant, seq, parent, name FROM workflow_runs WHERE no IN (";
            let query = piece.iter().fold(query(with_list(sql, piece.len(), lock)), |query, no| query.bind(*no));
            for row in query.fetch_all(&mut self.conn).await? {
                let run = LockedRun {
                    id: RunId(row.id(1)?),
                    tenant: TenantId(row.id(2)?),
                    seq: row.count(3)?,
                    parent: row.try_get::<Option<Uuid>>(4)?.map(RunId),
                    name: row.try_get(5)?,
                };
                locked.insert(row.try_get(0)?, run);
            }
        }
        Ok(locked)
    }

    /// Takes the steps whose runs have not moved on.
    pub(super) async fn advance_all(
        &mut self,
        calls: &mut [Call<Box<Step>, Advanced>],
        mut locked: HashMap<i64, LockedRun>,
        admission: &mut Admission,
    ) -> Result<(), StoreError> {
        for call in calls {
            let step = &mut *call.input;
            let run = locked.get_mut(&step.run.no);
            let held = run.filter(|run| run.id == step.run.id && run.seq == step.seq);
            call.answer = Some(match held {
                Some(run) => self.advance(step, run, admission).await?,
                None => Advanced::Stale,
            });
        }
        Ok(())
    }

    async fn advance(
        &mut self,
        step: &mut Step,
        run: &mut LockedRun,
        admission: &mut Admission,
    ) -> Result<Advanced, StoreError> {
        let tasks: Vec<&NewRow> = step.tasks.iter().collect();
        if let Some((at, refusal)) = self.refused_of(&tasks, admission).await? {
            return Ok(Advanced::Refused { at, why: refusal.into() });
        }
        let (no, tenant) = (step.run.no, run.tenant);
        let seq = run.seq + step.events.len() as u64;
        let sql = "UPDATE workflow_runs SET seq = ?, wake_ms = ?, held_until_ms = NULL WHERE no = ?";
        let moved = query(sql).bind(i64::try_from(seq).unwrap_or(i64::MAX)).bind(step.wake_ms).bind(no);
        self.run(moved).await?;
        let first = i64::try_from(run.seq).unwrap_or(i64::MAX).saturating_add(1);
        let events: Vec<_> = (first..).zip(&step.events).map(|(seq, event)| (no, seq, event.clone())).collect();
        self.insert_run_events(&events).await?;
        for piece in pieces(&step.consumed) {
            let sql = with_list("DELETE FROM run_inbox WHERE run_no = ? AND no IN (", piece.len(), ")");
            let taken = piece.iter().fold(query(sql).bind(no), |query, item| query.bind(*item));
            self.run(taken).await?;
        }
        let numbers = self.accept_all(&tasks, admission).await?;
        for (no, row) in numbers.into_iter().zip(&mut step.tasks) {
            if let Some(task) = row.take_fresh() {
                self.fresh().keep(no, task);
            }
        }
        self.insert_runs(&step.children).await?;
        let mail: Vec<_> = step.signals.iter().map(|(to, body)| (tenant, *to, body.clone())).collect();
        self.post(&mail).await?;
        self.cancel_tasks(tenant, &step.cancels).await?;
        if step.restarted {
            let sql = "UPDATE workflow_runs SET state = 'running', completed_ms = NULL, error = NULL WHERE no = ?";
            self.run(query(sql).bind(no)).await?;
            self.run(query("UPDATE workflow_run_texts SET outputs = NULL WHERE run_no = ?").bind(no)).await?;
        }
        if let Some(end) = &step.ended {
            self.end_run(no, run, end).await?;
        }
        run.seq = seq;
        self.run_changed(run.id);
        Ok(Advanced::Done { seq })
    }

    /// The run's end: its rows, the event that tells it, and its parent's inbox.
    async fn end_run(&mut self, no: i64, run: &LockedRun, end: &RunEnd) -> Result<(), StoreError> {
        let (outputs, error) = (end.outputs.as_deref().map(RawValue::get), end.error.as_deref().map(RawValue::get));
        let sql = "UPDATE workflow_runs SET state = ?, completed_ms = ?, error = ? WHERE no = ?";
        let ended = query(sql).bind(end.state.as_str()).bind(self.now_ms).bind(error).bind(no);
        self.run(ended).await?;
        if outputs.is_some() {
            let sql = "UPDATE workflow_run_texts SET outputs = ? WHERE run_no = ?";
            self.run(query(sql).bind(outputs).bind(no)).await?;
        }
        let (id, name, error_kind) = (run.id, run.name.clone(), end.error_kind.clone());
        self.tell_run_ended(run.tenant, RunNews { id, name, state: end.state, error_kind });
        let Some(parent) = run.parent else { return Ok(()) };
        let short = end.outputs.as_deref().filter(|outputs| outputs.get().len() <= MAIL_RESULT_BYTES_MAX);
        let mail = Mail::Run {
            id: run.id,
            state: end.state.as_str(),
            outputs: short,
            by_reference: outputs.is_some() && short.is_none(),
            error: end.error.as_deref(),
        };
        let body = mail.body()?;
        self.post(&[(run.tenant, parent, body)]).await.map(drop)
    }

    /// To be told to those who follow the run.
    pub(crate) fn run_changed(&mut self, run: RunId) {
        // Ids are unique over all that is followed.
        self.changed(TaskId(run.0), Change::Moved);
    }
}
