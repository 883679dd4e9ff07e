//! Publishing: a zip becomes a version of a package that never changes, once everything that can be known of it before
//! it is called is known.

use super::{
    find::Functions,
    gate::{Gate, TestReport},
    library::{Library, Unmade},
    published::Published,
};
use crate::{
    packages::{Bounds, Package, PackageName, Refused, read_zip},
    programs::Place,
};
use mecapy_model::{Fault, Warning};
use mecapy_runtime::Sandboxes;
use mecapy_store::{NewPackageVersion, PackageVersion, PreviewUsage, PublishError, Store, StoreError, Viewer};
use std::sync::Arc;
use tokio::task::spawn_blocking;

/// So many failed test cases are told as faults.
const FAILED_TOLD_MAX: usize = 50;

/// Publishes packages.
pub struct Publisher<'a> {
    pub store: &'a Store,
    pub functions: &'a Functions,
    pub library: &'a Arc<Library>,
    pub sandboxes: &'a Sandboxes,
    pub viewer: Viewer,
    /// For people.
    pub publisher_name: &'a str,
    /// Kept until all work for the publication has ended, also where nobody waits for it any more.
    pub place: Arc<Place>,
}

/// A package that is published, or could be.
#[derive(Debug)]
pub struct Publication {
    pub published: Arc<Published>,
    pub warnings: Vec<Warning>,
    pub tests: TestReport,
}

/// Why a package is not published.
#[derive(Debug)]
pub enum Unpublished {
    /// These bytes are no package.
    Archive(Refused),
    /// The package is at fault, here.
    Invalid(Vec<Fault>),
    /// The store refuses: the version exists, or others own the name.
    Refused(PublishError),
    Store(StoreError),
    /// The platform failed.
    Failed(anyhow::Error),
}

impl From<StoreError> for Unpublished {
    fn from(error: StoreError) -> Self {
        Unpublished::Store(error)
    }
}

impl Publisher<'_> {
    /// Checks a package, runs its test cases, and keeps it under `owner` unless it is only to be checked.
    ///
    /// # Errors
    /// All faults of the package together; nothing of it is kept then.
    pub async fn publish(
        &self,
        owner: PackageName,
        zip: Vec<u8>,
        check_only: bool,
    ) -> Result<Publication, Unpublished> {
        let (package, zip) = self.open(zip).await?;
        let candidate = self.candidate(&owner, &package, zip.len());
        let published = Arc::new(Published { row: candidate, manifest: package.manifest.clone() });
        // Before minutes of tests, and again when it is kept.
        match self.store.may_publish(self.viewer, published.pin(), published.row.size_bytes).await {
            // What is only checked may well be there already.
            Err(PublishError::VersionExists { .. }) if check_only => {}
            may => may.map_err(Unpublished::Refused)?,
        }
        let package = Arc::new(package);
        let now = self.store.clock().now();
        let tenant = self.viewer.tenant;
        let made = {
            let (library, package, place) = (Arc::clone(self.library), Arc::clone(&package), Arc::clone(&self.place));
            let made = spawn_blocking(move || {
                let _place = place;
                library.make(&package, tenant, now)
            });
            made.await.map_err(|error| Unpublished::Failed(error.into()))?.map_err(Unpublished::of)?
        };
        if let Some(usage) = made.usage {
            self.store.record_preview_usage(PreviewUsage { tenant, error_kind: None, usage });
        }
        let mut warnings = package.warnings.clone();
        warnings.extend(made.warnings);
        let gate = Gate {
            store: self.store,
            sandboxes: self.sandboxes,
            tenant,
            now,
            package: &published,
            ready: &made.ready,
            files: &package.files,
        };
        let quality = package.manifest.quality;
        let tests = if quality.on_deployment { gate.run(&package.test_cases).await } else { TestReport::default() };
        let failed = failures(&tests);
        if quality.fail_on_error && !failed.is_empty() {
            return Err(Unpublished::Invalid(failed));
        }
        warnings.extend(failed.into_iter().map(as_warning));
        if check_only {
            return Ok(Publication { published, warnings, tests });
        }
        let row = self.keep(&owner, &package, zip, &tests).await?;
        self.functions.forget();
        let manifest = published.manifest.clone();
        Ok(Publication { published: Arc::new(Published { row, manifest }), warnings, tests })
    }

    async fn open(&self, zip: Vec<u8>) -> Result<(Package, Vec<u8>), Unpublished> {
        let library = Arc::clone(self.library);
        let place = Arc::clone(&self.place);
        let opened = spawn_blocking(move || {
            let _place = place;
            let files = read_zip(&zip, Bounds::PACKAGE).map_err(Unpublished::Archive)?;
            let package = library.open(files).map_err(Unpublished::Invalid)?;
            Ok((package, zip))
        });
        opened.await.unwrap_or_else(|error| Err(Unpublished::Failed(error.into())))
    }

    /// The version as it will be kept, for calls of its functions before it is.
    fn candidate(&self, owner: &PackageName, package: &Package, zip_bytes: usize) -> PackageVersion {
        let identity = &package.manifest.package;
        PackageVersion {
            owner: owner.to_string(),
            name: identity.name.to_string(),
            version: identity.version.to_string(),
            tenant: self.viewer.tenant,
            visibility: identity.visibility,
            description: identity.description.clone(),
            digest: package.digest,
            size_bytes: zip_bytes as u64,
            manifest: String::new(),
            report: String::new(),
            published_at: self.store.clock().now(),
            published_by: self.publisher_name.to_owned(),
            yanked: None,
        }
    }

    async fn keep(
        &self,
        owner: &PackageName,
        package: &Package,
        zip: Vec<u8>,
        tests: &TestReport,
    ) -> Result<PackageVersion, Unpublished> {
        let identity = &package.manifest.package;
        let json = |error: serde_json::Error| Unpublished::Failed(error.into());
        let new = NewPackageVersion {
            owner: owner.to_string(),
            name: identity.name.to_string(),
            version: identity.version.to_string(),
            visibility: identity.visibility,
            description: identity.description.clone(),
            digest: package.digest,
            zip,
            manifest: serde_json::to_string(&package.manifest).map_err(json)?,
            report: serde_json::to_string(tests).map_err(json)?,
            publisher: self.viewer.principal,
            publisher_name: self.publisher_name.to_owned(),
        };
        self.store.publish_package(self.viewer, new).await.map_err(Unpublished::Refused)
    }
}

impl Unpublished {
    fn of(unmade: Arc<Unmade>) -> Self {
        match &*unmade {
            Unmade::Invalid(fault) => Unpublished::Invalid(vec![Fault::clone(fault)]),
            Unmade::Failed(error) => Unpublished::Failed(anyhow::anyhow!("{error:#}")),
        }
    }
}

fn failures(tests: &TestReport) -> Vec<Fault> {
    let failed = tests.cases.iter().filter(|case| case.message.is_some());
    let fault = |case: &super::CaseReport| {
        let message = case.message.as_deref().unwrap_or_default();
        let pointer = crate::json::Path::Root.key("functions").key(&case.function).to_string();
        Fault::new(pointer, "test_failed", format!("{} ({}): {message}", case.name, case.file))
    };
    failed.take(FAILED_TOLD_MAX).map(fault).collect()
}

fn as_warning(fault: Fault) -> Warning {
    Warning { code: fault.code, message: fault.message, line: None, pointer: Some(fault.pointer) }
}
