//! The routes of the public MecaPy SDK, with its names and shapes: each is a call of a published function, or a look at
//! what came of one, and does what a route under `/v1` does. The SDK reads `detail` of every error.

mod account;
mod archive;
mod execute;
mod jobs;
mod output_files;
mod package_id;
mod packages;
mod registry;
mod result;
mod types;
mod uploads;
mod workflows;

use super::{Problem, auth::Caller, router::Api};
use crate::{
    functions::{Call, Missing},
    packages::{FunctionName, FunctionReference},
};
use package_id::PackageId;
use std::sync::Arc;
use utoipa_axum::{router::OpenApiRouter, routes};

const PACKAGE: &str = "package";
const FUNCTION: &str = "function";

/// All of them; they need credentials.
pub(super) fn compat() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(account::me))
        .routes(routes!(account::protected))
        .routes(routes!(account::admin))
        .routes(routes!(registry::workflow))
        .routes(routes!(registry::package))
        .routes(routes!(packages::list))
        .routes(routes!(packages::from_zip))
        .routes(routes!(uploads::upload))
        .routes(routes!(execute::execute))
        .routes(routes!(jobs::list))
        .routes(routes!(jobs::get))
        .routes(routes!(jobs::logs))
        .routes(routes!(result::result))
        .routes(routes!(archive::upload))
        .routes(routes!(types::catalog))
        .routes(routes!(types::check_connection))
        .routes(routes!(workflows::start))
        .routes(routes!(workflows::get))
        .routes(routes!(workflows::tick))
}

/// The function that a path names, as far as the caller may see it.
async fn call(api: &Api, caller: &Caller, package_id: &str, function: &str) -> Result<Call, Problem> {
    let package: PackageId = package_id.parse().map_err(|_| Problem::not_found(PACKAGE))?;
    let function: FunctionName = function.parse().map_err(|_| Problem::not_found(FUNCTION))?;
    let reference = FunctionReference { package: package.reference(), function };
    match api.app.functions.find(caller.viewer(), &reference).await? {
        Ok(call) => Ok(call),
        Err(missing) => Err(absent(&missing)),
    }
}

/// 404. A package that the caller may not see is as good as none, whatever it is called.
fn absent(missing: &Missing) -> Problem {
    match missing {
        Missing::Package { .. } => Problem::not_found(PACKAGE),
        missing => Problem::absent(missing.to_string()),
    }
}
