//! Looking at runs, and finding those that have something to do.

use super::{
    Arrived, InboxItem, LoadedRun, ParentNode, RUN_EVENTS_PAGE_MAX, RunEvent, RunKey, RunRow, RunState, RunWatch,
};
use crate::clock::from_unix_ms;
use crate::list::ListError;
use crate::paging::{PageOf, PageRequest};
use crate::sql::{Executor, Row, query};
use crate::{Store, StoreError};
use mecapy_model::{RunId, StudyId, TaskId, TenantId, WorkflowId};
use serde_json::value::RawValue;
use time::OffsetDateTime;
use uuid::Uuid;

/// How much of an inbox one plan takes in.
const INBOX_READ_MAX: u32 = 2_000;

/// The columns that [`read_run`] takes, in its order, by whether the long texts are among them.
macro_rules! run_columns {
    ($inputs:literal, $pins:literal, $outputs:literal) => {
        concat!(
            "r.no, r.id, r.tenant, r.workflow, r.version, r.name, r.state, r.seq, ",
            $inputs,
            ", ",
            $pins,
            ", r.parent, r.parent_node, r.parent_index, r.depth, r.study, t.labels, ",
            $outputs,
            ", r.error, r.created_ms, r.completed_ms, r.wake_ms FROM workflow_runs r \
             JOIN workflow_run_texts t ON t.run_no = r.no"
        )
    };
}

const ONE: &str =
    concat!("SELECT ", run_columns!("t.inputs", "t.pins", "t.outputs"), " WHERE r.tenant = ?1 AND r.id = ?2");
const BY_NUMBER: &str =
    concat!("SELECT ", run_columns!("t.inputs", "t.pins", "t.outputs"), " WHERE r.no = ?1 AND r.id = ?2");
/// A cast text is known to PostgreSQL as one.
const PAGE: &str = concat!(
    "SELECT ",
    run_columns!("'null'", "'null'", "CAST(NULL AS TEXT)"),
    " WHERE r.tenant = ?1 AND r.id < ?2 AND (?3 IS NULL OR r.state = ?3) AND (?4 IS NULL OR r.workflow = ?4) \
     AND (?5 IS NULL OR r.study = ?5) AND (?6 IS NULL OR r.parent = ?6) ORDER BY r.id DESC LIMIT ?7"
);
const EVENTS: &str = "SELECT e.seq, e.at_ms, e.body FROM workflow_runs r JOIN run_events e ON e.run_no = r.no \
                      WHERE r.tenant = ? AND r.id = ? AND e.seq > ? ORDER BY e.seq LIMIT ?";
const DUE: &str = "SELECT r.no, r.id, r.tenant FROM workflow_runs r WHERE r.no IN (SELECT run_no FROM run_inbox \
                   UNION SELECT no FROM workflow_runs WHERE wake_ms <= ?1) \
                   AND (r.held_until_ms IS NULL OR r.held_until_ms <= ?1) ORDER BY r.no LIMIT ?2";

/// Which runs to list. Absent fields don't filter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RunQuery {
    pub state: Option<RunState>,
    pub workflow: Option<WorkflowId>,
    pub study: Option<StudyId>,
    /// Those that are the work of this run's nodes.
    pub parent: Option<RunId>,
}

impl Store {
    /// A run of the tenant.
    pub async fn run(&self, tenant: TenantId, id: RunId) -> Result<Option<RunRow>, StoreError> {
        run_of((&mut self.reader(tenant).await?).into(), tenant, id).await
    }

    /// The tenant's runs, newest first.
    pub async fn runs(
        &self,
        tenant: TenantId,
        filter: RunQuery,
        request: PageRequest,
    ) -> Result<PageOf<RunRow>, ListError> {
        let page = self.open_page(tenant, ("runs", filter), &request)?;
        let query = query(PAGE)
            .bind(tenant)
            .bind(page.before)
            .bind(filter.state.map(RunState::as_str))
            .bind(filter.workflow)
            .bind(filter.study)
            .bind(filter.parent)
            .bind(page.rows);
        let rows = query.fetch_all(&mut self.reader(tenant).await?).await?;
        self.close_page(&page, rows.iter().map(read_run).collect(), |run| run.id.0)
    }

    /// A run's events after the number `after` (0: from the start), oldest first, [`RUN_EVENTS_PAGE_MAX`] at most; none
    /// where there is no such run.
    pub async fn run_events(&self, tenant: TenantId, id: RunId, after: u64) -> Result<Vec<RunEvent>, StoreError> {
        let after = i64::try_from(after).unwrap_or(i64::MAX);
        let query = query(EVENTS).bind(tenant).bind(id).bind(after).bind(RUN_EVENTS_PAGE_MAX);
        query.fetch_all(&mut self.reader(tenant).await?).await?.iter().map(read_event).collect()
    }

    /// Be told when a run's log grows. Subscribe before reading, and nothing is missed.
    pub fn follow_run(&self, tenant: TenantId, id: RunId) -> RunWatch {
        // Ids are unique over all that is followed.
        RunWatch(self.shared().watch(tenant, TaskId(id.0)))
    }

    /// The runs of all tenants that have something to do now: something in their inbox, or their time has come.
    pub async fn due_runs(&self, limit: u32) -> Result<Vec<RunKey>, StoreError> {
        let rows = query(DUE).bind(self.now_ms()).bind(limit).fetch_all(self.readers()).await?;
        rows.iter()
            .map(|row| Ok(RunKey { no: row.try_get(0)?, id: RunId(row.id(1)?), tenant: TenantId(row.id(2)?) }))
            .collect()
    }

    /// When the next run is to be looked at that is not due for its inbox.
    pub async fn next_run_wake(&self) -> Result<Option<OffsetDateTime>, StoreError> {
        let sql = "SELECT min(CASE WHEN held_until_ms > wake_ms THEN held_until_ms ELSE wake_ms END) \
                   FROM workflow_runs WHERE wake_ms IS NOT NULL";
        let row = query(sql).fetch_one(self.readers()).await?;
        Ok(row.try_get::<Option<i64>>(0)?.map(from_unix_ms))
    }

    /// A run with its events after the number `after`, and what it has to take in. `None`: it is gone.
    pub async fn load_run(&self, key: RunKey, after: u64) -> Result<Option<LoadedRun>, StoreError> {
        let found = query(BY_NUMBER).bind(key.no).bind(key.id).fetch_optional(self.readers()).await?;
        let Some(row) = found.as_ref().map(read_run).transpose()? else { return Ok(None) };
        // What is newer than the row was not there when its number was read.
        let (after, last) = (i64::try_from(after).unwrap_or(i64::MAX), i64::try_from(row.seq).unwrap_or(i64::MAX));
        let mut events = Vec::new();
        if after < last {
            let sql = "SELECT seq, at_ms, body FROM run_events WHERE run_no = ? AND seq > ? AND seq <= ? ORDER BY seq";
            let rows = query(sql).bind(key.no).bind(after).bind(last).fetch_all(self.readers()).await?;
            events = rows.iter().map(read_event).collect::<Result<_, _>>()?;
        }
        let sql = "SELECT no, body FROM run_inbox WHERE run_no = ? ORDER BY no LIMIT ?";
        let rows = query(sql).bind(key.no).bind(INBOX_READ_MAX).fetch_all(self.readers()).await?;
        let item = |row: &Row| Ok(InboxItem { no: row.try_get(0)?, what: Arrived::read(row.try_get(1)?)? });
        let inbox = rows.iter().map(item).collect::<Result<_, StoreError>>()?;
        Ok(Some(LoadedRun { row, events, inbox }))
    }
}

pub(super) async fn run_of(on: Executor<'_>, tenant: TenantId, id: RunId) -> Result<Option<RunRow>, StoreError> {
    let row = query(ONE).bind(tenant).bind(id).fetch_optional(on).await?;
    row.as_ref().map(read_run).transpose()
}

fn read_event(row: &Row) -> Result<RunEvent, StoreError> {
    Ok(RunEvent { seq: row.count(0)?, at: from_unix_ms(row.try_get(1)?), body: json(row.try_get(2)?)? })
}

fn read_run(row: &Row) -> Result<RunRow, StoreError> {
    let parent = match row.try_get::<Option<Uuid>>(10)? {
        Some(run) => Some(ParentNode {
            run: RunId(run),
            key: row.try_get::<Option<String>>(11)?.unwrap_or_default(),
            index: row.try_get::<Option<i64>>(12)?.and_then(|index| u32::try_from(index).ok()),
        }),
        None => None,
    };
    let labels = row.try_get::<Option<&str>>(15)?.map(serde_json::from_str).transpose();
    Ok(RunRow {
        id: RunId(row.id(1)?),
        tenant: TenantId(row.id(2)?),
        workflow: WorkflowId(row.id(3)?),
        version: u32::try_from(row.count(4)?).unwrap_or(u32::MAX),
        name: row.try_get(5)?,
        state: row.try_get::<&str>(6)?.parse().map_err(StoreError::corrupt)?,
        seq: row.count(7)?,
        inputs: json(row.try_get(8)?)?,
        pins: json(row.try_get(9)?)?,
        parent,
        depth: u32::try_from(row.count(13)?).unwrap_or(u32::MAX),
        study: row.try_get::<Option<Uuid>>(14)?.map(StudyId),
        labels: labels.map_err(|error| StoreError::corrupt(error.to_string()))?.unwrap_or_default(),
        outputs: row.try_get::<Option<String>>(16)?.map(json).transpose()?,
        error: row.try_get::<Option<String>>(17)?.map(json).transpose()?,
        created_at: from_unix_ms(row.try_get(18)?),
        completed_at: row.try_get::<Option<i64>>(19)?.map(from_unix_ms),
        wake_at: row.try_get::<Option<i64>>(20)?.map(from_unix_ms),
    })
}

fn json(text: String) -> Result<Box<RawValue>, StoreError> {
    RawValue::from_string(text).map_err(|error| StoreError::corrupt(format!("a run's JSON: {error}")))
}
