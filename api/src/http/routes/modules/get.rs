//! `GET /v1/modules/{module}`

use super::{
    super::{id, json},
    MODULE,
};
use crate::http::{Problem, auth::Caller, query::NoQuery, router::Api, shown::ModuleShown};
use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};
use std::sync::Arc;

/// What is known of a module.
#[utoipa::path(get, path = "/v1/modules/{module}", tag = "Files",
    params(("module" = String, Path, description = "Its SHA-256")),
    responses((status = 200, body = ModuleShown))
)]
pub(in crate::http) async fn get(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(text): Path<String>,
    _: NoQuery,
) -> Result<Response, Problem> {
    let found = api.app.store.module(caller.tenant(), id(&text, MODULE)?).await?;
    json(StatusCode::OK, &ModuleShown::new(found.ok_or_else(|| Problem::not_found(MODULE))?))
}
