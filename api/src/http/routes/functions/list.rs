//! `GET /v1/functions`

use super::super::{json, next_cursor, packages::list::read_cursor};
use crate::{
    http::{Problem, auth::Caller, query::Query, router::Api},
    packages::{Function, PackageReference},
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

/// Packages whose functions one page lists.
const LIMIT_DEFAULT: u64 = 20;
const LIMIT_MAX: u64 = 50;
/// Pages of packages that one search looks through; the answer's cursor goes on from there.
const PAGES_SEARCHED_MAX: usize = 10;

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
        ("q" = Option<String>, Query, description = "Part of a name or a description, the function's or its package's"),
        ("limit" = Option<u32>, Query, description = "Packages on a page, 1 to 50; 20 when absent"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before")
    ),
    responses((status = 200, body = FunctionList))
)]
pub(in crate::http) async fn list(State(api): State<Arc<Api>>, caller: Caller, uri: Uri) -> Result<Response, Problem> {
    let mut query = Query::of(&uri, &["q", "limit", "cursor"])?;
    let limit = query.integer("limit", 1..=LIMIT_MAX)?.unwrap_or(LIMIT_DEFAULT);
    let search = query.text("q").map(|text| text.to_lowercase());
    let mut after = query.cursor(read_cursor)?;
    let wanted = u32::try_from(limit + 1).unwrap_or(u32::MAX);
    let (mut functions, mut packages) = (Vec::new(), 0);
    for _ in 0..PAGES_SEARCHED_MAX {
        let mut found = api.app.store.packages(caller.viewer(), None, after.take(), wanted).await?;
        let next = next_cursor(&mut found, limit, |package| format!("{}/{}", package.owner, package.name));
        for package in found {
            let those = of_package(&api, &caller, &package, search.as_deref()).await?;
            packages += u64::from(!those.is_empty());
            functions.extend(those);
        }
        after = next.as_deref().and_then(read_cursor);
        // Where something is searched, many packages may have nothing of it.
        if after.is_none() || search.is_none() || packages >= limit {
            break;
        }
    }
    let next_cursor = after.map(|(owner, name)| format!("{owner}/{name}"));
    json(StatusCode::OK, &FunctionList { functions, next_cursor })
}

/// The functions of a package's newest version in which `search`, lower-case, is found.
async fn of_package(
    api: &Api,
    caller: &Caller,
    package: &PackageSummary,
    search: Option<&str>,
) -> Result<Vec<FunctionOfList>, Problem> {
    let (Ok(owner), Ok(name)) = (package.owner.parse(), package.name.parse()) else { return Ok(Vec::new()) };
    let newest = PackageReference { owner, package: name, version: None };
    // One whose versions are all yanked has nothing to call without naming a version.
    let Ok(published) = api.app.functions.package(caller.viewer(), &newest).await? else { return Ok(Vec::new()) };
    let about = format!("{}/{} {}", package.owner, package.name, package.description).to_lowercase();
    let is_wanted = |function: &&Function| {
        let text = || format!("{} {}", function.name, function.description).to_lowercase();
        search.is_none_or(|search| about.contains(search) || text().contains(search))
    };
    let wanted = published.manifest.functions.iter().filter(is_wanted);
    Ok(wanted
        .map(|function| FunctionOfList {
            reference: published.reference(function),
            owner: published.row.owner.clone(),
            package: published.row.name.clone(),
            version: published.row.version.clone(),
            name: function.name.to_string(),
            description: function.description.clone(),
        })
        .collect())
}
