//! `GET /v1/solvers`

use super::json;
use crate::http::{Problem, auth::Caller, query::NoQuery, router::Api};
use axum::{extract::State, http::StatusCode, response::Response};
use mecapy_runtime::solver::{Solver, SolverVersion, version_name};
use mecapy_store::SeenWorker;
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// A solver that tasks may name.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Solver)]
pub(in crate::http) struct SolverShown<'a> {
    /// Give this as `code.solver`.
    name: &'a str,
    title: &'a str,
    /// What understands its output: `code_aster`, `calculix` or `plain`.
    adapter: &'static str,
    licence: &'a str,
    versions: Vec<VersionShown<'a>>,
    /// Whether a worker is there now that has the image of a version. Tasks wait for one otherwise.
    available: bool,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SolverVersion)]
pub(in crate::http) struct VersionShown<'a> {
    /// Give this as `code.version`.
    version: &'a str,
    /// Whether this is what a task gets that names no version.
    default: bool,
    /// By its digest.
    image: &'a str,
    note: Option<&'a str>,
}

impl<'a> SolverShown<'a> {
    fn new(solver: &'a Solver, workers: &[SeenWorker]) -> Self {
        let shown = |version: &'a SolverVersion| VersionShown {
            version: &version.version,
            default: version.version == solver.default_version,
            image: &version.image,
            note: version.note.as_deref(),
        };
        let is_served = |version: &SolverVersion| {
            let name = version_name(&solver.name, &version.version);
            workers.iter().any(|seen| seen.is_at_work() && seen.row.solvers.contains(&name))
        };
        Self {
            name: &solver.name,
            title: &solver.title,
            adapter: solver.adapter.as_str(),
            licence: &solver.licence,
            versions: solver.versions.iter().map(shown).collect(),
            available: solver.versions.iter().any(is_served),
        }
    }
}

/// The solvers of this installation's catalogue; none where it has no catalogue.
#[utoipa::path(get, path = "/v1/solvers", tag = "Operations", responses((status = 200, body = Vec<SolverShown>)))]
pub(in crate::http) async fn solvers(State(api): State<Arc<Api>>, _: Caller, _: NoQuery) -> Result<Response, Problem> {
    let Some(solvers) = api.app.solvers() else { return json(StatusCode::OK, &[(); 0]) };
    let workers = api.app.workers().await?;
    let shown: Vec<_> = solvers.catalogue().solvers().map(|solver| SolverShown::new(solver, &workers)).collect();
    json(StatusCode::OK, &shown)
}
