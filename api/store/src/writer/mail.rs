//! Putting things into the inboxes of runs.

use super::ending::Ended;
use super::state::Writer;
use crate::StoreError;
use crate::bus::Hint;
use crate::runs::{MAIL_RESULT_BYTES_MAX, Mail};
use crate::sql::{Rows, pieces, query};
use mecapy_model::{RunId, TenantId};
use serde_json::value::RawValue;
use std::sync::Arc;

/// What is sent to a run that is gone goes nowhere.
const MAIL: Rows = Rows {
    head: "INSERT INTO run_inbox (run_no, body) SELECT r.no, v.column3 FROM (",
    width: 3,
    tail: ") AS v, workflow_runs r WHERE r.tenant = v.column1 AND r.id = v.column2",
};

impl Writer {
    pub(crate) async fn send_run(
        &mut self,
        tenant: TenantId,
        run: RunId,
        signal: &RawValue,
    ) -> Result<bool, StoreError> {
        let body = Mail::Sent(signal).body()?;
        Ok(self.post(&[(tenant, run, body)]).await? > 0)
    }

    /// Tells runs what has ended of theirs, in the transaction that ends it.
    pub(super) async fn mail_ended(&mut self, ended: &[Ended]) -> Result<(), StoreError> {
        let mut mail = Vec::new();
        for ended in ended {
            let Some(run) = ended.run else { continue };
            let raw = |text: &Arc<str>| RawValue::from_string(text.as_ref().to_owned());
            let json = |error: serde_json::Error| StoreError::corrupt(error.to_string());
            let result = ended.record.result_text();
            let short = result.filter(|text| text.len() <= MAIL_RESULT_BYTES_MAX).map(raw).transpose().map_err(json)?;
            let error = ended.record.error_text().map(raw).transpose().map_err(json)?;
            let is_long = (result.is_some() && short.is_none()) || ended.record.is_by_reference();
            let body = Mail::Task {
                id: ended.task,
                state: ended.state,
                result: short.as_deref(),
                by_reference: is_long,
                error: error.as_deref(),
                artifacts: &ended.artifacts,
            };
            mail.push((ended.tenant, run, body.body()?));
        }
        self.post(&mail).await.map(drop)
    }

    /// Answers how many arrived.
    pub(super) async fn post(&mut self, mail: &[(TenantId, RunId, Arc<str>)]) -> Result<u64, StoreError> {
        let mut arrived = 0;
        for piece in pieces(mail) {
            let mut query = query(MAIL.sql(piece.len()));
            for (tenant, run, body) in piece {
                query = query.bind(*tenant).bind(*run).bind(body.clone());
            }
            arrived += self.run(query).await?;
        }
        if arrived > 0 {
            self.runs_are_due();
        }
        Ok(arrived)
    }

    /// To be told after the commit: a run has something to do.
    pub(super) fn runs_are_due(&mut self) {
        let runs = self.shared.runs().clone();
        self.after_commit(move || runs.notify_one());
        self.hint(Hint::Runs);
    }
}
