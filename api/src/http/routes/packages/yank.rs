//! `POST /v1/packages/{owner}/{name}/versions/{version}/yank` and `…/unyank`

use super::{
    super::{json, no_body},
    PACKAGE, VersionShown, not_maintainer,
};
use crate::{
    http::{Problem, auth::Caller, body, query::NoQuery, router::Api},
    json::{Faults, Fields, Path as Place, Value, check},
};
use axum::{
    extract::{Path, Request, State},
    http::StatusCode,
    response::Response,
};
use mecapy_store::{PackagePin, YankOutcome};
use std::sync::Arc;

/// The longest reason, in characters.
const REASON_CHARS_MAX: usize = 500;

/// Asks for a version to be yanked.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
pub(in crate::http) struct YankRequest {
    /// Shown to whoever looks at the version; at most 500 characters.
    reason: Option<String>,
}

/// Takes a version out of use: a reference without a version doesn't find it any more. Who names it still can call it.
#[utoipa::path(post, path = "/v1/packages/{owner}/{name}/versions/{version}/yank", tag = "Functions",
    request_body = YankRequest, responses((status = 200, body = VersionShown)))]
pub(in crate::http) async fn yank(
    State(api): State<Arc<Api>>,
    caller: Caller,
    _: NoQuery,
    Path(path): Path<(String, String, String)>,
    request: Request,
) -> Result<Response, Problem> {
    let body = body::json(request, api.app.limits.json_bytes_max).await?;
    let reason = reason(&body)?;
    let done = api.store_for(&caller).yank_package(caller.viewer(), pin(&path), reason).await?;
    answer(&api, done)
}

/// Puts a yanked version back into use.
#[utoipa::path(post, path = "/v1/packages/{owner}/{name}/versions/{version}/unyank", tag = "Functions",
    responses((status = 200, body = VersionShown)))]
pub(in crate::http) async fn unyank(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(path): Path<(String, String, String)>,
    request: Request,
) -> Result<Response, Problem> {
    no_body(request).await?;
    let done = api.store_for(&caller).unyank_package(caller.viewer(), pin(&path)).await?;
    answer(&api, done)
}

fn pin((owner, name, version): &(String, String, String)) -> PackagePin<'_> {
    PackagePin { owner, name, version }
}

fn answer(api: &Api, done: YankOutcome) -> Result<Response, Problem> {
    match done {
        YankOutcome::Done(version) => {
            api.app.functions.forget();
            json(StatusCode::OK, &VersionShown::read(version)?)
        }
        YankOutcome::NotFound => Err(Problem::not_found(PACKAGE)),
        YankOutcome::NotMaintainer => Err(not_maintainer()),
    }
}

fn reason(body: &[u8]) -> Result<Option<String>, Problem> {
    let mut faults = Faults::default();
    let mut reason = None;
    if let Some(mut fields) = Fields::open(Value::of(check(body)?), Place::Root, &mut faults) {
        reason = fields.string("reason", &mut faults).map(Into::into);
        fields.finish(&mut faults);
    }
    if reason.as_ref().is_some_and(|reason: &String| reason.chars().count() > REASON_CHARS_MAX) {
        return Err(Problem::fault("/reason", "too_long", format!("{REASON_CHARS_MAX} characters are allowed here")));
    }
    if faults.is_empty() { Ok(reason) } else { Err(Problem::invalid(faults.into_vec())) }
}
