//! `GET /v1/packages/{owner}/{name}`

use super::{super::json, PACKAGE, shown::PackageShown};
use crate::http::{Problem, auth::Caller, query::NoQuery, router::Api};
use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};
use std::sync::Arc;

/// A package with all of its versions.
#[utoipa::path(get, path = "/v1/packages/{owner}/{name}", tag = "Functions", responses((status = 200, body = PackageShown)))]
pub(in crate::http) async fn get(
    State(api): State<Arc<Api>>,
    caller: Caller,
    _: NoQuery,
    Path((owner, name)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let found = api.app.store.package(caller.viewer(), &owner, &name).await?;
    json(StatusCode::OK, &PackageShown::new(found.ok_or_else(|| Problem::not_found(PACKAGE))?))
}
