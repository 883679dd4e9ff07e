//! Ending tasks: state, result, usage, log, artifacts and events in one transaction.

use super::batch::Call;
use super::logs::{self, LogPiece, LogRow};
use super::state::Writer;
use super::submit::EVENTS;
use crate::queue::is_cancel;
use crate::recent::EndedTask;
use crate::result_cache::{CachedCopy, ResultObject};
use crate::shared::{Change, Place};
use crate::sql::{Query, Row, Rows, pieces, query, script};
use crate::{
    ClaimRef, Finish, ObjectKey, RESULT_INLINE_BYTES_MAX, StoreError, StoreOptions, StoredArtifact, StoredText, Written,
};
use mecapy_model::{
    ArtifactName, BatchId, ErrorKind, Lane, RunId, TaskError, TaskId, TaskState, TenantId, Transition, Usage, Warning,
};
use serde_json::value::RawValue;
use std::collections::HashMap;
use std::sync::Arc;
use uuid::Uuid;

/// How a running attempt ended, as its rows will say it; made on the caller's side, where work is not serialised.
#[derive(Clone)]
pub(crate) struct Ending {
    pub(crate) claim: ClaimRef,
    at_ms: i64,
    record: Record,
    pub(crate) logs: Vec<LogPiece>,
    pub(crate) artifacts: Vec<StoredArtifact>,
}

/// What is written once for every task.
#[derive(Clone)]
pub(super) struct Record {
    transition: Transition,
    result: Option<Arc<str>>,
    /// Where a result is that is too large for its row.
    result_object: Option<ResultObject>,
    pub(super) error: Option<Arc<str>>,
    pub(super) error_kind: Option<ErrorKind>,
    warnings: Option<Arc<str>>,
    usage: Usage,
}

/// A task whose row says by now that it has ended.
pub(super) struct Ended {
    pub(super) no: i64,
    pub(super) task: TaskId,
    pub(super) tenant: TenantId,
    pub(super) lane: Lane,
    pub(super) name: Option<String>,
    pub(super) webhook_url: Option<String>,
    /// The batch whose items it ran.
    pub(super) batch: Option<BatchId>,
    /// How long its source took to compile, milliseconds.
    pub(super) compile_ms: Option<f64>,
    /// The platform's own: nobody is told.
    pub(super) internal: bool,
    pub(super) attempt: i64,
    pub(super) state: TaskState,
    /// The number of its `Done` event; the one before is its last state's.
    pub(super) done_seq: i64,
    pub(super) at_ms: i64,
    pub(super) record: Record,
    /// Whose inbox is told.
    pub(super) run: Option<RunId>,
    /// Under which key the result may be used again, and the function that it is of.
    pub(super) cache: Option<(Vec<u8>, Option<String>)>,
    pub(super) artifacts: Vec<ArtifactName>,
}

/// The state as an expression, so that no partial index of it is walked to find rows which are known by number.
const FINISH: Rows = Rows {
    head: "UPDATE tasks SET state = v.column4, completed_ms = v.column5, event_seq = tasks.event_seq + v.column6, \
           log_bytes = tasks.log_bytes + v.column7, lease_token = NULL, lease_until_ms = NULL FROM (",
    width: 7,
    tail: ") AS v WHERE tasks.no = v.column1 AND tasks.fence = v.column2 AND tasks.lease_token = v.column3 \
           AND tasks.state || '' = 'running' \
           RETURNING no, event_seq, log_bytes, attempt, lane, tenant, fence, name, webhook_url, batch, run, cache_key, \
           function, compile_ms, internal",
};
/// The same of tasks without a worker that could still report.
const END: Rows = Rows {
    head: "UPDATE tasks SET state = v.column4, completed_ms = v.column5, event_seq = tasks.event_seq + 2, \
           lease_token = NULL, lease_until_ms = NULL FROM (",
    width: 5,
    tail: ") AS v WHERE tasks.no = v.column1 AND tasks.fence = v.column2 AND tasks.state || '' = v.column3",
};
const RESULTS: Rows = Rows {
    head: "INSERT INTO results (no, error, warnings, result, object_key, object_bytes, object_sha256)",
    width: 7,
    tail: "",
};
const USAGE: Rows = Rows {
    head: "INSERT INTO task_usage (no, tenant, lane, at_ms, error_kind, fuel, memory_peak_bytes, cpu_ms, queued_ms, \
           startup_ms, execute_ms, kernel_instructions, kernel_calls, kernel_flops, kernel_price_version, compile_ms)",
    width: 16,
    tail: "",
};
const ARTIFACTS: Rows = Rows {
    head: "INSERT INTO artifacts (no, tenant, name, object_key, size_bytes, sha256, content_type)",
    width: 7,
    tail: "",
};

impl Ending {
    /// A result over the limit becomes an `invalid_output` error.
    pub(crate) fn of(claim: ClaimRef, finish: Finish, options: &StoreOptions, at_ms: i64) -> Self {
        let record = match bounded(finish.result, options.result_bytes_max) {
            Ok(result) => {
                Record { result: Some(result.get().into()), ..Record::new(Transition::Complete, finish.usage) }
            }
            Err(error) => Record::failed(&error, finish.usage),
        };
        let record = Record { warnings: warnings_json(&finish.warnings), ..record };
        let logs = finish.logs.into_iter().map(LogPiece::from).collect();
        Self { claim, at_ms, record, logs, artifacts: finish.artifacts }
    }

    /// The result's text, where it is too large for its row.
    pub(crate) fn large_result(&self) -> Option<&str> {
        self.record.result.as_deref().filter(|text| text.len() > RESULT_INLINE_BYTES_MAX)
    }

    /// Lets the row name the object that holds the result.
    pub(crate) fn refer_to(&mut self, stored: StoredText) {
        if let StoredText::Object { key, size_bytes, sha256 } = stored {
            self.record.result = None;
            self.record.result_object = Some(ResultObject { key, size_bytes, sha256 });
        }
    }

    /// One of the objects that the rows will name.
    pub(crate) fn first_object(&self) -> Option<ObjectKey> {
        let result = self.record.result_object.as_ref().map(|object| &object.key);
        self.artifacts.first().map(|artifact| &artifact.key).or(result).cloned()
    }
}

impl Record {
    fn new(transition: Transition, usage: Usage) -> Self {
        Self { transition, result: None, result_object: None, error: None, error_kind: None, warnings: None, usage }
    }

    pub(super) fn failed(error: &TaskError, usage: Usage) -> Self {
        let transition = if is_cancel(error) { Transition::Cancel } else { Transition::Fail };
        let text = serde_json::to_string(error).map(Arc::from);
        Self { error: text.ok(), error_kind: Some(error.kind), ..Self::new(transition, usage) }
    }

    /// What a task is born with.
    pub(super) fn copied(copy: &CachedCopy) -> Self {
        let (result, warnings) = (copy.result.clone(), copy.warnings.clone());
        Self {
            result,
            result_object: copy.object.clone(),
            warnings,
            ..Self::new(Transition::Complete, Usage::default())
        }
    }

    /// The result, where its row holds it.
    pub(super) fn result_text(&self) -> Option<&Arc<str>> {
        self.result.as_ref()
    }

    pub(super) fn is_by_reference(&self) -> bool {
        self.result_object.is_some()
    }

    pub(super) fn error_text(&self) -> Option<&Arc<str>> {
        self.error.as_ref()
    }

    /// The state that a task in `from` gets.
    pub(super) fn state_after(&self, from: TaskState) -> Result<TaskState, StoreError> {
        from.after(self.transition).map_err(|error| StoreError::corrupt(error.to_string()))
    }
}

impl Writer {
    /// Ends the attempts whose claims hold; the others are stale.
    pub(super) async fn finish_all(&mut self, calls: &mut [Call<Box<Ending>, Written>]) -> Result<(), StoreError> {
        // A fence is given out once, so number and fence name one claim; of equal calls the first counts.
        let mut by_claim: HashMap<(i64, u64), usize> = HashMap::with_capacity(calls.len());
        let mut first = Vec::with_capacity(calls.len());
        for (index, call) in calls.iter_mut().enumerate() {
            call.answer = Some(Written::Stale);
            by_claim.entry((call.input.claim.no, call.input.claim.fence)).or_insert_with(|| {
                first.push(index);
                index
            });
        }
        let mut ended = Vec::with_capacity(first.len());
        let mut log_rows = Vec::new();
        for piece in pieces(&first) {
            let rows = self.end_running(calls, piece).await?;
            for row in rows {
                let no: i64 = row.try_get(0)?;
                let fence = u64::try_from(row.try_get::<i64>(6)?).unwrap_or(0);
                let Some(call) = by_claim.get(&(no, fence)).and_then(|index| calls.get_mut(*index)) else { continue };
                let lane: Lane = row.try_get::<&str>(4)?.parse().map_err(StoreError::corrupt)?;
                let (seq, log_bytes): (i64, i64) = (row.try_get(1)?, row.try_get(2)?);
                let ending = &call.input;
                let before = log_bytes - logs::bytes(&ending.logs);
                let first_seq = seq - 1 - logs::count(&ending.logs);
                let kept = logs::cut(&ending.logs, before, self.options.log_bytes_max);
                let at_ms = ending.at_ms;
                log_rows.extend((first_seq..).zip(kept).map(|(seq, piece)| LogRow { no, seq, at_ms, piece }));
                let tenant = TenantId(row.id(5)?);
                self.stopped(lane, tenant);
                ended.push(Ended {
                    no,
                    task: ending.claim.task,
                    tenant,
                    lane,
                    name: row.try_get(7)?,
                    webhook_url: row.try_get(8)?,
                    batch: row.try_get::<Option<Uuid>>(9)?.map(BatchId),
                    compile_ms: row.try_get(13)?,
                    internal: row.flag(14)?,
                    attempt: row.try_get(3)?,
                    state: ending.record.state_after(TaskState::Running)?,
                    done_seq: seq,
                    at_ms: ending.at_ms,
                    record: ending.record.clone(),
                    run: row.try_get::<Option<Uuid>>(10)?.map(RunId),
                    cache: match row.try_get::<Option<Vec<u8>>>(11)? {
                        Some(key) => Some((key, row.try_get(12)?)),
                        None => None,
                    },
                    artifacts: ending.artifacts.iter().map(|artifact| artifact.name.clone()).collect(),
                });
                call.answer = Some(Written::Done);
            }
        }
        self.record_ended(&ended).await?;
        self.insert_logs(&log_rows).await?;
        let done = calls.iter().filter(|call| call.answer == Some(Written::Done));
        let artifacts: Vec<_> = done
            .flat_map(|call| {
                let Ending { claim, artifacts, .. } = &*call.input;
                artifacts.iter().map(|artifact| (claim.no, claim.tenant, artifact))
            })
            .collect();
        self.insert_artifacts(&artifacts).await
    }

    /// The compare-and-set; answers the rows that it hit.
    async fn end_running(
        &mut self,
        calls: &[Call<Box<Ending>, Written>],
        indexes: &[usize],
    ) -> Result<Vec<Row>, StoreError> {
        let mut query = query(FINISH.sql(indexes.len()));
        for call in indexes.iter().filter_map(|index| calls.get(*index)) {
            let Ending { claim, at_ms, record, logs, .. } = &*call.input;
            query = query
                .bind(claim.no)
                .bind(i64::try_from(claim.fence).unwrap_or(i64::MAX))
                .bind(claim.lease.0.as_slice())
                .bind(record.state_after(TaskState::Running)?.as_str())
                .bind(*at_ms)
                .bind(logs::count(logs) + 2)
                .bind(logs::bytes(logs));
        }
        query.fetch_all(&mut self.conn).await
    }

    /// Ends one task that is queued, or running without a worker that could still report.
    pub(super) async fn end_one(&mut self, task: &LiveTask, record: Record) -> Result<(), StoreError> {
        self.end_live(&[(task, record)]).await
    }

    /// The same of several; a compare-and-set.
    pub(super) async fn end_live(&mut self, tasks: &[(&LiveTask, Record)]) -> Result<(), StoreError> {
        let mut ended = Vec::with_capacity(tasks.len());
        for piece in pieces(tasks) {
            let mut query = query(END.sql(piece.len()));
            for (task, record) in piece {
                query = query
                    .bind(task.no)
                    .bind(task.fence)
                    .bind(task.state.as_str())
                    .bind(record.state_after(task.state)?.as_str())
                    .bind(self.now_ms);
            }
            if self.run(query).await? != piece.len() as u64 {
                return Err(StoreError::corrupt("a task changed within the transaction that ends it"));
            }
        }
        for (task, record) in tasks {
            match task.state {
                TaskState::Queued => self.shared.counts().unqueue(task.place, task.tenant),
                _ => self.stopped(task.place.lane, task.tenant),
            }
            ended.push(Ended {
                no: task.no,
                task: task.id,
                tenant: task.tenant,
                lane: task.place.lane,
                name: task.name.clone(),
                webhook_url: task.webhook_url.clone(),
                batch: task.batch,
                compile_ms: task.compile_ms,
                internal: task.internal,
                attempt: task.attempt,
                state: record.state_after(task.state)?,
                done_seq: task.event_seq + 2,
                at_ms: self.now_ms,
                record: record.clone(),
                run: task.run,
                cache: None,
                artifacts: Vec::new(),
            });
        }
        self.record_ended(&ended).await
    }

    /// Result, usage and last event of tasks whose rows say that they have ended.
    pub(super) async fn record_ended(&mut self, ended: &[Ended]) -> Result<(), StoreError> {
        let chunks = self.ended_chunks(ended).await?;
        for piece in pieces(ended) {
            let mut query = script(&[&RESULTS, &USAGE, &EVENTS], piece.len());
            for Ended { no, record, .. } in piece {
                query = query
                    .bind(*no)
                    .bind(record.error.clone())
                    .bind(record.warnings.clone())
                    .bind(record.result.clone());
                let object = record.result_object.as_ref();
                query = query
                    .bind(object.map(|object| object.key.as_str()))
                    .bind(object.map(|object| i64::try_from(object.size_bytes).unwrap_or(i64::MAX)))
                    .bind(object.map(|object| object.sha256.0.as_slice()));
            }
            for Ended { no, tenant, lane, at_ms, compile_ms, record, .. } in piece {
                query = query.bind(*no).bind(*tenant).bind(lane.as_str()).bind(*at_ms);
                // Of a chunk, what its items used, in all its attempts.
                let usage = chunks.get(no).map_or(record.usage, |chunk| chunk.usage(record.usage));
                query = bind_usage(query, record.error_kind, &usage).bind(*compile_ms);
            }
            for Ended { no, state, attempt, done_seq, at_ms, .. } in piece {
                query = query.bind(*no).bind(*done_seq - 1).bind(*at_ms).bind(state.as_str()).bind(*attempt);
            }
            self.run(query).await?;
        }
        self.end_items(ended, &chunks).await?;
        self.remember_results(ended).await?;
        self.mail_ended(ended).await?;
        for ended in ended {
            if !ended.internal {
                self.tell_ended(ended);
            }
            let Ended { no, task, tenant, state, record, .. } = ended;
            let ended = EndedTask {
                tenant: *tenant,
                state: *state,
                result: record.result.clone(),
                by_reference: record.result_object.is_some(),
                error: record.error.clone(),
            };
            self.fresh().take(*no);
            self.changed(*task, Change::Ended(ended));
        }
        Ok(())
    }

    pub(super) async fn insert_artifacts(
        &mut self,
        artifacts: &[(i64, TenantId, &StoredArtifact)],
    ) -> Result<(), StoreError> {
        for piece in pieces(artifacts) {
            let mut query = query(ARTIFACTS.sql(piece.len()));
            for (no, tenant, artifact) in piece {
                query = query
                    .bind(*no)
                    .bind(*tenant)
                    .bind(artifact.name.as_str())
                    .bind(artifact.key.as_str())
                    .bind(i64::try_from(artifact.size_bytes).unwrap_or(i64::MAX))
                    .bind(artifact.sha256.0.as_slice())
                    .bind(artifact.content_type.as_str());
            }
            self.run(query).await?;
        }
        Ok(())
    }
}

/// A queued or running task as far as ending or re-queueing it needs.
pub(super) struct LiveTask {
    pub(super) no: i64,
    pub(super) id: TaskId,
    pub(super) tenant: TenantId,
    pub(super) place: Place,
    pub(super) state: TaskState,
    pub(super) attempt: i64,
    pub(super) lost_attempts: i64,
    pub(super) fence: i64,
    pub(super) event_seq: i64,
    pub(super) due_ms: i64,
    pub(super) created_ms: i64,
    pub(super) cancel_requested: bool,
    pub(super) name: Option<String>,
    pub(super) webhook_url: Option<String>,
    /// The batch whose items it runs.
    pub(super) batch: Option<BatchId>,
    pub(super) run: Option<RunId>,
    pub(super) compile_ms: Option<f64>,
    pub(super) internal: bool,
}

/// Binds the eleven columns that usage rows of tasks and of previews share.
pub(super) fn bind_usage(query: Query, error_kind: Option<ErrorKind>, usage: &Usage) -> Query {
    bind_used(query.bind(error_kind.map(ErrorKind::as_str)), usage)
}

/// Binds fuel, memory, the four times and what native kernels did.
pub(super) fn bind_used(query: Query, usage: &Usage) -> Query {
    let kernels = usage.kernels.as_ref();
    let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    query
        .bind(count(usage.fuel))
        .bind(count(usage.memory_peak_bytes))
        .bind(finite(usage.cpu_ms))
        .bind(finite(usage.queued_ms))
        .bind(finite(usage.startup_ms))
        .bind(finite(usage.execute_ms))
        .bind(kernels.map(|kernels| kernels.instructions.as_str()))
        .bind(kernels.map(|kernels| count(kernels.calls)))
        .bind(kernels.map(|kernels| count(kernels.flops)))
        .bind(kernels.map(|kernels| i64::from(kernels.price_version)))
}

/// SQLite has no NaN.
fn finite(value: f64) -> f64 {
    if value.is_finite() { value } else { 0.0 }
}

/// What a guest returned, unless it is too long.
pub(super) fn bounded(result: Result<Box<RawValue>, TaskError>, bytes_max: usize) -> Result<Box<RawValue>, TaskError> {
    let result = result?;
    let bytes = result.get().len();
    if bytes <= bytes_max {
        return Ok(result);
    }
    let message = format!("the result is {bytes} bytes of JSON; {bytes_max} are the most. Write large data to a file.");
    Err(TaskError::new(ErrorKind::InvalidOutput, message))
}

pub(super) fn warnings_json(warnings: &[Warning]) -> Option<Arc<str>> {
    if warnings.is_empty() { None } else { serde_json::to_string(warnings).ok().map(Arc::from) }
}
