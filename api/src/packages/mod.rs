//! Packages of functions: what an author publishes, read and checked before anything of it runs.
//!
//! A zip or a folder becomes [`Files`] under [`Bounds`]; [`Package::open`] reads the manifest `mecapy.yml`, the wheels,
//! the handlers' source and the test cases, and finds every fault with its place. Pure: knows nothing of HTTP, of
//! databases, of who may publish, or of interpreters, whose content is handed in as a [`Python`].

mod archive;
mod authored;
mod compare;
mod fields;
mod files;
mod folder;
mod function;
mod handler;
mod manifest;
mod name;
mod node;
mod package;
mod places;
mod port;
mod python;
mod reference;
mod requirement;
mod resources;
mod runtime;
mod testcase;
mod wheel;
mod yaml;

#[cfg(test)]
mod tests;

pub use archive::{read_zip, write_zip};
pub use authored::AuthoredDocument;
pub use compare::{Exception, Expected, Tolerance};
pub use files::{Bounds, Files, Refused};
pub use folder::{FolderError, read_folder};
pub use function::{Function, Handler};
pub use manifest::{Identity, MANIFEST_FILE, Manifest, Quality};
pub use mecapy_model::Visibility;
pub use name::{FileName, InvalidFileName};
pub use package::Package;
pub use places::{PlaceInFile, place_of};
pub use port::Signature;
pub use python::{Distribution, Python};
pub use reference::{FunctionName, FunctionReference, Invalid, PackageName, PackageReference, parse_version};
pub use resources::Resources;
pub use runtime::{Requirements, Runtime};
pub use testcase::TestCase;
pub use wheel::Wheel;
