//! `POST /v1/workflows`

use super::{WorkflowShown, workflow_path};
use crate::{
    http::{
        Problem, auth::Caller, body, problem::ProblemBody, query::NoQuery, router::Api,
        schema::workflow::WorkflowRequest,
    },
    json, workflows,
};
use axum::{
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use mecapy_store::NewWorkflow;
use std::sync::Arc;

/// Saves a workflow: a graph of tasks, approvals and nested workflows.
///
/// It is checked as a whole: unknown references, cycles, types and units along the edges, and the code of each node. A
/// name is its tenant's; a definition that differs from the newest one of its name is its next version (201), the same
/// again is the version that there is (200). Versions never change.
#[utoipa::path(post, path = "/v1/workflows", tag = "Workflows", request_body = WorkflowRequest, responses(
    (status = 201, body = WorkflowShown, headers(("Location" = String, description = "The workflow's path"))),
    (status = 200, body = WorkflowShown, description = "Saved before, with the same definition"),
    (status = 422, body = ProblemBody, content_type = "application/problem+json", description = "Invalid, each fault with its pointer")
))]
pub(in crate::http) async fn save(
    State(api): State<Arc<Api>>,
    caller: Caller,
    _: NoQuery,
    request: Request,
) -> Result<Response, Problem> {
    let body = body::json(request, api.app.limits.json_bytes_max).await?;
    let text = json::check(&body)?;
    let definition = workflows::read(&api.app.intake(caller.viewer()), text).await?;
    let new = NewWorkflow { tenant: caller.tenant(), name: definition.name, definition: workflows::written_once(text) };
    let saved = api.store_for(&caller).save_workflow(new).await?;
    let status = if saved.is_new_version { StatusCode::CREATED } else { StatusCode::OK };
    let location = HeaderValue::from_str(&workflow_path(&saved.workflow.id.to_string()));
    let mut response = super::json(status, &WorkflowShown::new(saved.workflow)?)?;
    if let Ok(location) = location {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}
