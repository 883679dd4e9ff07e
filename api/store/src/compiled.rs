//! What sources were compiled to, by content, and tasks that go on once theirs is.

use crate::clock::millis;
use crate::reading::{Settings, bytes_of};
use crate::sql::{Row, query};
use crate::writer::{CompiledRow, HandOn};
use crate::{ClaimRef, Store, StoreError, Written};
use mecapy_model::{Digest, Task, TaskError, TaskId, TenantId, Warning};
use std::time::Duration;

/// How long it is believed that a source can't be compiled: a compiler that ran out of time may have more the next time.
pub const COMPILE_ERRORS_KEPT_FOR: Duration = Duration::from_secs(600);

/// What came of compiling a source.
#[derive(Debug, Clone, PartialEq)]
pub struct Compiled {
    /// One of the tenant's modules, or what is wrong with the source.
    pub outcome: Result<Digest, TaskError>,
    /// The compiler's, with the source's lines.
    pub warnings: Vec<Warning>,
    /// How long the compiler took, milliseconds.
    pub compile_ms: f64,
}

/// What becomes of a task once its source is compiled.
#[derive(Debug, Clone, Copy)]
pub enum AfterCompile<'a> {
    /// Its worker ends it: the source has errors, or compiling it was all there was to do.
    Ends,
    /// It waits for a sandbox: this is the task with its module, and with the compiler's warnings.
    Runs(&'a Task),
}

impl Store {
    /// What came of compiling a source before, under `key`, which stands for it and for all that it is compiled with.
    /// `None` where nothing is known, where the module was deleted since, and where an error is older than
    /// [`COMPILE_ERRORS_KEPT_FOR`].
    pub async fn compiled(&self, tenant: TenantId, key: Digest) -> Result<Option<Compiled>, StoreError> {
        const SQL: &str = "SELECT c.module, c.error, c.warnings, c.compile_ms FROM compiled_modules c \
                           LEFT JOIN modules m ON m.tenant = c.tenant AND m.digest = c.module \
                           WHERE c.tenant = ? AND c.key = ? \
                           AND (m.digest IS NOT NULL OR (c.module IS NULL AND c.created_ms > ?))";
        let errors_from_ms = self.now_ms().saturating_sub(millis(COMPILE_ERRORS_KEPT_FOR));
        let query = query(SQL).bind(tenant).bind(key.0.as_slice()).bind(errors_from_ms);
        query.fetch_optional(&mut self.reader(tenant).await?).await?.as_ref().map(read_compiled).transpose()
    }

    /// Writes down what came of compiling a task's source and, in the same transaction, gives the task back to the queue
    /// where it is to run: its attempt doesn't count. A task whose cancel was asked for ends cancelled instead. The
    /// module is one of the tenant's already ([`put_module`](Self::put_module)).
    ///
    /// Stale: the claim does not hold any more, and nothing was written.
    pub async fn record_compiled(
        &self,
        claim: &ClaimRef,
        (key, compiled): (Digest, &Compiled),
        after: AfterCompile<'_>,
    ) -> Result<Written, StoreError> {
        let json = |error: serde_json::Error| StoreError::corrupt(error.to_string());
        let row = CompiledRow {
            key,
            module: compiled.outcome.as_ref().ok().copied(),
            error: compiled.outcome.as_ref().err().map(serde_json::to_string).transpose().map_err(json)?,
            warnings: serde_json::to_string(&compiled.warnings).map_err(json)?,
            compile_ms: compiled.compile_ms,
        };
        let hand_on = match after {
            AfterCompile::Ends => None,
            AfterCompile::Runs(task) => Some(HandOn {
                code: serde_json::to_string(&task.code).map_err(json)?,
                settings: serde_json::to_string(&Settings::of(task)).map_err(json)?,
            }),
        };
        let claim = claim.clone();
        self.write_rarely(async move |writer| writer.record_compiled(&claim, &row, hand_on.as_ref()).await).await
    }

    /// Gives a task back to be run with a module that was compiled before: nothing is written but the task.
    pub async fn run_compiled(&self, claim: &ClaimRef, task: &Task) -> Result<Written, StoreError> {
        let json = |error: serde_json::Error| StoreError::corrupt(error.to_string());
        let hand_on = HandOn {
            code: serde_json::to_string(&task.code).map_err(json)?,
            settings: serde_json::to_string(&Settings::of(task)).map_err(json)?,
        };
        let claim = claim.clone();
        self.write_rarely(async move |writer| writer.run_compiled(&claim, &hand_on).await).await
    }

    /// Deletes a task that compiled for somebody who waited, once it has ended: nobody else knows of it. Its usage stays.
    pub async fn forget_compile(&self, tenant: TenantId, task: TaskId) -> Result<(), StoreError> {
        self.write_rarely(async move |writer| {
            let sql = "DELETE FROM tasks WHERE tenant = ? AND id = ? AND internal = 1 \
                       AND state NOT IN ('queued', 'running')";
            writer.run(query(sql).bind(tenant).bind(task)).await.map(drop)
        })
        .await
    }
}

fn read_compiled(row: &Row) -> Result<Compiled, StoreError> {
    let json = |error: serde_json::Error| StoreError::corrupt(error.to_string());
    let module: Option<&[u8]> = row.try_get(0)?;
    let error: Option<&str> = row.try_get(1)?;
    let outcome = match (module, error) {
        (Some(module), _) => Ok(Digest(bytes_of(module)?)),
        (None, Some(error)) => Err(serde_json::from_str(error).map_err(json)?),
        (None, None) => return Err(StoreError::corrupt("a source that was compiled to nothing")),
    };
    let warnings = serde_json::from_str(row.try_get(2)?).map_err(json)?;
    Ok(Compiled { outcome, warnings, compile_ms: row.try_get(3)? })
}
