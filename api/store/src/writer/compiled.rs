//! Tasks whose source was compiled: what came of it, and the way from a container's queue to a sandbox's.

use super::ending::LiveTask;
use super::give_back::{HELD, Requeue, select_live};
use super::state::Writer;
use crate::clock::millis;
use crate::compiled::COMPILE_ERRORS_KEPT_FOR;
use crate::sql::{Row, query};
use crate::{ClaimRef, StoreError, Written};
use mecapy_model::{Digest, Executor, Lane, TenantId};

/// What came of compiling a source, as its row says it.
pub(crate) struct CompiledRow {
    pub(crate) key: Digest,
    pub(crate) module: Option<Digest>,
    pub(crate) error: Option<String>,
    pub(crate) warnings: String,
    pub(crate) compile_ms: f64,
}

/// A task's texts once it has a module.
pub(crate) struct HandOn {
    pub(crate) code: String,
    pub(crate) settings: String,
}

impl Writer {
    /// See [`Store::record_compiled`](crate::Store::record_compiled).
    pub(crate) async fn record_compiled(
        &mut self,
        claim: &ClaimRef,
        compiled: &CompiledRow,
        hand_on: Option<&HandOn>,
    ) -> Result<Written, StoreError> {
        let Some(row) = self.held(claim).await? else { return Ok(Written::Stale) };
        self.keep_compiled(claim.tenant, compiled).await?;
        let sql = "UPDATE tasks SET compile_ms = ? WHERE no = ?";
        self.run(query(sql).bind(compiled.compile_ms).bind(claim.no)).await?;
        if let Some(hand_on) = hand_on {
            self.hand_on(&row, Some(compiled.compile_ms), hand_on).await?;
        }
        Ok(Written::Done)
    }

    /// See [`Store::run_compiled`](crate::Store::run_compiled).
    pub(crate) async fn run_compiled(&mut self, claim: &ClaimRef, hand_on: &HandOn) -> Result<Written, StoreError> {
        let Some(row) = self.held(claim).await? else { return Ok(Written::Stale) };
        self.hand_on(&row, None, hand_on).await?;
        Ok(Written::Done)
    }

    async fn held(&mut self, claim: &ClaimRef) -> Result<Option<Row>, StoreError> {
        let fence = i64::try_from(claim.fence).unwrap_or(i64::MAX);
        let query =
            select_live(HELD, self.dialect.lock_rows()).bind(claim.no).bind(fence).bind(claim.lease.0.as_slice());
        query.fetch_optional(&mut self.conn).await
    }

    /// Keeps it under its key, and nothing of the tenant's that nobody will ask for any more.
    async fn keep_compiled(&mut self, tenant: TenantId, compiled: &CompiledRow) -> Result<(), StoreError> {
        let before_ms = self.now_ms.saturating_sub(millis(COMPILE_ERRORS_KEPT_FOR));
        let sql = "DELETE FROM compiled_modules WHERE tenant = ? AND module IS NULL AND created_ms < ?";
        self.run(query(sql).bind(tenant).bind(before_ms)).await?;
        // Of tasks that compiled for somebody who has not waited for their end.
        let sql = "DELETE FROM tasks WHERE internal = 1 AND tenant = ? AND completed_ms < ?";
        self.run(query(sql).bind(tenant).bind(before_ms)).await?;
        let sql = "INSERT INTO compiled_modules (tenant, key, module, error, warnings, compile_ms, created_ms) \
                   VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (tenant, key) DO UPDATE SET module = excluded.module, \
                   error = excluded.error, warnings = excluded.warnings, compile_ms = excluded.compile_ms, \
                   created_ms = excluded.created_ms";
        let insert = query(sql)
            .bind(tenant)
            .bind(compiled.key.0.as_slice())
            .bind(compiled.module.map(|module| module.0.to_vec()))
            .bind(compiled.error.clone())
            .bind(compiled.warnings.as_str())
            .bind(compiled.compile_ms)
            .bind(self.now_ms);
        self.run(insert).await.map(drop)
    }

    /// From the queue for containers to the one for sandboxes. `row` is one of [`select_live`].
    async fn hand_on(&mut self, row: &Row, compile_ms: Option<f64>, texts: &HandOn) -> Result<(), StoreError> {
        let task = LiveTask { compile_ms, ..self.read_live(row)? };
        if task.cancel_requested {
            return self.end_cancelled(&task).await;
        }
        let lane: Lane = row.try_get::<&str>(3)?.parse().map_err(StoreError::corrupt)?;
        let priority = u8::try_from(row.count(4)?).unwrap_or(u8::MAX);
        let place = self.place(lane, Executor::Sandbox, priority, task.tenant);
        let sql = "UPDATE tasks SET queue_rank = ?, cpus = NULL, memory_bytes = NULL WHERE no = ?";
        self.run(query(sql).bind(place.rank).bind(task.no)).await?;
        let sql = "UPDATE task_specs SET code = ?, settings = ? WHERE no = ?";
        self.run(query(sql).bind(texts.code.as_str()).bind(texts.settings.as_str()).bind(task.no)).await?;
        let due_ms = self.place_in_line(&task);
        let requeue = Requeue { due_ms, timed: false, attempt: task.attempt - 1, lost_attempts: task.lost_attempts };
        self.requeue(&LiveTask { place, ..task }, requeue).await
    }
}
