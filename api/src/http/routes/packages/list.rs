//! `GET /v1/packages`

use super::super::{json, next_cursor};
use crate::{
    functions::newest,
    http::{Problem, auth::Caller, query::Query, router::Api},
    packages::Visibility,
};
use axum::{
    extract::State,
    http::{StatusCode, Uri},
    response::Response,
};
use mecapy_store::PackageSummary;
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

const LIMIT_DEFAULT: u64 = 50;
const LIMIT_MAX: u64 = 200;

/// Packages by owner and name.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct Packages {
    packages: Vec<PackageOfList>,
    /// Give this as `cursor` to see more; null at the end.
    next_cursor: Option<String>,
}

/// A package that the caller may see.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct PackageOfList {
    owner: String,
    name: String,
    #[schema(value_type = String)]
    visibility: Visibility,
    description: String,
    /// Null where every version is yanked.
    latest_version: Option<String>,
    versions: usize,
}

/// The packages that the caller may see, by owner and name.
#[utoipa::path(get, path = "/v1/packages", tag = "Functions",
    params(
        ("q" = Option<String>, Query, description = "Part of an owner, a name or a description"),
        ("limit" = Option<u32>, Query, description = "1 to 200; 50 when absent"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before")
    ),
    responses((status = 200, body = Packages))
)]
pub(in crate::http) async fn list(State(api): State<Arc<Api>>, caller: Caller, uri: Uri) -> Result<Response, Problem> {
    let mut query = Query::of(&uri, &["q", "limit", "cursor"])?;
    let limit = query.integer("limit", 1..=LIMIT_MAX)?.unwrap_or(LIMIT_DEFAULT);
    let search = query.text("q");
    let after = query.cursor(read_cursor)?;
    // One more than asked for says whether there is another page.
    let wanted = u32::try_from(limit + 1).unwrap_or(u32::MAX);
    let mut found = api.app.store.packages(caller.viewer(), search.as_deref(), after, wanted).await?;
    let next_cursor = next_cursor(&mut found, limit, |package| format!("{}/{}", package.owner, package.name));
    json(StatusCode::OK, &Packages { packages: found.into_iter().map(of_list).collect(), next_cursor })
}

fn of_list(package: PackageSummary) -> PackageOfList {
    let latest_version = newest(&package).map(|version| version.version.clone());
    let versions = package.versions.len();
    let PackageSummary { owner, name, visibility, description, .. } = package;
    PackageOfList { owner, name, visibility, description, latest_version, versions }
}

pub(in crate::http::routes) fn read_cursor(text: &str) -> Option<(String, String)> {
    text.split_once('/').map(|(owner, name)| (owner.to_owned(), name.to_owned()))
}
