//! `GET /v1/compilers`

use super::json;
use crate::http::{Problem, auth::Caller, query::NoQuery, router::Api};
use axum::{extract::State, http::StatusCode, response::Response};
use mecapy_model::SourceLanguage;
use mecapy_runtime::solver::Toolchain;
use mecapy_store::SeenWorker;
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// What compiles sources of a language.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Compiler)]
pub(in crate::http) struct CompilerShown<'a> {
    /// Give this as `code.language`.
    language: SourceLanguage,
    title: &'a str,
    /// Of the compiler with its SDK: another version compiles all sources anew.
    version: &'a str,
    licence: &'a str,
    /// By its digest.
    image: &'a str,
    note: Option<&'a str>,
    /// Whether a worker is there now that has the image. Tasks wait for one otherwise, and previews of sources that were
    /// not compiled before answer 503.
    available: bool,
}

impl<'a> CompilerShown<'a> {
    fn new(compiler: &'a Toolchain, workers: &[SeenWorker]) -> Self {
        let name = compiler.name();
        Self {
            language: compiler.language,
            title: &compiler.title,
            version: &compiler.version,
            licence: &compiler.licence,
            image: &compiler.image,
            note: compiler.note.as_deref(),
            available: workers.iter().any(|seen| seen.is_at_work() && seen.row.solvers.contains(&name)),
        }
    }
}

/// The compilers of this installation's catalogue; none where it has no catalogue.
#[utoipa::path(get, path = "/v1/compilers", tag = "Operations", responses((status = 200, body = Vec<CompilerShown>)))]
pub(in crate::http) async fn compilers(
    State(api): State<Arc<Api>>,
    _: Caller,
    _: NoQuery,
) -> Result<Response, Problem> {
    let Some(solvers) = api.app.solvers() else { return json(StatusCode::OK, &[(); 0]) };
    let workers = api.app.workers().await?;
    let shown: Vec<_> =
        solvers.catalogue().compilers().map(|compiler| CompilerShown::new(compiler, &workers)).collect();
    json(StatusCode::OK, &shown)
}
