//! `GET /v1/functions`

use super::super::{json, next_cursor, packages::list::read_cursor};
use crate::{
    http::{Problem, auth::Caller, query::Query, router::Api},
    packages::PackageReference,
};
use axum::{
    extract::State,
    http::{StatusCode, Uri},
    response::Response,
};
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// Packages whose functions one page lists.
const LIMIT_DEFAULT: u64 = 20;
const LIMIT_MAX: u64 = 50;

/// Functions, those of a package together.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct FunctionList {
    functions: Vec<FunctionOfList>,
    /// Give this as `cursor` to see more; null at the end.
    next_cursor: Option<String>,
}

/// A function that the caller may call.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct FunctionOfList {
    /// What a task's code names: `owner/package@1.2.0#name`
    reference: String,
    owner: String,
    package: String,
    version: String,
    name: String,
    description: String,
}

/// The functions of the newest version of every package that the caller may see.
#[utoipa::path(get, path = "/v1/functions", tag = "Functions",
    params(
        ("q" = Option<String>, Query, description = "Part of an owner's or a package's name, or of its description"),
        ("limit" = Option<u32>, Query, description = "Packages on a page, 1 to 50; 20 when absent"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before")
    ),
    responses((status = 200, body = FunctionList))
)]
pub(in crate::http) async fn list(State(api): State<Arc<Api>>, caller: Caller, uri: Uri) -> Result<Response, Problem> {
    let mut query = Query::of(&uri, &["q", "limit", "cursor"])?;
    let limit = query.integer("limit", 1..=LIMIT_MAX)?.unwrap_or(LIMIT_DEFAULT);
    let search = query.text("q");
    let after = query.cursor(read_cursor)?;
    let wanted = u32::try_from(limit + 1).unwrap_or(u32::MAX);
    let mut found = api.app.store.packages(caller.viewer(), search.as_deref(), after, wanted).await?;
    let next_cursor = next_cursor(&mut found, limit, |package| format!("{}/{}", package.owner, package.name));
    let mut functions = Vec::new();
    for package in found {
        let (Ok(owner), Ok(name)) = (package.owner.parse(), package.name.parse()) else { continue };
        let newest = PackageReference { owner, package: name, version: None };
        // One whose versions are all yanked has nothing to call without naming a version.
        let Ok(published) = api.app.functions.package(caller.viewer(), &newest).await? else { continue };
        functions.extend(published.manifest.functions.iter().map(|function| FunctionOfList {
            reference: published.reference(function),
            owner: published.row.owner.clone(),
            package: published.row.name.clone(),
            version: published.row.version.clone(),
            name: function.name.to_string(),
            description: function.description.clone(),
        }));
    }
    json(StatusCode::OK, &FunctionList { functions, next_cursor })
}
