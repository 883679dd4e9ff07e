//! Results that may be used again, and the tasks that are born with a copy of one.

use super::ending::{Ended, Record};
use super::state::Writer;
use super::submit::Accepted;
use crate::StoreError;
use crate::sql::{Dialect, Rows, pieces, query, with_list};
use mecapy_model::{TaskState, TenantId};
use std::collections::BTreeMap;

/// The newest result of a key is the one that is used.
const REMEMBERED: Rows = Rows {
    head: "INSERT INTO result_cache (tenant, key, task_no, function, created_ms)",
    width: 5,
    tail: " ON CONFLICT (tenant, key) DO UPDATE SET task_no = excluded.task_no, function = excluded.function, \
           created_ms = excluded.created_ms",
};
/// The number of the last event of a task that was accepted and completed: accepted, completed, done.
const DONE_SEQ: i64 = 3;

impl Writer {
    /// Remembers the results of completed tasks that may be used again.
    pub(super) async fn remember_results(&mut self, ended: &[Ended]) -> Result<(), StoreError> {
        // In one order everywhere, and each key once: of equal ones the last counts.
        let mut results = BTreeMap::new();
        for ended in ended.iter().filter(|ended| ended.state == TaskState::Completed) {
            if let Some((key, function)) = &ended.cache {
                results.insert((ended.tenant, key.as_slice()), (ended.no, function.as_deref()));
            }
        }
        let results: Vec<_> = results.into_iter().collect();
        for piece in pieces(&results) {
            let mut query = query(REMEMBERED.sql(piece.len()));
            for ((tenant, key), (no, function)) in piece {
                query = query.bind(*tenant).bind(*key).bind(*no).bind(*function).bind(self.now_ms);
            }
            self.run(query).await?;
        }
        Ok(())
    }

    pub(crate) async fn invalidate_cache(
        &mut self,
        tenant: TenantId,
        function: &str,
        written: Option<&str>,
    ) -> Result<u64, StoreError> {
        let sql = match self.dialect {
            Dialect::Sqlite => {
                "DELETE FROM result_cache WHERE tenant = ?1 AND function = ?2 AND (?3 IS NULL OR EXISTS \
                 (SELECT 1 FROM task_specs s WHERE s.no = task_no AND json_extract(s.code, '$.function') = ?3))"
            }
            Dialect::Postgres => {
                "DELETE FROM result_cache WHERE tenant = ?1 AND function = ?2 AND (?3 IS NULL OR EXISTS \
                 (SELECT 1 FROM task_specs s WHERE s.no = task_no AND CAST(s.code AS JSONB) ->> 'function' = ?3))"
            }
        };
        self.run(query(sql).bind(tenant).bind(function).bind(written)).await
    }

    /// Ends the tasks among those just accepted that were born with a result.
    pub(super) async fn end_copies(&mut self, accepted: &[Accepted<'_>]) -> Result<(), StoreError> {
        let mut ended = Vec::new();
        let mut artifacts = Vec::new();
        for Accepted { no, row, .. } in accepted {
            let Some(copy) = &row.cached else { continue };
            ended.push(Ended {
                no: *no,
                task: row.id,
                tenant: row.tenant,
                lane: row.lane,
                name: row.name.as_deref().map(str::to_owned),
                webhook_url: row.webhook_url.as_deref().map(str::to_owned),
                batch: None,
                compile_ms: None,
                internal: false,
                attempt: 0,
                state: TaskState::Completed,
                done_seq: DONE_SEQ,
                at_ms: self.now_ms,
                record: Record::copied(copy),
                run: row.ties.run,
                // The result's first task is the one that is asked for it.
                cache: None,
                artifacts: copy.artifacts.iter().map(|artifact| artifact.name.clone()).collect(),
            });
            artifacts.extend(copy.artifacts.iter().map(|artifact| (*no, row.tenant, artifact)));
        }
        if ended.is_empty() {
            return Ok(());
        }
        for piece in pieces(&ended) {
            let sql = "UPDATE tasks SET state = 'completed', completed_ms = ?, event_seq = ? WHERE no IN (";
            let query = query(with_list(sql, piece.len(), ")")).bind(self.now_ms).bind(DONE_SEQ);
            let query = piece.iter().fold(query, |query, ended| query.bind(ended.no));
            self.run(query).await?;
        }
        self.record_ended(&ended).await?;
        self.insert_artifacts(&artifacts).await
    }
}
