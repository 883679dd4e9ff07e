//! `DELETE /v1/cache`: results of a function that may not be used again.

use super::json;
use crate::{
    app::App,
    http::{Problem, auth::Caller, problem::ProblemBody, query::Query, router::Api},
    packages::{FunctionReference, PackageReference},
};
use axum::{
    extract::State,
    http::{StatusCode, Uri},
    response::Response,
};
use serde::Serialize;
use std::{collections::BTreeSet, sync::Arc};
use utoipa::ToSchema;

/// What was invalidated.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CacheInvalidated)]
pub(super) struct Invalidated {
    /// Results that are not used again. Their tasks stay as they are.
    results: u64,
}

/// Forgets which results of a function may be used again, within the caller's tenant.
///
/// `owner/package` means all its functions, `owner/package#name` one; with `@1.2.0` of that version alone.
#[utoipa::path(delete, path = "/v1/cache", tag = "Tasks",
    params(("function" = String, Query, description = "`owner/package`, `owner/package@1.2.0`, `owner/package#name` or `owner/package@1.2.0#name`")),
    responses(
        (status = 200, body = Invalidated),
        (status = 422, body = ProblemBody, content_type = "application/problem+json", description = "It names no function")
    )
)]
pub(in crate::http) async fn invalidate(
    State(api): State<Arc<Api>>,
    caller: Caller,
    uri: Uri,
) -> Result<Response, Problem> {
    let text = Query::of(&uri, &["function"])?.text("function").filter(|text| !text.is_empty());
    let text =
        text.ok_or_else(|| fault("the query field \"function\" is needed, as in function=owner/package@1.2.0"))?;
    let (package, function) = match text.contains('#') {
        true => {
            let reference: FunctionReference = text.parse().map_err(|error| fault(format!("{error}")))?;
            (reference.package, Some(reference.function.as_str().to_owned()))
        }
        false => (text.parse::<PackageReference>().map_err(|error| fault(error.to_string()))?, None),
    };
    let version = package.version.as_ref().map(ToString::to_string);
    let names = match function {
        Some(name) => BTreeSet::from([name]),
        None => functions_of(&api.app, &caller, &package).await?,
    };
    let mut results = 0;
    for name in names {
        let function = format!("{}/{}#{name}", package.owner, package.package);
        let store = api.store_for(&caller);
        results += store.invalidate_cache(caller.tenant(), &function, version.as_deref()).await?;
    }
    json(StatusCode::OK, &Invalidated { results })
}

/// The names of a package's functions, in all its versions or in one.
async fn functions_of(app: &App, caller: &Caller, package: &PackageReference) -> Result<BTreeSet<String>, Problem> {
    let versions = match &package.version {
        Some(version) => vec![version.clone()],
        None => {
            let (owner, name) = (package.owner.as_str(), package.package.as_str());
            let found = app.store.package(caller.viewer(), owner, name).await?;
            let found =
                found.ok_or_else(|| fault(format!("there is no package {owner}/{name}, or you may not see it")))?;
            found.versions.iter().filter_map(|row| crate::packages::parse_version(&row.version).ok()).collect()
        }
    };
    let mut names = BTreeSet::new();
    for version in versions {
        let reference = PackageReference { version: Some(version), ..package.clone() };
        let found = app.functions.package(caller.viewer(), &reference).await?;
        let published = found.map_err(|missing| fault(missing.to_string()))?;
        names.extend(published.manifest.functions.iter().map(|function| function.name.as_str().to_owned()));
    }
    Ok(names)
}

fn fault(message: impl Into<String>) -> Problem {
    Problem::fault("/function", "invalid", message)
}
