//! `GET /v1/studies/{id}`

use super::{StudyShown, found, json};
use crate::http::{Problem, auth::Caller, query::Query, router::Api, routes::page_of, shown::time};
use axum::{
    extract::{Path, State},
    http::{StatusCode, Uri},
    response::Response,
};
use mecapy_store::{MemberKind, StudyMember};
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;
use uuid::Uuid;

/// Members of a kind beyond which no more are counted.
const COUNTED_MAX: u32 = 100_000;

/// A study with some of what belongs to it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = StudyWithMembers)]
pub(in crate::http) struct Shown {
    #[serde(flatten)]
    study: StudyShown,
    counts: Counts,
    /// Newest first.
    members: Vec<MemberShown>,
    /// Give this as `cursor` to see more members; null at the end.
    next_cursor: Option<String>,
}

/// How many there are of each kind; 100 000 where there are more.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = StudyCounts)]
struct Counts {
    /// Without those that are the work of a batch or a run.
    tasks: u64,
    batches: u64,
    /// Without those that are nested in another one.
    workflow_runs: u64,
}

/// Something that belongs to a study.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = StudyMember)]
struct MemberShown {
    /// `task`, `batch` or `workflow_run`.
    kind: &'static str,
    id: Uuid,
    name: Option<String>,
    state: String,
    #[schema(format = DateTime)]
    created_at: String,
    /// Where it is.
    link: String,
}

impl MemberShown {
    fn new(member: StudyMember) -> Self {
        let noun = match member.kind {
            MemberKind::Task => "tasks",
            MemberKind::Batch => "batches",
            MemberKind::WorkflowRun => "workflow-runs",
        };
        Self {
            kind: member.kind.as_str(),
            id: member.id,
            name: member.name,
            state: member.state,
            created_at: time(member.created_at),
            link: format!("/v1/{noun}/{}", member.id),
        }
    }
}

/// A study, with what belongs to it counted and in pages.
#[utoipa::path(get, path = "/v1/studies/{id}", tag = "Studies",
    params(
        ("id" = uuid::Uuid, Path),
        ("limit" = Option<u32>, Query, description = "Members of a page, 1 to 200; 50 when absent"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before")
    ),
    responses((status = 200, body = Shown))
)]
pub(in crate::http) async fn get(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(id): Path<String>,
    uri: Uri,
) -> Result<Response, Problem> {
    let mut query = Query::of(&uri, &["limit", "cursor"])?;
    let page = page_of(&mut query)?;
    let study = found(&api.app, &caller, &id).await?;
    let (store, tenant) = (&api.app.store, caller.tenant());
    let counted = store.count_members(tenant, study.id, COUNTED_MAX).await?;
    let page = store.study_members(tenant, study.id, page).await?;
    let shown = Shown {
        counts: Counts { tasks: counted.tasks, batches: counted.batches, workflow_runs: counted.workflow_runs },
        study: StudyShown::new(study),
        members: page.items.into_iter().map(MemberShown::new).collect(),
        next_cursor: page.next_cursor,
    };
    json(StatusCode::OK, &shown)
}
