//! `POST /v1/modules`

use super::super::{json, not_built};
use crate::{
    http::{
        Problem,
        auth::Caller,
        body::{LimitedBody, media_type},
        problem::ProblemBody,
        query::NoQuery,
        router::Api,
        shown::ModuleShown,
    },
    programs::{Place, Programs, Room, new_module},
};
use axum::{
    body::Bytes,
    extract::{Request, State},
    http::StatusCode,
    response::Response,
};
use mecapy_runtime::module::{ModuleInfo, inspect};
use std::{sync::Arc, time::Duration};
use tokio::task::spawn_blocking;

/// How long a module waits for those before it, to be read and then to be compiled.
const ROOM_TIMEOUT: Duration = Duration::from_secs(30);
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// Keeps a WASI command module, or a component of the world `mecapy:task`, under its SHA-256.
///
/// It is validated and compiled now, so that its first run is fast. The same bytes again give the same answer.
#[utoipa::path(post, path = "/v1/modules", tag = "Files",
    request_body(content = Vec<u8>, content_type = "application/wasm"),
    responses(
        (status = 201, body = ModuleShown),
        (status = 415, body = ProblemBody, content_type = "application/problem+json", description = "These bytes are no WebAssembly"),
        (status = 422, body = ProblemBody, content_type = "application/problem+json", description = "A module that can't be run here, and why")
    )
)]
pub(in crate::http) async fn create(
    State(api): State<Arc<Api>>,
    caller: Caller,
    _: NoQuery,
    request: Request,
) -> Result<Response, Problem> {
    if media_type(request.headers()).as_deref() != Some("application/wasm") {
        return Err(Problem::unsupported_media("send the module as `Content-Type: application/wasm`"));
    }
    let app = &api.app;
    let programs = app.programs().ok_or_else(not_built)?;
    // Before the first byte: what waits does so in the client, not in memory.
    let in_memory = place(&app.module_bodies, &caller).await?;
    let bytes = LimitedBody::of(request, app.limits.module_bytes_max)?.whole().await?;
    let room = place(&app.module_room, &caller).await?;
    let (info, bytes, _in_memory) = compiled(programs, bytes, (room, in_memory)).await?;
    let module = app.store.put_module(caller.tenant(), new_module(info, bytes.into())).await?;
    json(StatusCode::CREATED, &ModuleShown::new(module))
}

async fn place(room: &Room, caller: &Caller) -> Result<Place, Problem> {
    let entered = tokio::time::timeout(ROOM_TIMEOUT, room.enter(caller.tenant())).await;
    let busy = || Problem::too_many("other modules are being compiled: try again in a moment", RETRY_AFTER);
    entered.map_err(|_| busy())
}

/// Inspects and compiles a module. Goes on with that, in its places, when nobody waits any more.
async fn compiled(
    programs: &Programs,
    bytes: Bytes,
    (room, in_memory): (Place, Place),
) -> Result<(ModuleInfo, Bytes, Place), Problem> {
    let inspecting = spawn_blocking(move || (inspect(&bytes), bytes, room, in_memory));
    let (inspected, bytes, room, in_memory) = inspecting.await.map_err(|error| Problem::internal(&error))?;
    let info = inspected?;
    programs.compile(info.digest, bytes.clone(), room).await?;
    Ok((info, bytes, in_memory))
}
