//! A task from its rows.

use crate::StoreError;
use crate::clock::{from_unix_ms, unix_ms};
use crate::sql::Row;
use mecapy_model::{
    BatchId, Digest, KernelUsage, Kernels, Limits, NonFinite, Progress, Retry, Reuse, RunId, StudyId, Task, TaskId,
    TaskState, TenantId, Ties, UploadId, Usage, Warning,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use uuid::Uuid;

/// The columns that [`read_task`] takes, in its order. The inputs are `"s.inputs"`, or `"'null'"` for who doesn't show
/// them: they may be large.
macro_rules! task_columns {
    ($inputs:literal) => {
        concat!(
            "t.no, t.lost_attempts, t.event_seq, t.log_bytes, t.id, t.tenant, t.state, t.lane, t.priority, t.name, t.labels, \
             t.webhook_url, t.batch, t.run, t.study, t.cached_from, t.cache_key, t.created_ms, t.started_ms, t.completed_ms, t.attempt, t.fence, t.cancel_requested, t.progress_fraction, \
             t.progress_message, s.code, ",
            $inputs,
            ", s.settings, r.error, r.warnings, u.fuel, u.memory_peak_bytes, u.cpu_ms, u.queued_ms, u.startup_ms, \
             u.execute_ms, u.compile_ms, u.kernel_instructions, u.kernel_calls, u.kernel_flops, u.kernel_price_version"
        )
    };
}
pub(crate) use task_columns;

/// How many they are.
pub(crate) const TASK_COLUMNS: usize = 41;

/// Where [`task_columns`] come from.
macro_rules! task_from {
    () => {
        " FROM tasks t JOIN task_specs s ON s.no = t.no LEFT JOIN results r ON r.no = t.no \
         LEFT JOIN task_usage u ON u.no = t.no"
    };
}
pub(crate) use task_from;

/// What of a task is written once and never searched.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Settings {
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    files: BTreeMap<String, UploadId>,
    limits: Limits,
    retry: Retry,
    seed: u64,
    non_finite: NonFinite,
    #[serde(default)]
    kernels: Kernels,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    run_at_ms: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    retry_of: Option<TaskId>,
    /// Of the source; those of the run are with its result.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    warnings: Vec<Warning>,
    #[serde(skip_serializing_if = "Reuse::is_off", default)]
    reuse: Reuse,
}

impl Settings {
    pub(crate) fn of(task: &Task) -> Self {
        Self {
            files: task.files.clone(),
            limits: task.limits,
            retry: task.retry,
            seed: task.seed,
            non_finite: task.non_finite,
            kernels: task.kernels,
            run_at_ms: task.run_at.map(unix_ms),
            retry_of: task.retry_of,
            warnings: task.warnings.clone(),
            reuse: task.ties.reuse,
        }
    }
}

/// A task with what only the store and the worker need of it.
#[derive(Debug)]
pub(crate) struct ReadTask {
    pub(crate) no: i64,
    pub(crate) lost_attempts: u32,
    pub(crate) event_seq: i64,
    /// What was said so far, in all attempts, also where it was not kept.
    pub(crate) log_bytes: u64,
    pub(crate) task: Task,
}

/// Reads a row of [`task_columns`].
pub(crate) fn read_task(row: &Row) -> Result<ReadTask, StoreError> {
    let mut columns = Columns { row, next: 0 };
    let (no, lost_attempts, event_seq) = (columns.take()?, columns.number()?, columns.take()?);
    let log_bytes = columns.count()?;
    let (id, tenant) = (TaskId(columns.take()?), TenantId(columns.take()?));
    let state: TaskState = columns.take::<&str>()?.parse().map_err(StoreError::corrupt)?;
    let lane = columns.take::<&str>()?.parse().map_err(StoreError::corrupt)?;
    let (priority, name) = (columns.number()?, columns.take()?);
    let labels = columns.json()?.unwrap_or_default();
    let webhook_url = columns.take()?;
    let ties = read_ties(&mut columns)?;
    let created_at = from_unix_ms(columns.take()?);
    let started_at = columns.take::<Option<i64>>()?.map(from_unix_ms);
    let completed_at = columns.take::<Option<i64>>()?.map(from_unix_ms);
    let (attempt, fence, cancel_requested) = (columns.number()?, columns.count()?, columns.count()? != 0);
    let (fraction, message): (Option<f64>, Option<String>) = (columns.take()?, columns.take()?);
    let code = columns.json()?.ok_or_else(|| StoreError::corrupt("a task without code"))?;
    let inputs = RawValue::from_string(columns.take()?).map_err(|error| StoreError::corrupt(error.to_string()))?;
    let settings: Settings = columns.json()?.ok_or_else(|| StoreError::corrupt("a task without settings"))?;
    let error = columns.json()?;
    let of_the_run: Vec<Warning> = columns.json()?.unwrap_or_default();
    let usage = read_usage(&mut columns)?;
    let task = Task {
        id,
        tenant,
        name,
        state,
        lane,
        priority,
        code,
        inputs,
        files: settings.files,
        limits: settings.limits,
        retry: settings.retry,
        seed: settings.seed,
        non_finite: settings.non_finite,
        kernels: settings.kernels,
        labels,
        run_at: settings.run_at_ms.map(from_unix_ms),
        created_at,
        started_at,
        completed_at,
        attempt,
        fence,
        cancel_requested,
        progress: fraction.map(|fraction| Progress { fraction, message }),
        error,
        warnings: [settings.warnings, of_the_run].concat(),
        retry_of: settings.retry_of,
        webhook_url,
        ties: Ties { reuse: settings.reuse, ..ties },
        usage,
    };
    Ok(ReadTask { no, lost_attempts, event_seq, log_bytes, task })
}

fn read_ties(columns: &mut Columns<'_>) -> Result<Ties, StoreError> {
    let (batch, run, study): (Option<Uuid>, Option<Uuid>, Option<Uuid>) =
        (columns.take()?, columns.take()?, columns.take()?);
    let cached_from: Option<Uuid> = columns.take()?;
    let cache_key: Option<&[u8]> = columns.take()?;
    Ok(Ties {
        batch: batch.map(BatchId),
        run: run.map(RunId),
        study: study.map(StudyId),
        cached_from: cached_from.map(TaskId),
        cache_key: cache_key.map(|bytes| bytes_of(bytes).map(Digest)).transpose()?,
        ..Ties::default()
    })
}

fn read_usage(columns: &mut Columns<'_>) -> Result<Option<Usage>, StoreError> {
    let fuel: Option<i64> = columns.take()?;
    let memory: Option<i64> = columns.take()?;
    let (Some(fuel), Some(memory)) = (fuel, memory) else { return Ok(None) };
    Ok(Some(Usage {
        fuel: u64::try_from(fuel).unwrap_or(0),
        memory_peak_bytes: u64::try_from(memory).unwrap_or(0),
        cpu_ms: columns.take()?,
        queued_ms: columns.take()?,
        startup_ms: columns.take()?,
        execute_ms: columns.take()?,
        compile_ms: columns.take()?,
        kernels: read_kernels(columns.row, columns.next)?,
    }))
}

/// What native kernels did, from four columns from `first` on: the instructions, calls, operations and the prices'
/// version; all null where there was nothing.
pub(crate) fn read_kernels(row: &Row, first: usize) -> Result<Option<KernelUsage>, StoreError> {
    let Some(instructions) = row.try_get::<Option<&str>>(first)? else { return Ok(None) };
    Ok(Some(KernelUsage {
        instructions: instructions.parse().map_err(StoreError::corrupt)?,
        calls: row.count(first + 1)?,
        flops: row.count(first + 2)?,
        price_version: u32::try_from(row.count(first + 3)?).unwrap_or(u32::MAX),
    }))
}

/// Takes a row's columns from left to right.
struct Columns<'r> {
    row: &'r Row,
    next: usize,
}

impl<'r> Columns<'r> {
    fn take<T>(&mut self) -> Result<T, StoreError>
    where
        T: sqlx::Decode<'r, sqlx::Sqlite>
            + sqlx::Type<sqlx::Sqlite>
            + sqlx::Decode<'r, sqlx::Postgres>
            + sqlx::Type<sqlx::Postgres>,
    {
        let value = self.row.try_get(self.next)?;
        self.next += 1;
        Ok(value)
    }

    /// A whole number of a narrower type.
    fn number<T: TryFrom<i64>>(&mut self) -> Result<T, StoreError> {
        T::try_from(self.take()?).map_err(|_| StoreError::corrupt("a number is out of range"))
    }

    fn count(&mut self) -> Result<u64, StoreError> {
        Ok(u64::try_from(self.take::<i64>()?).unwrap_or(0))
    }

    fn json<T: serde::de::DeserializeOwned>(&mut self) -> Result<Option<T>, StoreError> {
        let text: Option<&str> = self.take()?;
        text.map(serde_json::from_str).transpose().map_err(|error| StoreError::corrupt(error.to_string()))
    }
}

/// Fixed-size bytes, such as a digest.
pub(crate) fn bytes_of<const N: usize>(bytes: &[u8]) -> Result<[u8; N], StoreError> {
    bytes.try_into().map_err(|_| StoreError::corrupt(format!("a value is not {N} bytes")))
}
