//! `GET /v1/modules`

use super::super::json;
use crate::http::{Problem, auth::Caller, query::Query, router::Api, shown::ModuleShown};
use axum::{
    extract::State,
    http::{StatusCode, Uri},
    response::Response,
};
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

const LIMIT_DEFAULT: u64 = 50;
const LIMIT_MAX: u64 = 200;

/// Modules, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct Modules {
    modules: Vec<ModuleShown>,
}

/// The caller's modules, newest first.
#[utoipa::path(get, path = "/v1/modules", tag = "Files",
    params(("limit" = Option<u32>, Query, description = "1 to 200; 50 when absent")),
    responses((status = 200, body = Modules))
)]
pub(in crate::http) async fn list(State(api): State<Arc<Api>>, caller: Caller, uri: Uri) -> Result<Response, Problem> {
    let limit = Query::of(&uri, &["limit"])?.integer("limit", 1..=LIMIT_MAX)?.unwrap_or(LIMIT_DEFAULT);
    let found = api.app.store.modules(caller.tenant(), u32::try_from(limit).unwrap_or(u32::MAX)).await?;
    json(StatusCode::OK, &Modules { modules: found.into_iter().map(ModuleShown::new).collect() })
}
