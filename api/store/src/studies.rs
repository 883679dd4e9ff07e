//! Studies: what belongs to one engineering question, by name. Members know their study; a study has no list of its own.

use crate::clock::from_unix_ms;
use crate::list::ListError;
use crate::paging::{PageOf, PageRequest};
use crate::sql::{Row, query};
use crate::{Store, StoreError};
use mecapy_model::{StudyId, TenantId};
use sqlx::AssertSqlSafe;
use time::OffsetDateTime;
use uuid::Uuid;

/// How many members one transaction lets go, so that others wait only briefly.
const ROWS_AT_ONCE: u32 = 1_000;

/// A kind of member and the table that holds it, each with the columns `no`, `id`, `tenant`, `study`, `name`, `state` and
/// `created_ms`. What is the work of a member is none itself.
const MEMBERS: [(MemberKind, &str, &str); 3] = [
    (MemberKind::Task, "tasks", " AND run IS NULL AND batch IS NULL"),
    (MemberKind::Batch, "batches", ""),
    (MemberKind::WorkflowRun, "workflow_runs", " AND parent IS NULL"),
];

/// What a study holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MemberKind {
    Task,
    Batch,
    WorkflowRun,
}

impl MemberKind {
    pub const fn as_str(self) -> &'static str {
        match self {
            MemberKind::Task => "task",
            MemberKind::Batch => "batch",
            MemberKind::WorkflowRun => "workflow_run",
        }
    }
}

/// A study.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StudyRow {
    pub id: StudyId,
    pub tenant: TenantId,
    pub name: String,
    pub description: String,
    pub created_at: OffsetDateTime,
    pub changed_at: OffsetDateTime,
}

/// A study's new words; what is absent stays.
#[derive(Debug, Clone, Default)]
pub struct StudyChange {
    pub name: Option<String>,
    pub description: Option<String>,
}

/// Something that belongs to a study.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StudyMember {
    pub kind: MemberKind,
    /// Of the task, the batch or the run.
    pub id: Uuid,
    pub name: Option<String>,
    pub state: String,
    pub created_at: OffsetDateTime,
}

const COLUMNS: &str = "id, tenant, name, description, created_ms, changed_ms";

impl Store {
    pub async fn create_study(
        &self,
        tenant: TenantId,
        name: String,
        description: String,
    ) -> Result<StudyRow, StoreError> {
        let (ms, random) = self.ids().next();
        let id = StudyId::from_parts(ms, &random);
        self.write_rarely(async move |writer| {
            let sql = "INSERT INTO studies (id, tenant, name, description, created_ms, changed_ms) \
                       VALUES (?1, ?2, ?3, ?4, ?5, ?5) RETURNING id, tenant, name, description, created_ms, changed_ms";
            let row = query(sql).bind(id).bind(tenant).bind(name.as_str()).bind(description.as_str());
            read_study(&row.bind(writer.now_ms).fetch_one(&mut writer.conn).await?)
        })
        .await
    }

    pub async fn study(&self, tenant: TenantId, id: StudyId) -> Result<Option<StudyRow>, StoreError> {
        let sql = AssertSqlSafe(format!("SELECT {COLUMNS} FROM studies WHERE tenant = ? AND id = ?"));
        let row = query(sql).bind(tenant).bind(id).fetch_optional(&mut self.reader(tenant).await?).await?;
        row.as_ref().map(read_study).transpose()
    }

    /// The tenant's studies, newest first.
    pub async fn studies(&self, tenant: TenantId, request: PageRequest) -> Result<PageOf<StudyRow>, ListError> {
        let page = self.open_page(tenant, "studies", &request)?;
        let sql = format!("SELECT {COLUMNS} FROM studies WHERE tenant = ? AND id < ? ORDER BY id DESC LIMIT ?");
        let query = query(AssertSqlSafe(sql)).bind(tenant).bind(page.before).bind(page.rows);
        let rows = query.fetch_all(&mut self.reader(tenant).await?).await?;
        self.close_page(&page, rows.iter().map(read_study).collect(), |study| study.id.0)
    }

    /// Changes a study's words; answers it as it is now. `None`: there is none.
    pub async fn change_study(
        &self,
        tenant: TenantId,
        id: StudyId,
        change: StudyChange,
    ) -> Result<Option<StudyRow>, StoreError> {
        self.write_rarely(async move |writer| {
            let sql = "UPDATE studies SET name = coalesce(?1, name), description = coalesce(?2, description), \
                       changed_ms = ?3 WHERE tenant = ?4 AND id = ?5 \
                       RETURNING id, tenant, name, description, created_ms, changed_ms";
            let words = query(sql).bind(change.name.as_deref()).bind(change.description.as_deref());
            let changed = words.bind(writer.now_ms).bind(tenant).bind(id).fetch_optional(&mut writer.conn).await?;
            changed.as_ref().map(read_study).transpose()
        })
        .await
    }

    /// Deletes a study; its members stay, and belong to none. `false`: there is none.
    pub async fn delete_study(&self, tenant: TenantId, id: StudyId) -> Result<bool, StoreError> {
        let deleted = self
            .write_rarely(async move |writer| {
                let sql = "DELETE FROM studies WHERE tenant = ? AND id = ?";
                writer.run(query(sql).bind(tenant).bind(id)).await
            })
            .await?;
        // Also where it is gone: a deletion that was cut off is taken up by its repetition.
        for (_, table, _) in MEMBERS {
            loop {
                let let_go = self.write_rarely(async move |writer| {
                    // The tables' names are ours.
                    let sql = AssertSqlSafe(format!(
                        "UPDATE {table} SET study = NULL WHERE no IN \
                         (SELECT no FROM {table} WHERE tenant = ? AND study = ? ORDER BY id LIMIT ?)"
                    ));
                    writer.run(query(sql).bind(tenant).bind(id).bind(ROWS_AT_ONCE)).await
                });
                if let_go.await? < u64::from(ROWS_AT_ONCE) {
                    break;
                }
            }
        }
        Ok(deleted > 0)
    }

    /// What belongs to a study, newest first; nothing where there is none.
    pub async fn study_members(
        &self,
        tenant: TenantId,
        id: StudyId,
        request: PageRequest,
    ) -> Result<PageOf<StudyMember>, ListError> {
        let page = self.open_page(tenant, ("members", id), &request)?;
        let parts: Vec<String> = (0..)
            .zip(MEMBERS)
            .map(|(number, (_, table, own))| {
                format!(
                    "SELECT * FROM (SELECT CAST({number} AS BIGINT) AS kind, id, name, state, created_ms FROM {table} \
                     WHERE tenant = ?1 AND study = ?2 AND id < ?3{own} ORDER BY id DESC LIMIT ?4) AS part_{number}"
                )
            })
            .collect();
        let sql = format!("{} ORDER BY id DESC LIMIT ?4", parts.join(" UNION ALL "));
        let query = query(AssertSqlSafe(sql)).bind(tenant).bind(id).bind(page.before).bind(page.rows);
        let rows = query.fetch_all(&mut self.reader(tenant).await?).await?;
        self.close_page(&page, rows.iter().map(read_member).collect(), |member| member.id)
    }

    /// How many members a study has; of each kind `counted_max` where there are more.
    pub async fn count_members(
        &self,
        tenant: TenantId,
        id: StudyId,
        counted_max: u32,
    ) -> Result<MemberCounts, StoreError> {
        let mut counts = MemberCounts::default();
        let mut reader = self.reader(tenant).await?;
        for (kind, table, own) in MEMBERS {
            let sql = AssertSqlSafe(format!(
                "SELECT count(*) FROM (SELECT 1 FROM {table} WHERE tenant = ? AND study = ?{own} LIMIT ?) counted"
            ));
            let counted = query(sql).bind(tenant).bind(id).bind(counted_max).fetch_one(&mut reader).await?.count(0)?;
            match kind {
                MemberKind::Task => counts.tasks = counted,
                MemberKind::Batch => counts.batches = counted,
                MemberKind::WorkflowRun => counts.workflow_runs = counted,
            }
        }
        Ok(counts)
    }
}

/// How many members of each kind a study has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MemberCounts {
    pub tasks: u64,
    pub batches: u64,
    pub workflow_runs: u64,
}

fn read_study(row: &Row) -> Result<StudyRow, StoreError> {
    Ok(StudyRow {
        id: StudyId(row.id(0)?),
        tenant: TenantId(row.id(1)?),
        name: row.try_get(2)?,
        description: row.try_get(3)?,
        created_at: from_unix_ms(row.try_get(4)?),
        changed_at: from_unix_ms(row.try_get(5)?),
    })
}

fn read_member(row: &Row) -> Result<StudyMember, StoreError> {
    let number = usize::try_from(row.count(0)?).unwrap_or(usize::MAX);
    let (kind, ..) = MEMBERS.get(number).ok_or_else(|| StoreError::corrupt("a member of no kind"))?;
    Ok(StudyMember {
        kind: *kind,
        id: row.id(1)?,
        name: row.try_get(2)?,
        state: row.try_get(3)?,
        created_at: from_unix_ms(row.try_get(4)?),
    })
}
