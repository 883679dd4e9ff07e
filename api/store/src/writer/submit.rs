//! Accepting tasks.

use super::admission::Admission;
use super::batch::Call;
use super::state::{Writer, weight};
use crate::clock::unix_ms;
use crate::reading::{Settings, bytes_of, read_task, task_columns};
use crate::shared::Change;
use crate::sql::{self, Rows, pieces, query, script};
use crate::{CachedCopy, Idempotency, OverQuota, Replayed, StoreError, Submitted};
use mecapy_model::{Code, Executor, Lane, Room, Task, TaskId, TaskState, TenantId, Ties, UploadId};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

/// A task as its rows will say it; made on the caller's side, where work is not serialised.
pub(crate) struct NewRow {
    pub(super) id: TaskId,
    pub(super) tenant: TenantId,
    pub(super) lane: Lane,
    priority: u8,
    run_at_ms: Option<i64>,
    created_ms: i64,
    pub(super) name: Option<Arc<str>>,
    labels: Option<Arc<str>>,
    pub(super) webhook_url: Option<Arc<str>>,
    /// What its container needs; `None` for a sandbox.
    needs: Option<Room>,
    /// Whether it is the platform's own: not listed, and nobody is told of its end.
    internal: bool,
    /// The published function that it calls, in whichever version.
    function: Option<Arc<str>>,
    pub(super) ties: Ties,
    code: Arc<str>,
    inputs: Arc<str>,
    settings: Arc<str>,
    files: Vec<(String, UploadId)>,
    idempotency: Option<Idempotency>,
    queued_max: u32,
    /// The day's fuel, where it is used up.
    over_fuel: Option<OverQuota>,
    /// What it is born with, instead of being queued.
    pub(super) cached: Option<Box<CachedCopy>>,
    /// For the claim that is likely to follow soon.
    fresh: Option<Box<Task>>,
}

pub(crate) enum SubmitAnswer {
    /// The task is new; so many are ahead of it.
    Accepted {
        queue_position: Option<u64>,
    },
    /// The idempotency key made this one before.
    Earlier(Box<Submitted>),
    Refused(SubmitRefusal),
}

#[derive(Debug, Clone)]
pub(crate) enum SubmitRefusal {
    IdempotencyMismatch,
    QueueFull { queued_max: u32 },
    OverFuel(OverQuota),
    TenantDisabled,
    UnknownUpload { file: String },
}

/// A task with more code and inputs is read again when it is claimed.
const FRESH_TASK_BYTES_MAX: usize = 64 << 10;

/// What a key was used for.
enum Used {
    Before {
        digest: [u8; 32],
        task_no: i64,
        queue_position: Option<u64>,
    },
    /// By the accepted call with this index, in the same transaction.
    Now {
        digest: [u8; 32],
        call: usize,
    },
}

const TASKS: Rows = Rows {
    head: "INSERT INTO tasks (no, id, tenant, state, lane, priority, queue_rank, queue_group, due_ms, timed, created_ms, \
           name, labels, webhook_url, cpus, memory_bytes, function, batch, run, study, cached_from, cache_key, internal)",
    width: 23,
    tail: "",
};
const SPECS: Rows = Rows { head: "INSERT INTO task_specs (no, code, inputs, settings)", width: 4, tail: "" };
pub(super) const EVENTS: Rows =
    Rows { head: "INSERT INTO task_events (no, seq, at_ms, state, attempt)", width: 5, tail: "" };
/// A key whose task was deleted serves again.
const KEYS: Rows = Rows {
    head: "INSERT INTO idempotency (tenant, key, body_digest, task_no, created_ms, queue_position)",
    width: 6,
    tail: " ON CONFLICT (tenant, key) DO UPDATE SET body_digest = excluded.body_digest, task_no = excluded.task_no, \
           created_ms = excluded.created_ms, queue_position = excluded.queue_position",
};
const FILES: Rows = Rows { head: "INSERT INTO task_files (no, upload)", width: 2, tail: "" };
const KNOWN_KEYS: Rows = Rows {
    head: "SELECT tenant, key, body_digest, task_no, queue_position FROM idempotency WHERE (tenant, key) IN (",
    width: 2,
    tail: ")",
};

impl NewRow {
    pub(super) fn tenant(&self) -> TenantId {
        self.tenant
    }

    fn executor(&self) -> Executor {
        if self.needs.is_some() { Executor::Container } else { Executor::Sandbox }
    }

    /// The task itself, once.
    pub(super) fn take_fresh(&mut self) -> Option<Task> {
        self.fresh.take().map(|task| *task)
    }

    pub(super) fn queued_max(&self) -> u32 {
        self.queued_max
    }

    fn asked(&self) -> Asked<'_> {
        // What is born with its result neither waits nor runs.
        let runs = self.cached.is_none();
        let (tenant, queued_max) = (self.tenant, self.queued_max);
        let over_fuel = self.over_fuel.filter(|_| runs);
        Asked { tenant, tasks: u64::from(runs), queued_max, over_fuel, files: &self.files }
    }

    /// Refused unless it repeats an earlier request.
    pub(crate) fn over_fuel(self, over_fuel: Option<OverQuota>) -> Self {
        Self { over_fuel, ..self }
    }

    /// The task is completed from the start where there is something that it is born with.
    pub(crate) fn born_with(self, cached: Option<CachedCopy>) -> Self {
        let fresh = self.fresh.filter(|_| cached.is_none());
        Self { cached: cached.map(Box::new), fresh, ..self }
    }

    pub(crate) fn new(task: &Task, idempotency: Option<Idempotency>, queued_max: u32) -> Result<Self, StoreError> {
        let json = |error: serde_json::Error| StoreError::corrupt(error.to_string());
        let labels = match task.labels.is_empty() {
            true => None,
            false => Some(serde_json::to_string(&task.labels).map_err(json)?.into()),
        };
        let mut files: Vec<_> = task.files.iter().map(|(name, upload)| (name.clone(), *upload)).collect();
        files.sort_by_key(|(_, upload)| *upload);
        Ok(Self {
            id: task.id,
            tenant: task.tenant,
            lane: task.lane,
            priority: task.priority,
            run_at_ms: task.run_at.map(unix_ms),
            created_ms: unix_ms(task.created_at),
            name: task.name.as_deref().map(Arc::from),
            labels,
            webhook_url: task.webhook_url.as_deref().map(Arc::from),
            needs: (task.code.executor() == Executor::Container).then(|| task.code.room(&task.limits)),
            internal: matches!(task.code, Code::Compile { .. }),
            function: task.code.function().map(Arc::from),
            ties: task.ties,
            code: serde_json::to_string(&task.code).map_err(json)?.into(),
            inputs: task.inputs.get().into(),
            settings: serde_json::to_string(&Settings::of(task)).map_err(json)?.into(),
            files,
            idempotency,
            queued_max,
            over_fuel: None,
            cached: None,
            fresh: (weight(task) <= FRESH_TASK_BYTES_MAX).then(|| Box::new(task.clone())),
        })
    }
}

/// A row that is accepted, with its number and place.
pub(super) struct Accepted<'a> {
    pub(super) no: i64,
    due_ms: i64,
    queue_position: Option<u64>,
    pub(super) row: &'a NewRow,
}

/// What a tenant asks for, as far as it may be refused.
pub(super) struct Asked<'a> {
    pub(super) tenant: TenantId,
    /// How many tasks.
    pub(super) tasks: u64,
    pub(super) queued_max: u32,
    pub(super) over_fuel: Option<OverQuota>,
    pub(super) files: &'a [(String, UploadId)],
}

impl Writer {
    pub(super) async fn submit_all(
        &mut self,
        calls: &mut [Call<Box<NewRow>, SubmitAnswer>],
        admission: &mut Admission,
    ) -> Result<(), StoreError> {
        let mut used = self.used_keys(calls).await?;
        let mut accepted = Vec::with_capacity(calls.len());
        let mut answers = Vec::with_capacity(calls.len());
        let mut repeats = Vec::new();
        for (index, call) in calls.iter().enumerate() {
            let row = &*call.input;
            if let Some(key) = &row.idempotency {
                match used.get(&(row.tenant, key.key.as_str())) {
                    Some(Used::Before { digest, task_no, queue_position }) => {
                        // Of a task that was deleted nothing is left to repeat: the key serves again.
                        if let Some(earlier) = earlier(&mut self.conn, *task_no, *queue_position).await? {
                            let same = *digest == key.body_digest;
                            let mismatch = SubmitAnswer::Refused(SubmitRefusal::IdempotencyMismatch);
                            let answer = if same { SubmitAnswer::Earlier(Box::new(earlier)) } else { mismatch };
                            answers.push(Some(answer));
                            continue;
                        }
                    }
                    Some(Used::Now { digest, call }) => {
                        if *digest == key.body_digest {
                            repeats.push((index, *call));
                            answers.push(None);
                        } else {
                            answers.push(Some(SubmitAnswer::Refused(SubmitRefusal::IdempotencyMismatch)));
                        }
                        continue;
                    }
                    None => {}
                }
            }
            if let Some(refusal) = self.refusal(&row.asked(), admission).await? {
                answers.push(Some(SubmitAnswer::Refused(refusal)));
                continue;
            }
            if let Some(key) = &row.idempotency {
                let now = Used::Now { digest: key.body_digest, call: accepted.len() };
                used.insert((row.tenant, key.key.as_str()), now);
            }
            admission.admit(row.tenant, row.asked().tasks);
            let task = self.enqueue(row);
            answers.push(Some(SubmitAnswer::Accepted { queue_position: task.queue_position }));
            accepted.push(task);
        }
        self.insert_accepted(&accepted).await?;
        for (index, first) in repeats {
            let (no, position) = accepted.get(first).map_or((0, None), |task| (task.no, task.queue_position));
            let earlier = earlier(&mut self.conn, no, position).await?;
            let earlier = earlier.ok_or_else(|| StoreError::corrupt("a task just accepted is gone"))?;
            if let Some(answer) = answers.get_mut(index) {
                *answer = Some(SubmitAnswer::Earlier(Box::new(earlier)));
            }
        }
        let numbers: HashMap<TaskId, i64> = accepted.iter().map(|task| (task.row.id, task.no)).collect();
        for (call, answer) in calls.iter_mut().zip(answers) {
            if let (Some(no), Some(task)) = (numbers.get(&call.input.id), call.input.take_fresh()) {
                self.fresh().keep(*no, task);
            }
            call.answer = answer;
        }
        Ok(())
    }

    /// Accepts tasks that are known not to be refused and have no idempotency keys; answers their numbers.
    pub(super) async fn accept_all(
        &mut self,
        rows: &[&NewRow],
        admission: &mut Admission,
    ) -> Result<Vec<i64>, StoreError> {
        self.have_numbers(rows.len()).await?;
        let mut accepted = Vec::with_capacity(rows.len());
        for row in rows {
            admission.admit(row.tenant, row.asked().tasks);
            accepted.push(self.enqueue(row));
        }
        self.insert_accepted(&accepted).await?;
        Ok(accepted.iter().map(|task| task.no).collect())
    }

    /// Counts the task in, unless it is born completed, and gives it its number and place.
    pub(super) fn enqueue<'a>(&mut self, row: &'a NewRow) -> Accepted<'a> {
        let no = self.numbers.draw();
        let due_ms = row.run_at_ms.unwrap_or(0).max(self.now_ms);
        if row.cached.is_some() {
            self.changed(row.id, Change::Accepted { tenant: row.tenant });
            return Accepted { no, due_ms, queue_position: None, row };
        }
        let place = self.place(row.lane, row.executor(), row.priority, row.tenant);
        let mut counts = self.shared.counts();
        let position = match row.lane {
            Lane::Default => counts.fair_position(place.rank, row.tenant, counts.queued_at(place)),
            Lane::HighPriority | Lane::LongRunning => counts.open_in(row.lane, row.executor()),
        };
        counts.queue(place, row.tenant, due_ms);
        drop(counts);
        self.wake(row.lane, row.executor());
        // Nobody waits for a task that is one of many of a batch.
        if row.ties.batch.is_none() {
            self.changed(row.id, Change::Accepted { tenant: row.tenant });
        }
        Accepted { no, due_ms, queue_position: Some(position), row }
    }

    /// The first of these tasks that can't be accepted after those before it, by its place, and why; `None` where all can.
    pub(super) async fn refused_of(
        &mut self,
        rows: &[&NewRow],
        admission: &Admission,
    ) -> Result<Option<(usize, SubmitRefusal)>, StoreError> {
        let mut ahead: HashMap<TenantId, u64> = HashMap::new();
        let mut complete: HashSet<UploadId> = HashSet::new();
        for (at, row) in rows.iter().enumerate() {
            let mut asked = row.asked();
            let ahead = ahead.entry(row.tenant).or_default();
            *ahead += asked.tasks;
            // What is queued with those before it; what needs no place in the queue finds one always.
            asked.tasks = if asked.tasks == 0 { 0 } else { *ahead };
            // Many tasks have the same files as a rule.
            if asked.files.iter().all(|(_, upload)| complete.contains(upload)) {
                asked.files = &[];
            }
            if let Some(refusal) = self.refusal(&asked, admission).await? {
                return Ok(Some((at, refusal)));
            }
            complete.extend(asked.files.iter().map(|(_, upload)| *upload));
        }
        Ok(None)
    }

    pub(super) async fn refusal(
        &mut self,
        asked: &Asked<'_>,
        admission: &Admission,
    ) -> Result<Option<SubmitRefusal>, StoreError> {
        let Some(line) = admission.line_of(asked.tenant) else { return Ok(Some(SubmitRefusal::TenantDisabled)) };
        let queued_max = line.queued_max.unwrap_or(asked.queued_max);
        if asked.tasks > 0 && line.queued.saturating_add(asked.tasks) > u64::from(queued_max) {
            return Ok(Some(SubmitRefusal::QueueFull { queued_max }));
        }
        if let Some(over) = asked.over_fuel {
            return Ok(Some(SubmitRefusal::OverFuel(over)));
        }
        for (file, upload) in asked.files {
            let sql = "SELECT 1 FROM uploads WHERE id = ? AND tenant = ? AND state = 'complete'";
            let query = query(sql).bind(*upload).bind(asked.tenant);
            if query.fetch_optional(&mut self.conn).await?.is_none() {
                return Ok(Some(SubmitRefusal::UnknownUpload { file: file.clone() }));
            }
        }
        Ok(None)
    }

    async fn insert_accepted(&mut self, accepted: &[Accepted<'_>]) -> Result<(), StoreError> {
        self.insert_tasks(accepted).await?;
        self.insert_attachments(accepted).await?;
        self.end_copies(accepted).await
    }

    async fn used_keys<'a>(
        &mut self,
        calls: &'a [Call<Box<NewRow>, SubmitAnswer>],
    ) -> Result<HashMap<(TenantId, &'a str), Used>, StoreError> {
        let keyed = |call: &'a Call<Box<NewRow>, SubmitAnswer>| {
            call.input.idempotency.as_ref().map(|key| (call.input.tenant, key.key.as_str()))
        };
        let keys: Vec<(TenantId, &'a str)> = calls.iter().filter_map(keyed).collect();
        let mut known = HashMap::new();
        for piece in pieces(&keys) {
            let mut query = query(KNOWN_KEYS.sql(piece.len()));
            for (tenant, key) in piece {
                query = query.bind(*tenant).bind(*key);
            }
            for row in query.fetch_all(&mut self.conn).await? {
                let tenant = TenantId(row.id(0)?);
                let key: String = row.try_get(1)?;
                let queue_position = row.try_get::<Option<i64>>(4)?.and_then(|position| u64::try_from(position).ok());
                let digest = bytes_of(row.try_get(2)?)?;
                let used = Used::Before { digest, task_no: row.try_get(3)?, queue_position };
                known.insert((tenant, key), used);
            }
        }
        let find = |(tenant, key): (TenantId, &'a str)| {
            known.remove(&(tenant, key.to_owned())).map(|used| ((tenant, key), used))
        };
        Ok(keys.into_iter().filter_map(find).collect())
    }

    pub(super) async fn insert_tasks(&mut self, accepted: &[Accepted<'_>]) -> Result<(), StoreError> {
        for piece in pieces(accepted) {
            let mut query = script(&[&TASKS, &SPECS, &EVENTS], piece.len());
            for Accepted { no, due_ms, row, .. } in piece {
                let place = self.place(row.lane, row.executor(), row.priority, row.tenant);
                query = query
                    .bind(*no)
                    .bind(row.id)
                    .bind(row.tenant)
                    .bind(TaskState::Queued.as_str())
                    .bind(row.lane.as_str())
                    .bind(row.priority)
                    .bind(place.rank)
                    .bind(place.group.id())
                    .bind(*due_ms)
                    .bind(row.run_at_ms.is_some())
                    .bind(row.created_ms)
                    .bind(row.name.clone())
                    .bind(row.labels.clone())
                    .bind(row.webhook_url.clone())
                    .bind(row.needs.map(|needs| i64::from(needs.cpus)))
                    .bind(row.needs.map(|needs| i64::try_from(needs.memory_bytes).unwrap_or(i64::MAX)))
                    .bind(row.function.clone())
                    .bind(row.ties.batch.map(|batch| batch.0))
                    .bind(row.ties.run.map(|run| run.0))
                    .bind(row.ties.study.map(|study| study.0))
                    .bind(row.ties.cached_from.map(|task| task.0))
                    .bind(row.ties.cache_key.map(|key| key.0.to_vec()))
                    .bind(row.internal);
            }
            for Accepted { no, row, .. } in piece {
                query = query.bind(*no).bind(row.code.clone()).bind(row.inputs.clone()).bind(row.settings.clone());
            }
            for Accepted { no, row, .. } in piece {
                query = query.bind(*no).bind(1_i64).bind(row.created_ms).bind(TaskState::Queued.as_str()).bind(0_i64);
            }
            self.run(query).await?;
        }
        Ok(())
    }

    /// Idempotency rows and input files, which most tasks have none of.
    async fn insert_attachments(&mut self, accepted: &[Accepted<'_>]) -> Result<(), StoreError> {
        let keyed: Vec<_> =
            accepted.iter().filter_map(|task| task.row.idempotency.as_ref().map(|key| (task, key))).collect();
        for piece in pieces(&keyed) {
            let mut query = query(KEYS.sql(piece.len()));
            for (task, key) in piece {
                query = query
                    .bind(task.row.tenant)
                    .bind(key.key.as_str())
                    .bind(key.body_digest.as_slice())
                    .bind(task.no)
                    .bind(task.row.created_ms)
                    .bind(task.queue_position.and_then(|position| i64::try_from(position).ok()));
            }
            self.run(query).await?;
        }
        let mut files = Vec::new();
        for task in accepted {
            let mut uploads: Vec<UploadId> = task.row.files.iter().map(|(_, upload)| *upload).collect();
            uploads.dedup();
            files.extend(uploads.into_iter().map(|upload| (task.no, upload)));
        }
        for piece in pieces(&files) {
            let mut query = query(FILES.sql(piece.len()));
            for (no, upload) in piece {
                query = query.bind(*no).bind(*upload);
            }
            self.run(query).await?;
        }
        // In one order everywhere, so that two processes never hold what the other waits for.
        for upload in files.iter().map(|(_, upload)| *upload).collect::<BTreeSet<_>>() {
            self.keep_upload(upload).await?;
        }
        Ok(())
    }
}

/// A task that an idempotency key made before, as it was then, unless it was deleted.
pub(crate) async fn earlier(
    on: impl Into<sql::Executor<'_>>,
    task_no: i64,
    queue_position: Option<u64>,
) -> Result<Option<Submitted>, StoreError> {
    // Nothing of what came out of it.
    const SQL: &str = concat!(
        "SELECT ",
        task_columns!("s.inputs"),
        " FROM tasks t JOIN task_specs s ON s.no = t.no LEFT JOIN results r ON r.no = -1 \
         LEFT JOIN task_usage u ON u.no = -1 WHERE t.no = ?"
    );
    let Some(row) = query(SQL).bind(task_no).fetch_optional(on).await? else { return Ok(None) };
    Ok(Some(Submitted { task: as_accepted(read_task(&row)?.task), queue_position, replayed: Replayed::Yes }))
}

/// A task as it was when it was accepted.
fn as_accepted(task: Task) -> Task {
    if task.ties.cached_from.is_some() {
        return task;
    }
    Task {
        state: TaskState::Queued,
        started_at: None,
        completed_at: None,
        attempt: 0,
        fence: 0,
        cancel_requested: false,
        progress: None,
        ..task
    }
}
