//! Packages and functions: publishing, finding and yanking them.

use super::{ANSWER_TIMEOUT, Answer, Client, ClientError, paging::with_query, uploads::BytesSent};
use crate::packages::{FunctionReference, PackageReference, Visibility};
use mecapy_model::Warning;
use reqwest::{Body, Method, header};
use semver::Version;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::time::Duration;

/// Sending a package, checking it and running its test cases.
const PUBLISH_TIMEOUT: Duration = Duration::from_secs(900);
const CHUNK_BYTES: usize = 64 << 10;

/// A version of a package, as it is published and shown.
#[derive(Debug, Deserialize)]
pub(crate) struct VersionAnswer {
    /// `owner/name@version`.
    pub reference: String,
    pub digest: String,
    pub size_bytes: u64,
    pub visibility: Visibility,
    #[serde(default)]
    pub description: String,
    #[serde(default)]
    pub published_at: Option<String>,
    #[serde(default)]
    pub published_by: Option<String>,
    #[serde(default)]
    pub yanked_at: Option<String>,
    #[serde(default)]
    pub yank_reason: Option<String>,
    #[serde(default)]
    pub warnings: Vec<Warning>,
    #[serde(default)]
    pub tests: Option<TestsAnswer>,
    #[serde(default)]
    pub functions: Vec<PublishedFunction>,
}

/// How a package's own test cases ended.
#[derive(Debug, Deserialize)]
pub(crate) struct TestsAnswer {
    pub total: u64,
    pub passed: u64,
    pub failed: u64,
    pub duration_ms: f64,
    #[serde(default)]
    pub cases: Vec<TestCaseAnswer>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct TestCaseAnswer {
    pub function: String,
    pub name: String,
    pub state: TestState,
    #[serde(default)]
    pub message: Option<String>,
    #[serde(default)]
    pub duration_ms: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TestState {
    Passed,
    Failed,
}

#[derive(Debug, Deserialize)]
pub(crate) struct PublishedFunction {
    /// `owner/package@1.2.0#name`.
    pub reference: String,
    #[serde(default)]
    pub description: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct PackageLine {
    pub owner: String,
    pub name: String,
    pub visibility: Visibility,
    #[serde(default)]
    pub description: String,
    /// None where every version is yanked.
    #[serde(default)]
    pub latest_version: Option<String>,
    /// How many there are.
    #[serde(default)]
    pub versions: u64,
}

/// A package with all its versions.
#[derive(Debug, Deserialize)]
pub(crate) struct PackageAnswer {
    pub owner: String,
    pub name: String,
    pub visibility: Visibility,
    #[serde(default)]
    pub description: String,
    #[serde(default)]
    pub latest_version: Option<String>,
    #[serde(default)]
    pub maintainers: Vec<Maintainer>,
    pub versions: Vec<VersionLine>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Maintainer {
    pub name: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct VersionLine {
    pub version: String,
    pub digest: String,
    pub size_bytes: u64,
    pub published_at: String,
    #[serde(default)]
    pub published_by: Option<String>,
    #[serde(default)]
    pub yanked_at: Option<String>,
    #[serde(default)]
    pub yank_reason: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct FunctionLine {
    pub reference: String,
    #[serde(default)]
    pub description: String,
}

/// A function with its ports.
#[derive(Debug, Deserialize)]
pub(crate) struct FunctionAnswer {
    pub reference: String,
    #[serde(default)]
    pub description: String,
    /// A JSON Schema; null where any inputs may be given.
    #[serde(default)]
    pub inputs: Option<Box<RawValue>>,
    /// A JSON Schema; null where any outputs may come.
    #[serde(default)]
    pub outputs: Option<Box<RawValue>>,
    #[serde(default)]
    pub yanked_at: Option<String>,
}

/// Where a package goes, and whether it is kept.
#[derive(Debug, Clone, Default)]
pub(crate) struct Publishing {
    /// The tenant's own name where left out.
    pub owner: Option<String>,
    pub keeping: Keeping,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Keeping {
    /// It becomes a version that never changes.
    #[default]
    Publish,
    /// Everything is done but that.
    CheckOnly,
}

impl Client {
    /// Sends a package as a zip; it is checked and tested there before it is kept.
    pub(crate) async fn publish(
        &self,
        zip: Vec<u8>,
        publishing: &Publishing,
        sent: BytesSent,
    ) -> Result<Answer<VersionAnswer>, ClientError> {
        let length = zip.len();
        let chunks: Vec<Vec<u8>> = zip.chunks(CHUNK_BYTES).map(<[u8]>::to_vec).collect();
        let chunks = tokio_stream::iter(chunks.into_iter().map(move |chunk| {
            sent(chunk.len() as u64);
            std::io::Result::Ok(chunk)
        }));
        let check = (publishing.keeping == Keeping::CheckOnly).then_some("true");
        let query = [("owner", publishing.owner.as_deref()), ("check", check)];
        let request = self
            .request(Method::POST, &with_query("/v1/packages", query))
            .header(header::CONTENT_TYPE, "application/zip")
            .header(header::CONTENT_LENGTH, length);
        self.answer(request.body(Body::wrap_stream(chunks)).timeout(PUBLISH_TIMEOUT)).await
    }

    /// The package with all its versions, whichever the reference names.
    pub(crate) async fn package(&self, package: &PackageReference) -> Result<Answer<PackageAnswer>, ClientError> {
        self.answer(self.get(&package_path(package))).await
    }

    pub(crate) async fn package_version(
        &self,
        package: &PackageReference,
        version: &Version,
    ) -> Result<Answer<VersionAnswer>, ClientError> {
        self.answer(self.get(&version_path(package, version))).await
    }

    /// Takes a version out of what `owner/package` alone means; who names the version still gets it.
    pub(crate) async fn yank(
        &self,
        package: &PackageReference,
        version: &Version,
        reason: &str,
    ) -> Result<Answer<VersionAnswer>, ClientError> {
        let path = format!("{}/yank", version_path(package, version));
        let request = self.request(Method::POST, &path).json(&serde_json::json!({ "reason": reason }));
        self.answer(request.timeout(ANSWER_TIMEOUT)).await
    }

    pub(crate) async fn unyank(
        &self,
        package: &PackageReference,
        version: &Version,
    ) -> Result<Answer<VersionAnswer>, ClientError> {
        let path = format!("{}/unyank", version_path(package, version));
        self.answer(self.request(Method::POST, &path).timeout(ANSWER_TIMEOUT)).await
    }

    pub(crate) async fn function(&self, reference: &FunctionReference) -> Result<Answer<FunctionAnswer>, ClientError> {
        let FunctionReference { package, function } = reference;
        let path = format!("/v1/functions/{}/{}/{function}", package.owner, package.package);
        let version = package.version.as_ref().map(Version::to_string);
        self.answer(self.get(&with_query(&path, [("version", version.as_deref())]))).await
    }
}

/// Names and versions have no characters that mean anything in a path.
fn package_path(package: &PackageReference) -> String {
    format!("/v1/packages/{}/{}", package.owner, package.package)
}

fn version_path(package: &PackageReference, version: &Version) -> String {
    format!("{}/versions/{version}", package_path(package))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_carry_what_was_asked_for() {
        let package: PackageReference = "acme/rods@1.0.0-rc.1".parse().unwrap();
        assert_eq!(
            version_path(&package, package.version.as_ref().unwrap()),
            "/v1/packages/acme/rods/versions/1.0.0-rc.1"
        );
    }

    #[test]
    fn an_answer_may_leave_out_what_is_not_known_yet() {
        let text = r#"{"owner":"acme","name":"rods","version":"1.0.0","reference":"acme/rods@1.0.0","digest":"sha256:0",
            "size_bytes":7,"visibility":"internal","description":"","published_at":null,"published_by":null,
            "yanked_at":null,"yank_reason":null,"warnings":[],"tests":null,"functions":[
            {"name":"f","reference":"acme/rods@1.0.0#f","description":"","handler":null}],"newer":1}"#;
        let answer: VersionAnswer = serde_json::from_str(text).unwrap();
        assert_eq!((answer.visibility, answer.functions.len()), (Visibility::Internal, 1));
        let case =
            r#"{"function":"f","name":"a","file":"tests/a.yml","state":"failed","message":"no","duration_ms":0.5}"#;
        assert_eq!(serde_json::from_str::<TestCaseAnswer>(case).unwrap().state, TestState::Failed);
    }
}
