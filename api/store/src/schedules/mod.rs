//! Schedules: what is started at which times. The times are the caller's to compute; here each fires once.

mod firing;

pub use firing::{FIRINGS_KEPT, Fire, FireWork, Fired, Firing};

use crate::clock::from_unix_ms;
use crate::list::ListError;
use crate::paging::{PageOf, PageRequest};
use crate::sql::{Row, query};
use crate::{Store, StoreError};
use mecapy_model::{RunId, ScheduleId, TaskId, TenantId};
use serde_json::value::RawValue;
use sqlx::AssertSqlSafe;
use time::OffsetDateTime;
use uuid::Uuid;

/// What becomes of times that passed while nothing fired.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum MissedPolicy {
    /// They are gone.
    #[default]
    Skip,
    /// All of them together fire once.
    RunOnce,
}

/// What becomes of a time at which the work that was started last has not ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum OverlapPolicy {
    /// It fires.
    Allow,
    /// It fires nothing.
    #[default]
    Skip,
    /// It fires once that has ended.
    Queue,
}

impl MissedPolicy {
    pub const ALL: [MissedPolicy; 2] = [MissedPolicy::Skip, MissedPolicy::RunOnce];

    pub const fn as_str(self) -> &'static str {
        match self {
            MissedPolicy::Skip => "skip",
            MissedPolicy::RunOnce => "run_once",
        }
    }
}

impl OverlapPolicy {
    pub const ALL: [OverlapPolicy; 3] = [OverlapPolicy::Allow, OverlapPolicy::Skip, OverlapPolicy::Queue];

    pub const fn as_str(self) -> &'static str {
        match self {
            OverlapPolicy::Allow => "allow",
            OverlapPolicy::Skip => "skip",
            OverlapPolicy::Queue => "queue",
        }
    }
}

/// A schedule to make; validated by the caller.
#[derive(Debug, Clone)]
pub struct NewSchedule {
    pub tenant: TenantId,
    pub name: Option<String>,
    pub cron: String,
    /// A name of the time zone database.
    pub timezone: String,
    /// What to start, as the caller's JSON.
    pub work: Box<RawValue>,
    pub missed: MissedPolicy,
    pub overlap: OverlapPolicy,
    pub paused: bool,
    /// When it fires first, Unix milliseconds; absent where never.
    pub next_ms: Option<i64>,
}

/// A schedule.
#[derive(Debug, Clone)]
pub struct ScheduleRow {
    pub id: ScheduleId,
    pub tenant: TenantId,
    pub name: Option<String>,
    pub cron: String,
    pub timezone: String,
    pub work: Box<RawValue>,
    pub missed: MissedPolicy,
    pub overlap: OverlapPolicy,
    pub paused: bool,
    /// When it fires next, Unix milliseconds: what [`Fire::due_ms`] names.
    pub next_ms: Option<i64>,
    /// What it started last.
    pub last_task: Option<TaskId>,
    pub last_run: Option<RunId>,
    /// That has not ended.
    pub is_busy: bool,
    pub created_at: OffsetDateTime,
    pub changed_at: OffsetDateTime,
}

/// What a schedule is to be from now on; what is absent stays.
#[derive(Debug, Clone, Default)]
pub struct ScheduleChange {
    pub name: Option<String>,
    pub cron: Option<String>,
    pub timezone: Option<String>,
    pub work: Option<Box<RawValue>>,
    pub missed: Option<MissedPolicy>,
    pub overlap: Option<OverlapPolicy>,
    pub paused: Option<bool>,
    /// `Some(None)`: never. Needed with each change of the times, and when a paused one goes on.
    pub next_ms: Option<Option<i64>>,
}

/// The columns that [`read_schedule`] takes, of `schedules s`.
const COLUMNS: &str = "s.id, s.tenant, s.name, s.cron, s.timezone, s.work, s.missed, s.overlap, s.paused, s.next_ms, \
     s.last_task, s.last_run, s.created_ms, s.changed_ms, CAST(CASE WHEN \
     EXISTS (SELECT 1 FROM tasks t WHERE t.tenant = s.tenant AND t.id = s.last_task AND t.state IN ('queued', 'running')) \
     OR EXISTS (SELECT 1 FROM workflow_runs r WHERE r.tenant = s.tenant AND r.id = s.last_run AND r.state = 'running') \
     THEN 1 ELSE 0 END AS BIGINT) AS busy";

impl Store {
    pub async fn create_schedule(&self, new: NewSchedule) -> Result<ScheduleRow, StoreError> {
        let (ms, random) = self.ids().next();
        let (id, tenant) = (ScheduleId::from_parts(ms, &random), new.tenant);
        self.write_rarely(async move |writer| {
            let sql = "INSERT INTO schedules (id, tenant, name, cron, timezone, work, missed, overlap, paused, next_ms, \
                       created_ms, changed_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?11)";
            let query = query(sql)
                .bind(id)
                .bind(new.tenant)
                .bind(new.name.as_deref())
                .bind(new.cron.as_str())
                .bind(new.timezone.as_str())
                .bind(new.work.get())
                .bind(new.missed.as_str())
                .bind(new.overlap.as_str())
                .bind(new.paused)
                .bind(new.next_ms)
                .bind(writer.now_ms);
            writer.run(query).await.map(drop)
        })
        .await?;
        self.schedule(tenant, id).await?.ok_or_else(|| StoreError::corrupt("a schedule just made is gone"))
    }

    pub async fn schedule(&self, tenant: TenantId, id: ScheduleId) -> Result<Option<ScheduleRow>, StoreError> {
        let sql = AssertSqlSafe(format!("SELECT {COLUMNS} FROM schedules s WHERE s.tenant = ? AND s.id = ?"));
        let row = query(sql).bind(tenant).bind(id).fetch_optional(&mut self.reader(tenant).await?).await?;
        row.as_ref().map(read_schedule).transpose()
    }

    /// The tenant's schedules, newest first.
    pub async fn schedules(&self, tenant: TenantId, request: PageRequest) -> Result<PageOf<ScheduleRow>, ListError> {
        let page = self.open_page(tenant, "schedules", &request)?;
        let sql =
            format!("SELECT {COLUMNS} FROM schedules s WHERE s.tenant = ? AND s.id < ? ORDER BY s.id DESC LIMIT ?");
        let query = query(AssertSqlSafe(sql)).bind(tenant).bind(page.before).bind(page.rows);
        let rows = query.fetch_all(&mut self.reader(tenant).await?).await?;
        self.close_page(&page, rows.iter().map(read_schedule).collect(), |schedule| schedule.id.0)
    }

    /// How many schedules the tenant has.
    pub async fn count_schedules(&self, tenant: TenantId) -> Result<u64, StoreError> {
        let counted = query("SELECT count(*) FROM schedules WHERE tenant = ?").bind(tenant);
        counted.fetch_one(&mut self.reader(tenant).await?).await?.count(0)
    }

    /// Changes a schedule; answers it as it is now. `None`: there is none.
    pub async fn change_schedule(
        &self,
        tenant: TenantId,
        id: ScheduleId,
        change: ScheduleChange,
    ) -> Result<Option<ScheduleRow>, StoreError> {
        self.write_rarely(async move |writer| {
            let sql = "UPDATE schedules SET name = coalesce(?1, name), cron = coalesce(?2, cron), \
                       timezone = coalesce(?3, timezone), work = coalesce(?4, work), missed = coalesce(?5, missed), \
                       overlap = coalesce(?6, overlap), paused = coalesce(?7, paused), \
                       next_ms = CASE WHEN ?8 = 1 THEN ?9 ELSE next_ms END, changed_ms = ?10 \
                       WHERE tenant = ?11 AND id = ?12";
            let query = query(sql)
                .bind(change.name.as_deref())
                .bind(change.cron.as_deref())
                .bind(change.timezone.as_deref())
                .bind(change.work.as_deref().map(RawValue::get))
                .bind(change.missed.map(MissedPolicy::as_str))
                .bind(change.overlap.map(OverlapPolicy::as_str))
                .bind(change.paused)
                .bind(change.next_ms.is_some())
                .bind(change.next_ms.flatten())
                .bind(writer.now_ms)
                .bind(tenant)
                .bind(id);
            writer.run(query).await.map(drop)
        })
        .await?;
        self.schedule(tenant, id).await
    }

    /// Deletes a schedule with its history; what it started stays. `false`: there is none.
    pub async fn delete_schedule(&self, tenant: TenantId, id: ScheduleId) -> Result<bool, StoreError> {
        self.write_rarely(async move |writer| {
            let sql = "DELETE FROM schedules WHERE tenant = ? AND id = ?";
            Ok(writer.run(query(sql).bind(tenant).bind(id)).await? > 0)
        })
        .await
    }

    /// The schedules of all enabled tenants whose time has come, the longest due first. Those that wait for the end of
    /// what they started last are left out.
    pub async fn due_schedules(&self, now: OffsetDateTime, limit: u32) -> Result<Vec<ScheduleRow>, StoreError> {
        let sql = AssertSqlSafe(format!(
            "SELECT * FROM (SELECT {COLUMNS} FROM schedules s WHERE s.paused = 0 AND s.next_ms IS NOT NULL \
             AND s.next_ms <= ? AND EXISTS (SELECT 1 FROM tenants w WHERE w.id = s.tenant AND w.disabled = 0)) AS due \
             WHERE overlap <> ? OR busy = 0 ORDER BY next_ms LIMIT ?"
        ));
        let query = query(sql).bind(crate::clock::unix_ms(now)).bind(OverlapPolicy::Queue.as_str()).bind(limit);
        query.fetch_all(self.readers()).await?.iter().map(read_schedule).collect()
    }

    /// When the next schedule fires; may be in the past.
    pub async fn next_schedule_due(&self) -> Result<Option<OffsetDateTime>, StoreError> {
        let sql = "SELECT min(next_ms) FROM schedules WHERE paused = 0 AND next_ms IS NOT NULL";
        let row = query(sql).fetch_one(self.readers()).await?;
        Ok(row.try_get::<Option<i64>>(0)?.map(from_unix_ms))
    }
}

fn read_schedule(row: &Row) -> Result<ScheduleRow, StoreError> {
    let missed: &str = row.try_get(6)?;
    let overlap: &str = row.try_get(7)?;
    let unknown = |what: &str| StoreError::corrupt(format!("a schedule's policy {what:?}"));
    Ok(ScheduleRow {
        id: ScheduleId(row.id(0)?),
        tenant: TenantId(row.id(1)?),
        name: row.try_get(2)?,
        cron: row.try_get(3)?,
        timezone: row.try_get(4)?,
        work: RawValue::from_string(row.try_get(5)?).map_err(|error| StoreError::corrupt(error.to_string()))?,
        missed: MissedPolicy::ALL
            .into_iter()
            .find(|policy| policy.as_str() == missed)
            .ok_or_else(|| unknown(missed))?,
        overlap: OverlapPolicy::ALL
            .into_iter()
            .find(|policy| policy.as_str() == overlap)
            .ok_or_else(|| unknown(overlap))?,
        paused: row.flag(8)?,
        next_ms: row.try_get(9)?,
        last_task: row.try_get::<Option<Uuid>>(10)?.map(TaskId),
        last_run: row.try_get::<Option<Uuid>>(11)?.map(RunId),
        created_at: from_unix_ms(row.try_get(12)?),
        changed_at: from_unix_ms(row.try_get(13)?),
        is_busy: row.flag(14)?,
    })
}
