//! `GET /v1/packages/{owner}/{name}/versions/{version}`

use super::{super::json, PACKAGE, VersionShown};
use crate::http::{Problem, auth::Caller, query::NoQuery, router::Api};
use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};
use mecapy_store::PackagePin;
use std::sync::Arc;

/// One version of a package, yanked ones too.
#[utoipa::path(get, path = "/v1/packages/{owner}/{name}/versions/{version}", tag = "Functions",
    responses((status = 200, body = VersionShown)))]
pub(in crate::http) async fn version(
    State(api): State<Arc<Api>>,
    caller: Caller,
    _: NoQuery,
    Path((owner, name, version)): Path<(String, String, String)>,
) -> Result<Response, Problem> {
    let pin = PackagePin { owner: &owner, name: &name, version: &version };
    let found = api.app.store.package_version(caller.viewer(), pin).await?;
    json(StatusCode::OK, &VersionShown::read(found.ok_or_else(|| Problem::not_found(PACKAGE))?)?)
}
