//! `GET /v1/workers`

use super::json;
use crate::http::{Problem, auth::Caller, query::NoQuery, router::Api, shown};
use axum::{extract::State, http::StatusCode, response::Response};
use mecapy_model::{Executor, Lane, Room};
use mecapy_store::{SeenWorker, WorkerRow};
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
    /// `embedded` in a server, or `worker` where it is a process of its own.
    kind: &'static str,
    /// `running`, `draining` when it takes nothing more, or `lost` when it has been silent for 15 s.
    state: &'static str,
    /// The name of its machine.
    host: String,
    version: String,
    lanes: Vec<Lane>,
    /// What runs its tasks: `sandbox`, or `container` for solvers.
    executor: Executor,
    /// What it has for containers in all; null where it runs sandboxes.
    room_total: Option<Room>,
    /// What of that is free.
    room_free: Option<Room>,
    /// The solvers that it can run, each as `name@version`: those whose images are on its engine's machine; none before
    /// its engine has answered, or where it has been away for half a minute.
    solvers: Vec<String>,
    /// Tasks that it may run at once, over all its lanes.
    concurrency: u32,
    /// Tasks that it runs now, or ran when it was last heard of.
    running: u32,
    #[schema(format = DateTime)]
    started_at: String,
    #[schema(format = DateTime)]
    last_seen_at: String,
}

impl WorkerShown {
    fn new(seen: SeenWorker) -> Self {
        let WorkerRow { id, kind, host, version, lanes, concurrency, running, draining, started_at, .. } = seen.row;
        let WorkerRow { executor, total, free, solvers, .. } = seen.row;
        let room = |room: Room| (executor == Executor::Container).then_some(room);
        Self {
            executor,
            room_total: room(total),
            room_free: room(free),
            solvers,
            id: id.to_string(),
            kind: kind.as_str(),
            state: match (seen.is_lost, draining) {
                (true, _) => "lost",
                (false, true) => "draining",
                (false, false) => "running",
            },
            host,
            version,
            lanes,
            concurrency,
            running,
            started_at: shown::time(started_at),
            last_seen_at: shown::time(seen.seen_at),
        }
    }
}

/// The workers that were heard of within half a minute, of all servers that share a database.
#[utoipa::path(get, path = "/v1/workers", tag = "Operations", responses((status = 200, body = Workers)))]
pub(in crate::http) async fn workers(State(api): State<Arc<Api>>, _: Caller, _: NoQuery) -> Result<Response, Problem> {
    let workers = api.app.workers().await?.into_iter().map(WorkerShown::new).collect();
    json(StatusCode::OK, &Workers { workers })
}
