//! `GET /v1/studies/{id}/compare`

use super::{super::batches::table_place, found, json};
use crate::{
    http::{Problem, auth::Caller, problem::ProblemBody, query::Query, router::Api},
    studies::{Case, CaseName, Comparison, compare as compare_texts},
};
use axum::{
    extract::{Path, State},
    http::{StatusCode, Uri},
    response::Response,
};
use mecapy_model::{StudyId, TenantId};
use serde::Serialize;
use std::sync::Arc;
use tokio::task::spawn_blocking;
use utoipa::ToSchema;

/// Two cases of a study side by side.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CaseComparison)]
pub(in crate::http) struct Shown {
    a: Case,
    b: Case,
    inputs: Comparison,
    /// Results of tasks and items, outputs of workflow runs.
    outputs: Comparison,
}

/// Two tasks, workflow runs or items of batches, field by field.
///
/// Each field is `equal`, `changed` (numbers with their difference, and how much of a it is), or only in one of them.
#[utoipa::path(get, path = "/v1/studies/{id}/compare", tag = "Studies",
    params(
        ("id" = uuid::Uuid, Path),
        ("a" = String, Query, description = "`task:<id>`, `workflow_run:<id>` or `item:<batch id>:<index>`"),
        ("b" = String, Query, description = "The same")
    ),
    responses(
        (status = 200, body = Shown),
        (status = 422, body = ProblemBody, content_type = "application/problem+json", description = "The study has no such case")
    )
)]
pub(in crate::http) async fn compare(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(id): Path<String>,
    uri: Uri,
) -> Result<Response, Problem> {
    let study = found(&api.app, &caller, &id).await?;
    let mut query = Query::of(&uri, &["a", "b"])?;
    let (a, b) = (name(&mut query, "a")?, name(&mut query, "b")?);
    let place = table_place(&api.app, &caller)?;
    let of = (caller.tenant(), study.id);
    let (a, b) = (case(&api, of, ("a", a)).await?, case(&api, of, ("b", b)).await?);
    // Values may be long.
    let compared = spawn_blocking(move || {
        let _place = place;
        let (inputs, outputs) = (compare_texts(&a.inputs, &b.inputs), compare_texts(&a.outputs, &b.outputs));
        Shown { a, b, inputs, outputs }
    });
    json(StatusCode::OK, &compared.await.map_err(|error| Problem::internal(&error))?)
}

fn name(query: &mut Query, field: &'static str) -> Result<CaseName, Problem> {
    let text = query.text(field).unwrap_or_default();
    text.parse().map_err(|()| {
        let message = "a case of the study is needed here: task:<id>, workflow_run:<id> or item:<batch id>:<index>";
        Problem::fault(format!("/{field}"), if text.is_empty() { "required" } else { "invalid" }, message)
    })
}

async fn case(
    api: &Api,
    (tenant, study): (TenantId, StudyId),
    (field, name): (&'static str, CaseName),
) -> Result<Case, Problem> {
    let found = name.find(&api.app.store, tenant, study).await?;
    found.ok_or_else(|| Problem::fault(format!("/{field}"), "unknown_case", "the study has no such case"))
}
