//! Batches: submit, list, watch, fetch as tables, stop, run again.

pub(in crate::http) mod cancel;
pub(in crate::http) mod create;
pub(in crate::http) mod delete;
pub(in crate::http) mod events;
pub(in crate::http) mod get;
pub(in crate::http) mod list;
pub(in crate::http) mod plot;
pub(in crate::http) mod results;
pub(in crate::http) mod retry;
mod shown;
pub(in crate::http) mod summary;

use super::{id, json, no_body};
use crate::{
    app::App,
    http::{Problem, auth::Caller},
    programs::Place,
};
use mecapy_model::BatchId;
use mecapy_store::BatchRow;
use std::time::Duration;

/// What is not found.
const BATCH: &str = "batch";
/// What a caller is told whose tenant has as many tables under way as it may.
const RETRY_AFTER_TABLES: Duration = Duration::from_secs(2);

fn batch_id(text: &str) -> Result<BatchId, Problem> {
    id(text, BATCH)
}

/// The caller's batch.
async fn found(app: &App, caller: &Caller, id: &str) -> Result<BatchRow, Problem> {
    let batch = app.store.batch(caller.tenant(), batch_id(id)?).await?;
    batch.ok_or_else(|| Problem::not_found(BATCH))
}

/// A place for an answer that goes through all items.
pub(super) fn table_place(app: &App, caller: &Caller) -> Result<Place, Problem> {
    let detail = "as many of your tables, summaries and pictures are made as may at once: try again in a moment";
    app.tables.try_enter(caller.tenant(), 1).ok_or_else(|| Problem::too_many(detail, RETRY_AFTER_TABLES))
}
