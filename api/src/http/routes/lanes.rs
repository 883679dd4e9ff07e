//! `GET /v1/lanes`

use super::json;
use crate::http::{Problem, auth::Caller, query::NoQuery, router::Api};
use axum::{extract::State, http::StatusCode, response::Response};
use mecapy_model::{Lane, Room};
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// All lanes.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct Lanes {
    lanes: Vec<LaneShown>,
}

/// A lane: what it allows, how busy it is, and what the caller's tenant has in it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LaneStatus)]
pub(in crate::http) struct LaneShown {
    lane: Lane,
    timeout_ms_max: u64,
    memory_bytes_default: u64,
    /// Sandbox threads of this server.
    threads: usize,
    /// Sandboxes running on this server, previews included.
    running: usize,
    /// Jobs that wait for a thread of this server; in `high_priority` these are previews.
    waiting: usize,
    /// More than this are refused with 429.
    waiting_max: usize,
    /// Workers of all servers that run solvers of this lane in containers.
    container_workers: usize,
    /// Cores and memory that these have in all.
    container_room_total: Room,
    /// What of that is free; a task needs it on one of them.
    container_room_free: Room,
    /// The tenant's tasks that are queued.
    tasks_queued: u64,
    /// The tenant's tasks that run.
    tasks_running: u64,
}

fn sum(rooms: impl Iterator<Item = Room>) -> Room {
    rooms.fold(Room::default(), |sum, room| Room {
        cpus: sum.cpus.saturating_add(room.cpus),
        memory_bytes: sum.memory_bytes.saturating_add(room.memory_bytes),
    })
}

/// What each lane allows and how busy it is.
#[utoipa::path(get, path = "/v1/lanes", tag = "Operations", responses((status = 200, body = Lanes)))]
pub(in crate::http) async fn lanes(
    State(api): State<Arc<Api>>,
    caller: Caller,
    _: NoQuery,
) -> Result<Response, Problem> {
    let counts = api.app.store.tenant_counts(caller.tenant());
    let workers = api.app.workers().await?;
    let shown = |lane: Lane| {
        let of_lane: Vec<_> = workers.iter().filter(|seen| seen.serves_containers(lane)).collect();
        let status = api.app.sandboxes.lane_status(lane);
        let tasks = counts.iter().find(|count| count.lane == lane);
        LaneShown {
            lane,
            timeout_ms_max: lane.timeout_ms_max(),
            memory_bytes_default: lane.memory_bytes_default(),
            threads: status.threads,
            running: status.running,
            waiting: status.waiting,
            waiting_max: status.waiting_max,
            container_workers: of_lane.len(),
            container_room_total: sum(of_lane.iter().map(|seen| seen.row.total)),
            container_room_free: sum(of_lane.iter().map(|seen| seen.row.free)),
            tasks_queued: tasks.map_or(0, |count| count.queued),
            tasks_running: tasks.map_or(0, |count| count.running),
        }
    };
    json(StatusCode::OK, &Lanes { lanes: Lane::ALL.into_iter().map(shown).collect() })
}
