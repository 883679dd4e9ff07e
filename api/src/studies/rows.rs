//! All that belongs to a study as rows of one table: a row for each task, each workflow run, and each item of each batch,
//! newest members first. Read page by page, so that however many there are, few are in memory.

use super::json;
use crate::{
    batches,
    tables::{Kind, Part},
};
use mecapy_model::{BatchId, RunId, StudyId, Task, TaskId, TenantId};
use mecapy_store::{BatchRow, ListError, MemberKind, PageRequest, RunRow, Store, StoreError, StudyMember};
use std::{
    collections::{HashMap, VecDeque},
    mem,
};
use time::{OffsetDateTime, UtcOffset, format_description::BorrowedFormatItem, macros::format_description};
use uuid::Uuid;

/// Members that are read at once.
const MEMBERS_PAGE: u32 = 200;
/// Rows of a page that are no items.
const ROWS_PAGE: usize = 100;
/// The texts of a page, bytes: the row that passes it is the page's last.
const PAGE_BYTES_MAX: usize = 4 << 20;
const TIME: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

/// What a row is made of, in its order.
pub const PARTS: [Part; 14] = [
    Part::Fixed("kind", &[("", Kind::Text)]),
    Part::Fixed("id", &[("", Kind::Text)]),
    Part::Fixed("index", &[("", Kind::Integer)]),
    Part::Fixed("name", &[("", Kind::Text)]),
    Part::Fixed("state", &[("", Kind::Text)]),
    Part::Found("labels"),
    Part::Found("inputs"),
    Part::Found("result"),
    Part::Found("outputs"),
    Part::Fixed("error", &[("kind", Kind::Text), ("message", Kind::Text)]),
    Part::Fixed(
        "usage",
        &[
            ("fuel", Kind::Integer),
            ("memory_peak_bytes", Kind::Integer),
            ("cpu_ms", Kind::Double),
            ("queued_ms", Kind::Double),
            ("startup_ms", Kind::Double),
            ("execute_ms", Kind::Double),
        ],
    ),
    Part::Fixed("created_at", &[("", Kind::Text)]),
    Part::Fixed("started_at", &[("", Kind::Text)]),
    Part::Fixed("completed_at", &[("", Kind::Text)]),
];

/// One row: the JSON text of each of [`PARTS`].
#[derive(Debug, Clone)]
pub struct RowTexts {
    kind: String,
    id: String,
    index: String,
    name: String,
    state: String,
    labels: String,
    inputs: String,
    result: String,
    outputs: String,
    error: String,
    usage: String,
    created_at: String,
    started_at: String,
    completed_at: String,
}

/// Reads the rows of a study.
pub struct Rows {
    store: Store,
    tenant: TenantId,
    study: StudyId,
    members: Members,
    /// The batch whose items are being read.
    open: Option<OpenBatch>,
    pass: Pass,
}

/// The members that no page had yet.
#[derive(Default)]
struct Members {
    page: VecDeque<StudyMember>,
    cursor: Option<String>,
    is_at_end: bool,
}

struct OpenBatch {
    id: Uuid,
    head: RowTexts,
    rows: batches::Rows,
}

/// Whether rows are looked at twice. What has ended, or is there, since the first look counts as it did then: its columns
/// may not be among those that were found.
enum Pass {
    Only,
    First(Seen),
    Second(Seen),
}

/// What the first look saw.
#[derive(Default)]
struct Seen {
    /// Ids rise with time: there are no newer members than this one.
    newest: Option<Uuid>,
    /// The states of tasks and runs that had not ended.
    unfinished: HashMap<Uuid, String>,
    /// The items of batches that had not.
    batches: HashMap<Uuid, batches::Rows>,
}

impl RowTexts {
    /// The JSON text of each part.
    pub fn parts(&self) -> [&str; PARTS.len()] {
        [
            &self.kind,
            &self.id,
            &self.index,
            &self.name,
            &self.state,
            &self.labels,
            &self.inputs,
            &self.result,
            &self.outputs,
            &self.error,
            &self.usage,
            &self.created_at,
            &self.started_at,
            &self.completed_at,
        ]
    }

    fn of(kind: &str, id: Uuid, name: Option<&str>, created_at: OffsetDateTime) -> Self {
        let null = || "null".to_owned();
        Self {
            kind: json(&kind),
            id: json(&id),
            index: null(),
            name: json(&name),
            state: null(),
            labels: null(),
            inputs: null(),
            result: null(),
            outputs: null(),
            error: null(),
            usage: null(),
            created_at: time(Some(created_at)),
            started_at: null(),
            completed_at: null(),
        }
    }

    fn of_task(task: &Task, result: Option<&str>) -> Self {
        Self {
            state: json(&task.state),
            labels: json(&task.labels),
            inputs: task.inputs.get().to_owned(),
            result: result.unwrap_or("null").to_owned(),
            error: json(&task.error),
            usage: json(&task.usage),
            started_at: time(task.started_at),
            completed_at: time(task.completed_at),
            ..Self::of("task", task.id.0, task.name.as_deref(), task.created_at)
        }
    }

    fn of_run(run: &RunRow) -> Self {
        Self {
            state: json(&run.state.as_str()),
            labels: json(&run.labels),
            inputs: run.inputs.get().to_owned(),
            outputs: json(&run.outputs),
            error: json(&run.error),
            completed_at: time(run.completed_at),
            started_at: time(Some(run.created_at)),
            ..Self::of("workflow_run", run.id.0, run.name.as_deref(), run.created_at)
        }
    }

    /// What all items of a batch have.
    fn of_batch(batch: &BatchRow) -> Self {
        Self { labels: json(&batch.labels), ..Self::of("item", batch.id.0, batch.name.as_deref(), batch.created_at) }
    }

    fn with_item(self, item: &batches::RowTexts) -> Self {
        let [index, state, inputs, result, error, _, _, usage, _] = item.parts().map(str::to_owned);
        Self { index, state, inputs, result, error, usage, ..self }
    }

    /// As it was while it had not ended.
    fn unfinished(self, state: String) -> Self {
        let null = || "null".to_owned();
        Self { state, result: null(), outputs: null(), error: null(), usage: null(), completed_at: null(), ..self }
    }

    fn bytes(&self) -> usize {
        self.parts().map(str::len).iter().sum()
    }
}

impl Rows {
    pub fn new(store: Store, tenant: TenantId, study: StudyId) -> Self {
        Self { store, tenant, study, members: Members::default(), open: None, pass: Pass::Only }
    }

    /// Remembers from now on what had not ended, so that [`again`](Self::again) finds the same.
    pub fn remember(&mut self) {
        self.pass = Pass::First(Seen::default());
    }

    /// Begins once more, for those who look twice.
    pub fn again(&mut self) {
        self.members = Members::default();
        if let Pass::First(seen) = &mut self.pass {
            self.pass = Pass::Second(mem::take(seen));
        }
    }

    /// The next rows; none at the end.
    pub async fn page(&mut self) -> Result<Vec<RowTexts>, StoreError> {
        let (mut rows, mut bytes) = (Vec::new(), 0);
        while rows.len() < ROWS_PAGE && bytes < PAGE_BYTES_MAX {
            if let Some(open) = &mut self.open {
                let items = open.rows.page(batches::ROWS_PAGE).await?;
                if !items.is_empty() {
                    rows.extend(items.iter().map(|item| open.head.clone().with_item(item)));
                    return Ok(rows);
                }
                self.close();
            }
            let Some(member) = self.next().await? else { break };
            let row = match member.kind {
                MemberKind::Task => self.task(TaskId(member.id)).await?,
                MemberKind::WorkflowRun => self.run(RunId(member.id)).await?,
                MemberKind::Batch => {
                    self.open(BatchId(member.id)).await?;
                    None
                }
            };
            // One that was deleted meanwhile has no row.
            if let Some(row) = row {
                bytes += row.bytes();
                rows.push(row);
            }
        }
        Ok(rows)
    }

    async fn next(&mut self) -> Result<Option<StudyMember>, StoreError> {
        loop {
            let Some(member) = self.members.page.pop_front() else {
                if self.members.is_at_end {
                    return Ok(None);
                }
                self.read().await?;
                continue;
            };
            match &mut self.pass {
                Pass::Only => return Ok(Some(member)),
                Pass::First(seen) => {
                    seen.newest.get_or_insert(member.id);
                    return Ok(Some(member));
                }
                Pass::Second(seen) if seen.newest.is_some_and(|newest| member.id <= newest) => return Ok(Some(member)),
                Pass::Second(_) => {}
            }
        }
    }

    async fn read(&mut self) -> Result<(), StoreError> {
        let request = PageRequest { limit: MEMBERS_PAGE, cursor: self.members.cursor.take() };
        let found = self.store.study_members(self.tenant, self.study, request).await;
        let page = found.map_err(|error| match error {
            ListError::Store(error) => error,
            // The cursor is the store's own.
            other => StoreError::Corrupt { what: other.to_string() },
        })?;
        self.members.page.extend(page.items);
        self.members.is_at_end = page.next_cursor.is_none();
        self.members.cursor = page.next_cursor;
        Ok(())
    }

    async fn task(&mut self, id: TaskId) -> Result<Option<RowTexts>, StoreError> {
        let Some(task) = self.store.task(self.tenant, id).await? else { return Ok(None) };
        let result = match task.state.is_terminal() {
            true => self.store.result(self.tenant, id).await?.and_then(|ended| ended.result),
            false => None,
        };
        let row = RowTexts::of_task(&task, result.as_deref().map(|result| result.get()));
        Ok(Some(self.counted(id.0, row, task.state.is_terminal())))
    }

    async fn run(&mut self, id: RunId) -> Result<Option<RowTexts>, StoreError> {
        let Some(run) = self.store.run(self.tenant, id).await? else { return Ok(None) };
        Ok(Some(self.counted(id.0, RowTexts::of_run(&run), run.state.is_terminal())))
    }

    /// The row as it counts in this pass.
    fn counted(&mut self, id: Uuid, row: RowTexts, has_ended: bool) -> RowTexts {
        match &mut self.pass {
            Pass::First(seen) if !has_ended => {
                seen.unfinished.insert(id, row.state.clone());
                row
            }
            Pass::Second(seen) => match seen.unfinished.remove(&id) {
                Some(state) => row.unfinished(state),
                None => row,
            },
            Pass::Only | Pass::First(_) => row,
        }
    }

    async fn open(&mut self, id: BatchId) -> Result<(), StoreError> {
        let Some(batch) = self.store.batch(self.tenant, id).await? else { return Ok(()) };
        let head = RowTexts::of_batch(&batch);
        let known = match &mut self.pass {
            Pass::Second(seen) => seen.batches.remove(&id.0),
            Pass::Only | Pass::First(_) => None,
        };
        let has_ended = batch.state.is_terminal();
        let mut rows = match known {
            Some(rows) => rows,
            None => batches::Rows::open(self.store.clone(), batch, false).await?,
        };
        if matches!(self.pass, Pass::First(_)) && !has_ended {
            rows.remember();
        }
        self.open = Some(OpenBatch { id: id.0, head, rows });
        Ok(())
    }

    fn close(&mut self) {
        let Some(OpenBatch { id, mut rows, .. }) = self.open.take() else { return };
        if let Pass::First(seen) = &mut self.pass
            && !rows.batch().state.is_terminal()
        {
            rows.again();
            seen.batches.insert(id, rows);
        }
    }
}

/// A time as the contract writes it.
fn time(at: Option<OffsetDateTime>) -> String {
    json(&at.and_then(|at| at.to_offset(UtcOffset::UTC).format(TIME).ok()))
}
