//! Studies: make, list, look at, change, delete; their cases as a table, as a picture, and side by side.

pub(in crate::http) mod change;
pub(in crate::http) mod compare;
pub(in crate::http) mod create;
pub(in crate::http) mod delete;
pub(in crate::http) mod get;
pub(in crate::http) mod list;
pub(in crate::http) mod plot;
pub(in crate::http) mod table;

use super::{id, json};
use crate::{
    app::App,
    http::{Problem, auth::Caller, shown::time},
};
use mecapy_model::StudyId;
use mecapy_store::StudyRow;
use serde::Serialize;
use utoipa::ToSchema;

/// What is not found.
const STUDY: &str = "study";

fn study_id(text: &str) -> Result<StudyId, Problem> {
    id(text, STUDY)
}

/// The caller's study.
async fn found(app: &App, caller: &Caller, id: &str) -> Result<StudyRow, Problem> {
    let study = app.store.study(caller.tenant(), study_id(id)?).await?;
    study.ok_or_else(|| Problem::not_found(STUDY))
}

/// What belongs to one engineering question.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Study)]
pub(in crate::http) struct StudyShown {
    #[schema(value_type = uuid::Uuid)]
    id: StudyId,
    name: String,
    description: String,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    changed_at: String,
    links: StudyLinks,
}

/// Where to go from a study.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct StudyLinks {
    #[serde(rename = "self")]
    study: String,
    table: String,
    plot: String,
    compare: String,
}

impl StudyShown {
    fn new(row: StudyRow) -> Self {
        let study = study_path(row.id);
        let under = |what: &str| format!("{study}/{what}");
        let links = StudyLinks { table: under("table"), plot: under("plot"), compare: under("compare"), study };
        Self {
            id: row.id,
            name: row.name,
            description: row.description,
            created_at: time(row.created_at),
            changed_at: time(row.changed_at),
            links,
        }
    }
}

/// The path of a study.
fn study_path(id: StudyId) -> String {
    format!("/v1/studies/{id}")
}
