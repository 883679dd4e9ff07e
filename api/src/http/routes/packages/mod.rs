//! Published packages.

pub(in crate::http) mod archive;
pub(in crate::http) mod create;
pub(in crate::http) mod get;
pub(in crate::http) mod list;
pub(in crate::http) mod maintainers;
mod shown;
pub(in crate::http) mod version;
pub(in crate::http) mod yank;

pub(in crate::http) use shown::VersionShown;

use crate::{
    functions::{Missing, Published},
    http::{Problem, auth::Caller, router::Api},
    packages::{PackageName, PackageReference, parse_version},
};
use std::sync::Arc;

const PACKAGE: &str = "package";

fn not_maintainer() -> Problem {
    Problem::forbidden("only the package's maintainers and its tenant's administrators may do this")
}

/// The version that a path names, as far as the caller may see it.
async fn published(api: &Api, caller: &Caller, path: (&str, &str, &str)) -> Result<Arc<Published>, Problem> {
    let (owner, name, version) = path;
    let absent = || Problem::not_found(PACKAGE);
    let reference = PackageReference {
        owner: owner.parse::<PackageName>().map_err(|_| absent())?,
        package: name.parse().map_err(|_| absent())?,
        version: Some(parse_version(version).map_err(|_| absent())?),
    };
    match api.app.functions.package(caller.viewer(), &reference).await? {
        Ok(published) => Ok(published),
        Err(Missing::Version { .. }) => Err(Problem::not_found("version of the package")),
        Err(_) => Err(absent()),
    }
}
