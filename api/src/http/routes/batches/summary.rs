//! `GET /v1/batches/{id}/summary`

use super::{found, json, table_place};
use crate::{
    batches::{ROWS_PAGE, Rows},
    http::{Problem, auth::Caller, query::NoQuery, router::Api},
    tables::{FieldSummary, Statistics, Summary},
};
use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};
use mecapy_model::{BatchState, TaskState};
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// What the results of a batch are like so far.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BatchSummary)]
pub(in crate::http) struct Shown {
    state: BatchState,
    total: u32,
    /// Items that completed, whose results are counted here.
    count: u32,
    failed: u32,
    cancelled: u32,
    /// Each numeric field of the results, in the order in which they were found; the first 40.
    fields: Vec<FieldSummary>,
    /// The names of numeric fields beyond those.
    left_out: Vec<String>,
}

/// For each number of the results: least, most, mean, deviation, quantiles, and which items have the extremes.
#[utoipa::path(get, path = "/v1/batches/{id}/summary", tag = "Batches", params(("id" = uuid::Uuid, Path)), responses(
    (status = 200, body = Shown)
))]
pub(in crate::http) async fn summary(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(id): Path<String>,
    _: NoQuery,
) -> Result<Response, Problem> {
    let batch = found(&api.app, &caller, &id).await?;
    let _place = table_place(&api.app, &caller)?;
    let (state, total) = (batch.state, batch.total);
    let mut rows = Rows::open(api.app.store.clone(), batch, false).await?;
    let mut summary = Summary::default();
    let (mut count, mut failed, mut cancelled) = (0, 0, 0);
    loop {
        let page = rows.page(ROWS_PAGE).await?;
        if page.is_empty() {
            break;
        }
        for row in page {
            match row.state {
                TaskState::Completed => {
                    count += 1;
                    summary.see(u64::from(row.index), "result", row.result());
                }
                TaskState::Failed => failed += 1,
                TaskState::Cancelled => cancelled += 1,
                TaskState::Queued | TaskState::Running => (),
            }
        }
    }
    let Statistics { fields, left_out } = summary.finish();
    json(StatusCode::OK, &Shown { state, total, count, failed, cancelled, fields, left_out })
}
