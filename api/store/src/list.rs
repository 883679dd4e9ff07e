//! Pages of a tenant's tasks, newest first.

use crate::reading::{TASK_COLUMNS, read_task, task_columns, task_from};
use crate::sql::{Dialect, query};
use crate::{Store, StoreError};
use mecapy_model::{Lane, RunId, StudyId, Task, TaskState, TenantId};
use sha2::{Digest, Sha256};
use sqlx::AssertSqlSafe;
use uuid::Uuid;

/// The longest page, in tasks.
pub const LIST_LIMIT_MAX: u32 = 200;
/// How many tasks one page looks at; a page that finds too few among them ends early, with a cursor to go on.
const SCANNED_MAX: u32 = 50_000;
/// The longest page, in bytes of code: the task that passes it is the page's last.
const PAGE_CODE_BYTES_MAX: u32 = 8 << 20;

/// The tasks of a page, by how names and labels are searched; `{among}` narrows what is looked at.
macro_rules! page_sql {
    ($name:literal, $label:literal) => {
        concat!(
            "WITH page AS (SELECT m.no, sum(octet_length(s.code)) OVER (ORDER BY m.id DESC) - octet_length(s.code) AS ahead",
            " FROM (SELECT c.no, c.id FROM (SELECT * FROM tasks WHERE tenant = ?1 AND id < ?2{among} ORDER BY id DESC LIMIT ?3) c",
            " WHERE c.batch IS NULL AND c.internal = 0 AND (?4 IS NULL OR c.state = ?4) AND (?5 IS NULL OR c.lane = ?5)",
            " AND (?6 IS NULL OR ",
            $name,
            ") AND (?7 IS NULL OR ",
            $label,
            ") AND (?11 IS NULL OR c.function = ?11) AND (?12 IS NULL OR c.run = ?12) AND (?13 IS NULL OR c.study = ?13)",
            " ORDER BY c.id DESC LIMIT ?9) m JOIN task_specs s ON s.no = m.no) SELECT ",
            task_columns!("'null'"),
            ", (SELECT count(*) FROM page) AS matching",
            task_from!(),
            " WHERE t.no IN (SELECT no FROM page WHERE ahead < ?10) ORDER BY t.id DESC"
        )
    };
}

macro_rules! last_of_scan {
    ($among:literal) => {
        concat!("SELECT id FROM tasks WHERE tenant = ?1 AND id < ?2", $among, " ORDER BY id DESC LIMIT 2 OFFSET ?3")
    };
}

/// Which tasks to list. Absent fields don't filter.
#[derive(Debug, Clone)]
pub struct TaskQuery {
    pub state: Option<TaskState>,
    pub lane: Option<Lane>,
    /// A label's name and value.
    pub label: Option<(String, String)>,
    /// Part of the name; upper and lower case of ASCII letters are the same.
    pub name_contains: Option<String>,
    /// The published function that the tasks call, in any version: `owner/package#name`.
    pub function: Option<String>,
    /// The workflow run that the tasks are nodes of.
    pub run: Option<RunId>,
    pub study: Option<StudyId>,
    /// 1 to [`LIST_LIMIT_MAX`].
    pub limit: u32,
    /// `next_cursor` of the page before, asked with the same filters.
    pub cursor: Option<String>,
}

impl Default for TaskQuery {
    /// Everything, 50 at a time.
    fn default() -> Self {
        Self {
            state: None,
            lane: None,
            label: None,
            name_contains: None,
            function: None,
            run: None,
            study: None,
            limit: 50,
            cursor: None,
        }
    }
}

/// Some tasks, newest first, as [`Store::task_shown`] answers them.
#[derive(Debug, Clone)]
pub struct TaskPage {
    pub tasks: Vec<Task>,
    /// For the page after this one; with a filter that matches little, or long code, a page may be short and still have
    /// one.
    pub next_cursor: Option<String>,
}

#[derive(Debug, Clone, thiserror::Error)]
pub enum ListError {
    #[error("the cursor was not made by this server for the same filters")]
    BadCursor,
    #[error("limit must be between 1 and {max}")]
    BadLimit { max: u32 },
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Store {
    /// A page of the tenant's tasks, without those that carry out a batch.
    pub async fn tasks(&self, tenant: TenantId, query: TaskQuery) -> Result<TaskPage, ListError> {
        if !(1..=LIST_LIMIT_MAX).contains(&query.limit) {
            return Err(ListError::BadLimit { max: LIST_LIMIT_MAX });
        }
        let scope = query.scope(tenant);
        let before = match &query.cursor {
            Some(cursor) => self.signer().read_cursor(cursor, &scope).ok_or(ListError::BadCursor)?,
            None => [0xff; 16],
        };
        let limit = usize::try_from(query.limit).unwrap_or(usize::MAX);
        let (mut tasks, matching) = self.matching_tasks(tenant, &query, &before).await?;
        tasks.truncate(limit);
        let last = if matching > tasks.len() {
            tasks.last().map(|task| *task.id.0.as_bytes())
        } else {
            self.end_of_scan(tenant, &query, &before).await?
        };
        Ok(TaskPage { tasks, next_cursor: last.map(|last| self.signer().cursor(&last, &scope)) })
    }

    /// How many tasks the tenant has; `counted_max` where there are more.
    pub async fn count_tasks(&self, tenant: TenantId, counted_max: u32) -> Result<u64, StoreError> {
        let sql = "SELECT count(*) FROM (SELECT 1 FROM tasks WHERE tenant = ? AND batch IS NULL AND internal = 0 LIMIT ?) \
                   counted";
        let counted = query(sql).bind(tenant).bind(counted_max).fetch_one(&mut self.reader(tenant).await?).await?;
        counted.count(0)
    }

    /// The tasks of a page, perhaps one more, and how many there would be if their code were short: one more than the
    /// page takes where there is another page.
    async fn matching_tasks(
        &self,
        tenant: TenantId,
        query: &TaskQuery,
        before: &[u8; 16],
    ) -> Result<(Vec<Task>, usize), StoreError> {
        let sql = match self.dialect() {
            Dialect::Sqlite => page_sql!(
                "instr(lower(c.name), lower(?6)) > 0",
                "EXISTS (SELECT 1 FROM json_each(c.labels) l WHERE l.key = ?7 AND l.value = ?8)"
            ),
            Dialect::Postgres => {
                page_sql!("strpos(lower(c.name), lower(?6)) > 0", "CAST(c.labels AS JSONB) ->> ?7 = ?8")
            }
        };
        let (label, value) = query.label.clone().unzip();
        // A run or a study has an index of its tasks, so that those of others are not looked at.
        let among = match (query.run, query.study) {
            (Some(_), _) => " AND run = ?12",
            (None, Some(_)) => " AND study = ?13",
            (None, None) => "",
        };
        // Made of constants.
        let rows = crate::sql::query(AssertSqlSafe(sql.replace("{among}", among)))
            .bind(tenant)
            .bind(Uuid::from_bytes(*before))
            .bind(SCANNED_MAX)
            .bind(query.state.map(TaskState::as_str))
            .bind(query.lane.map(Lane::as_str))
            .bind(query.name_contains.as_deref())
            .bind(label)
            .bind(value)
            .bind(query.limit + 1)
            .bind(PAGE_CODE_BYTES_MAX)
            .bind(query.function.as_deref())
            .bind(query.run)
            .bind(query.study)
            .fetch_all(&mut self.reader(tenant).await?)
            .await?;
        let matching: i64 = rows.first().map_or(Ok(0), |row| row.try_get(TASK_COLUMNS))?;
        let tasks = rows.iter().map(|row| read_task(row).map(|read| read.task)).collect::<Result<_, StoreError>>()?;
        Ok((tasks, usize::try_from(matching).unwrap_or(0)))
    }

    /// The last task that a page looks at, where there are tasks beyond it.
    async fn end_of_scan(
        &self,
        tenant: TenantId,
        asked: &TaskQuery,
        before: &[u8; 16],
    ) -> Result<Option<[u8; 16]>, StoreError> {
        let (sql, among) = match (asked.run, asked.study) {
            (Some(run), _) => (last_of_scan!(" AND run = ?4"), Some(run.0)),
            (None, Some(study)) => (last_of_scan!(" AND study = ?4"), Some(study.0)),
            (None, None) => (last_of_scan!(""), None),
        };
        let place = query(sql).bind(tenant).bind(Uuid::from_bytes(*before)).bind(SCANNED_MAX - 1);
        let place = among.into_iter().fold(place, |query, id| query.bind(id));
        let rows = place.fetch_all(&mut self.reader(tenant).await?).await?;
        match rows.as_slice() {
            [last, _beyond] => Ok(Some(last.id(0)?.into_bytes())),
            _ => Ok(None),
        }
    }
}

impl TaskQuery {
    /// What a cursor is bound to: the tenant and every filter.
    fn scope(&self, tenant: TenantId) -> Vec<u8> {
        let label = self.label.as_ref().map(|(name, value)| (name.as_str(), value.as_str()));
        let texts = (self.name_contains.as_deref(), self.function.as_deref());
        let filters = format!("{:?}", (tenant, self.state, self.lane, label, texts, self.run, self.study));
        Sha256::digest(filters.as_bytes()).to_vec()
    }
}
