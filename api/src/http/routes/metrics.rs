//! `GET /metrics`

use crate::{http::router::Api, telemetry::Snapshot};
use axum::{
    extract::State,
    http::{HeaderValue, header},
    response::{IntoResponse as _, Response},
};
use mecapy_model::Lane;
use std::sync::Arc;

const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Metrics for Prometheus, in the OpenMetrics text format.
#[utoipa::path(get, path = "/metrics", tag = "Operations", security(()), responses(
    (status = 200, body = String, content_type = "application/openmetrics-text")
))]
pub(in crate::http) async fn metrics(State(api): State<Arc<Api>>) -> Response {
    let app = &api.app;
    let memory = app.sandboxes.memory_status();
    let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    let sandboxes = Lane::ALL.into_iter().map(|lane| {
        let status = app.sandboxes.lane_status(lane);
        (lane, count(status.running), count(status.waiting))
    });
    let snapshot = Snapshot {
        tasks: app.store.lane_counts().into_iter().map(|lane| (lane.lane, lane.queued, lane.running)).collect(),
        sandboxes: sandboxes.collect(),
        memory_used_bytes: memory.used_bytes,
        memory_budget_bytes: memory.budget_bytes,
        sandboxes_live: memory.live_sandboxes,
        preview_usage_dropped: app.store.preview_usage_dropped(),
    };
    let mut response = app.metrics.page(&snapshot).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
    response
}
