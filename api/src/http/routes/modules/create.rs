//! `POST /v1/modules`

use super::super::{json, not_built};
use crate::{
    app::App,
    http::{
        Problem,
        auth::Caller,
        body::{LimitedBody, media_type},
        problem::ProblemBody,
        router::Api,
        shown::ModuleShown,
    },
};
use axum::{
    extract::{Request, State},
    http::StatusCode,
    response::Response,
};
use mecapy_model::TenantId;
use mecapy_runtime::module::{Export, Import, ModuleInfo, inspect};
use mecapy_store::{Module, NewModule};
use std::{sync::Arc, time::Duration};
use tokio::task::spawn_blocking;

/// How long a module waits for those before it to be compiled.
const ROOM_TIMEOUT: Duration = Duration::from_secs(30);
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// Keeps a WASI command module under its SHA-256.
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
    request: Request,
) -> Result<Response, Problem> {
    if media_type(request.headers()).as_deref() != Some("application/wasm") {
        return Err(Problem::unsupported_media("send the module as `Content-Type: application/wasm`"));
    }
    let bytes = LimitedBody::of(request, api.app.limits.module_bytes_max)?.whole().await?;
    let module = accept(&api.app, caller.tenant(), bytes.into()).await?;
    json(StatusCode::CREATED, &ModuleShown::new(module))
}

/// Inspects, compiles and keeps a module.
async fn accept(app: &App, tenant: TenantId, bytes: Vec<u8>) -> Result<Module, Problem> {
    let programs = app.programs().ok_or_else(not_built)?;
    let busy = || Problem::too_many("other modules are being compiled: try again in a moment", RETRY_AFTER);
    let waiting = tokio::time::timeout(ROOM_TIMEOUT, app.module_room.acquire());
    let _room = waiting.await.map_err(|_| busy())?.map_err(|error| Problem::internal(&error))?;
    let inspecting = spawn_blocking(move || (inspect(&bytes), bytes));
    let (inspected, bytes) = inspecting.await.map_err(|error| Problem::internal(&error))?;
    let info = inspected?;
    programs.compile(info.digest, bytes.clone()).await?;
    Ok(app.store.put_module(tenant, described(info, bytes)).await?)
}

fn described(info: ModuleInfo, bytes: Vec<u8>) -> NewModule {
    let import = |import: Import| format!("{}.{}", import.module, import.name);
    let export = |export: Export| export.name;
    NewModule {
        digest: info.digest,
        bytes,
        imports: info.imports.into_iter().map(import).collect(),
        exports: info.exports.into_iter().map(export).collect(),
        warnings: info.warnings,
    }
}
