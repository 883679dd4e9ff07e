//! `GET /v1/functions/{owner}/{package}/{name}`

use super::super::json;
use crate::{
    functions::{Call, Missing},
    http::{Problem, auth::Caller, query::Query, router::Api, shown::time},
    packages::{FunctionReference, PackageName, PackageReference, Resources, parse_version},
};
use axum::{
    extract::{Path, State},
    http::{StatusCode, Uri},
    response::Response,
};
use mecapy_model::ports::{Schema, Side};
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

const FUNCTION: &str = "function";

/// A function, with all that a form needs to be drawn.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Function)]
pub(in crate::http) struct FunctionShown {
    /// What a task's code names: `owner/package@1.2.0#name`
    reference: String,
    owner: String,
    package: String,
    version: String,
    name: String,
    description: String,
    handler: Option<String>,
    /// JSON Schema (2020-12) of the inputs, with units; null where the manifest declares none, and any are taken.
    #[schema(value_type = Option<Object>)]
    inputs: Option<Schema>,
    /// The same of the result.
    #[schema(value_type = Option<Object>)]
    outputs: Option<Schema>,
    #[schema(value_type = Object)]
    resources: Resources,
    #[schema(format = DateTime)]
    yanked_at: Option<String>,
}

/// One function, its inputs and outputs as JSON Schema with units.
#[utoipa::path(get, path = "/v1/functions/{owner}/{package}/{name}", tag = "Functions",
    params(("version" = Option<String>, Query, description = "The newest that isn't yanked when absent")),
    responses((status = 200, body = FunctionShown))
)]
pub(in crate::http) async fn get(
    State(api): State<Arc<Api>>,
    caller: Caller,
    uri: Uri,
    Path((owner, package, name)): Path<(String, String, String)>,
) -> Result<Response, Problem> {
    let mut query = Query::of(&uri, &["version"])?;
    let absent = || Problem::not_found(FUNCTION);
    let version = query.text("version").map(|text| parse_version(&text)).transpose();
    let version = version.map_err(|error| Problem::fault("/version", "invalid", error.to_string()))?;
    let owner: PackageName = owner.parse().map_err(|_| absent())?;
    let package = PackageReference { owner, package: package.parse().map_err(|_| absent())?, version };
    let reference = FunctionReference { package, function: name.parse().map_err(|_| absent())? };
    let found = api.app.functions.find(caller.viewer(), &reference).await?;
    let call = found.map_err(|missing| match missing {
        // One that may not be seen is as absent as one that isn't there.
        Missing::Package { .. } => absent(),
        known => Problem::missing(known.to_string()),
    })?;
    json(StatusCode::OK, &shown(&call).ok_or_else(absent)?)
}

fn shown(call: &Call) -> Option<FunctionShown> {
    let (published, function) = (call.published(), call.function()?);
    let signature = &function.signature;
    let row = &published.row;
    Some(FunctionShown {
        reference: published.reference(function),
        owner: row.owner.clone(),
        package: row.name.clone(),
        version: row.version.clone(),
        name: function.name.to_string(),
        description: function.description.clone(),
        handler: function.handler.as_ref().map(ToString::to_string),
        inputs: signature.inputs().map(|_| signature.ports.schema(Side::Input)),
        outputs: signature.outputs().map(|_| signature.ports.schema(Side::Output)),
        resources: published.manifest.resources(function),
        yanked_at: row.yanked.as_ref().map(|yank| time(yank.at)),
    })
}
