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

use crate::http::Problem;

const PACKAGE: &str = "package";

fn not_maintainer() -> Problem {
    Problem::forbidden("only the package's maintainers and its tenant's administrators may do this")
}
