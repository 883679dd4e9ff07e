//! `POST /v1/studies`

use super::{StudyShown, json, study_path};
use crate::{
    http::{
        Problem, auth::Caller, body, problem::ProblemBody, query::NoQuery, router::Api, schema::study::StudyRequest,
    },
    intake,
    json::check,
};
use axum::{
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use std::sync::Arc;

/// Makes a study: a name for what belongs to one question.
///
/// Tasks, batches and workflow runs belong to it whose requests name its id as `study`.
#[utoipa::path(post, path = "/v1/studies", tag = "Studies", request_body = StudyRequest, responses(
    (status = 201, body = StudyShown, headers(("Location" = String, description = "The study's path"))),
    (status = 422, body = ProblemBody, content_type = "application/problem+json", description = "Invalid, each fault with its pointer")
))]
pub(in crate::http) async fn create(
    State(api): State<Arc<Api>>,
    caller: Caller,
    _: NoQuery,
    request: Request,
) -> Result<Response, Problem> {
    let body = body::json(request, api.app.limits.json_bytes_max).await?;
    let asked = intake::study(check(&body)?)?;
    let name = asked.name.ok_or_else(|| Problem::fault("/name", "required", "the field \"name\" is needed"))?;
    let description = asked.description.unwrap_or_default();
    let study = api.store_for(&caller).create_study(caller.tenant(), name, description).await?;
    let location = HeaderValue::from_str(&study_path(study.id));
    let mut response = json(StatusCode::CREATED, &StudyShown::new(study))?;
    if let Ok(location) = location {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}
