//! `GET /v1/packages/{owner}/{name}/versions/{version}/archive`

use super::PACKAGE;
use crate::http::{Problem, auth::Caller, query::NoQuery, router::Api};
use axum::{
    extract::{Path, State},
    http::{HeaderValue, header},
    response::{IntoResponse as _, Response},
};
use mecapy_store::PackagePin;
use std::sync::Arc;

/// A version's zip, as it was published.
#[utoipa::path(get, path = "/v1/packages/{owner}/{name}/versions/{version}/archive", tag = "Functions",
    responses((status = 200, body = Vec<u8>, content_type = "application/zip")))]
pub(in crate::http) async fn archive(
    State(api): State<Arc<Api>>,
    caller: Caller,
    _: NoQuery,
    Path((owner, name, version)): Path<(String, String, String)>,
) -> Result<Response, Problem> {
    let pin = PackagePin { owner: &owner, name: &name, version: &version };
    let zip = api.app.store.package_zip(caller.viewer(), pin).await?;
    let mut response = zip.ok_or_else(|| Problem::not_found(PACKAGE))?.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/zip"));
    // The names hold nothing that a header could not.
    let attachment = format!("attachment; filename=\"{name}-{version}.zip\"");
    if let Ok(value) = HeaderValue::from_str(&attachment) {
        headers.insert(header::CONTENT_DISPOSITION, value);
    }
    Ok(response)
}
