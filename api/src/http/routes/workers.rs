//! `GET /v1/workers`

use super::json;
use crate::{
    app::WorkerStatus,
    http::{Problem, auth::Caller, query::NoQuery, router::Api, shown},
};
use axum::{extract::State, http::StatusCode, response::Response};
use mecapy_model::Lane;
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// All workers.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct Workers {
    workers: Vec<WorkerShown>,
}

/// A process that runs tasks.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Worker)]
pub(in crate::http) struct WorkerShown {
    id: String,
    /// `running`, or `draining` when it takes nothing more.
    state: &'static str,
    lanes: Vec<Lane>,
    /// Tasks that it runs now.
    running: usize,
    #[schema(format = DateTime)]
    started_at: String,
}

impl WorkerShown {
    fn new(status: WorkerStatus) -> Self {
        Self {
            id: status.id.to_string(),
            state: if status.draining { "draining" } else { "running" },
            lanes: status.lanes,
            running: status.running,
            started_at: shown::time(status.started_at),
        }
    }
}

/// The workers that this server knows of.
#[utoipa::path(get, path = "/v1/workers", tag = "Operations", responses((status = 200, body = Workers)))]
pub(in crate::http) async fn workers(State(api): State<Arc<Api>>, _: Caller, _: NoQuery) -> Result<Response, Problem> {
    let workers = api.app.workers().into_iter().map(WorkerShown::new).collect();
    json(StatusCode::OK, &Workers { workers })
}
