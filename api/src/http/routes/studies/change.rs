//! `PATCH /v1/studies/{id}`

use super::{STUDY, StudyShown, found, json};
use crate::{
    http::{Problem, auth::Caller, body, query::NoQuery, router::Api, schema::study::StudyChangeRequest},
    intake,
    json::check,
};
use axum::{
    extract::{Path, Request, State},
    http::StatusCode,
    response::Response,
};
use mecapy_store::StudyChange;
use std::sync::Arc;

/// Changes a study's name or description.
#[utoipa::path(patch, path = "/v1/studies/{id}", tag = "Studies", request_body = StudyChangeRequest,
    params(("id" = uuid::Uuid, Path)), responses((status = 200, body = StudyShown))
)]
pub(in crate::http) async fn change(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(id): Path<String>,
    _: NoQuery,
    request: Request,
) -> Result<Response, Problem> {
    let study = found(&api.app, &caller, &id).await?;
    let body = body::json(request, api.app.limits.json_bytes_max).await?;
    let asked = intake::study(check(&body)?)?;
    let change = StudyChange { name: asked.name, description: asked.description };
    let changed = api.store_for(&caller).change_study(caller.tenant(), study.id, change).await?;
    json(StatusCode::OK, &StudyShown::new(changed.ok_or_else(|| Problem::not_found(STUDY))?))
}
