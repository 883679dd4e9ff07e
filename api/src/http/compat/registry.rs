//! `GET /registry/lookup/workflow` and `/registry/lookup/package`: what `owner/name:1.2.0` means.

use super::{
    super::{
        Problem,
        auth::Caller,
        problem::ProblemBody,
        query::Query,
        router::Api,
        routes::{json, workflows::WORKFLOW},
    },
    PACKAGE, absent, package_id,
};
use crate::packages::{PackageName, PackageReference, parse_version};
use axum::{
    extract::State,
    http::{StatusCode, Uri},
    response::Response,
};
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// A version of a package.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PackageLookup {
    /// Names the version too: `owner~name~1.2.0`
    package_id: String,
    name: String,
    owner: String,
    version: String,
}

/// A version of a workflow.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct WorkflowLookup {
    /// Names the version too: what it is started by.
    workflow_id: String,
    slug: String,
    owner: String,
    version: String,
}

/// A workflow by its owner, which is the tenant's name, and its own name; the SDK asks for a package after a 404.
#[utoipa::path(get, path = "/registry/lookup/workflow", tag = "Compatibility",
    params(
        ("owner" = String, Query),
        ("slug" = String, Query),
        ("version" = Option<String>, Query, description = "A whole number; the newest when absent")
    ),
    responses(
        (status = 200, body = WorkflowLookup),
        (status = 404, description = "There is no such workflow", body = ProblemBody, content_type = "application/problem+json")
    )
)]
pub(super) async fn workflow(State(api): State<Arc<Api>>, caller: Caller, uri: Uri) -> Result<Response, Problem> {
    let mut query = Query::of(&uri, &["owner", "slug", "version"])?;
    let (owner, slug) = (required(&mut query, "owner")?, required(&mut query, "slug")?);
    let version = query.text("version").filter(|text| !text.is_empty());
    let app = &api.app;
    // Workflows are their tenant's own; and a version that can't be one of a workflow may be one of a package.
    let number = version.as_deref().map(str::parse::<u32>).transpose();
    let is_own = app.tenant_names.name(&app.store, caller.tenant()).await?.is_some_and(|name| name == owner);
    let (true, Ok(number)) = (is_own, number) else { return Err(Problem::not_found(WORKFLOW)) };
    let found = app.store.workflow(caller.tenant(), &slug, number).await?;
    // An id is no name.
    let found = found.filter(|workflow| workflow.name == slug).ok_or_else(|| Problem::not_found(WORKFLOW))?;
    let workflow_id = super::workflows::id_of(&found);
    let shown = WorkflowLookup { workflow_id, slug, owner, version: found.version.to_string() };
    json(StatusCode::OK, &shown)
}

/// A package by its owner and name: the version that is named, or the newest that isn't yanked.
#[utoipa::path(get, path = "/registry/lookup/package", tag = "Compatibility",
    params(
        ("owner" = String, Query),
        ("name" = String, Query),
        ("version" = Option<String>, Query, description = "The newest that isn't yanked when absent")
    ),
    responses((status = 200, body = PackageLookup))
)]
pub(super) async fn package(State(api): State<Arc<Api>>, caller: Caller, uri: Uri) -> Result<Response, Problem> {
    let mut query = Query::of(&uri, &["owner", "name", "version"])?;
    let (owner, name) = (required(&mut query, "owner")?, required(&mut query, "name")?);
    let version = query.text("version").filter(|text| !text.is_empty()).map(|text| parse_version(&text)).transpose();
    let version = version.map_err(|error| Problem::fault("/version", "invalid", error.to_string()))?;
    // What can't be a name is nobody's.
    let known = |text: String| text.parse::<PackageName>().map_err(|_| Problem::not_found(PACKAGE));
    let reference = PackageReference { owner: known(owner)?, package: known(name)?, version };
    let found = api.app.functions.package(caller.viewer(), &reference).await?;
    let row = &found.map_err(|missing| absent(&missing))?.row;
    let shown = PackageLookup {
        package_id: package_id::of_version(row),
        name: row.name.clone(),
        owner: row.owner.clone(),
        version: row.version.clone(),
    };
    json(StatusCode::OK, &shown)
}

fn required(query: &mut Query, name: &str) -> Result<String, Problem> {
    let missing = || Problem::fault(format!("/{name}"), "required", format!("the query field {name:?} is needed"));
    query.text(name).ok_or_else(missing)
}
