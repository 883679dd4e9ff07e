//! Where servers and workers under test keep what they have: a temporary folder, and, for those that share, a database,
//! a bus and a bucket of their own on the services that all tests use.

use crate::{
    Process, mecapy_binary,
    services::{Bucket, Database, shared},
};
use anyhow::{Result, ensure};
use std::{ffi::OsString, fs, path::PathBuf};
use tempfile::TempDir;

/// `shared`: servers run on PostgreSQL, Redis and S3.
const BACKEND_VARIABLE: &str = "MECAPY_TEST_BACKEND";
/// Short, so that the tasks of a process that was killed run again soon.
const LEASE_SECONDS: u32 = 3;

/// A folder, and the backends.
pub(crate) struct Place {
    home: TempDir,
    shared: Option<SharedBackends>,
}

/// Backends that several processes share; dropped, the database goes.
pub struct SharedBackends {
    pub database: Database,
    pub bucket: Bucket,
    pub queue_url: String,
}

impl SharedBackends {
    /// An empty database, a bus that nobody else hears, and an empty bucket.
    pub async fn new() -> Result<Self> {
        Self::with_queue(shared::redis().await?.prefixed_url()?).await
    }

    /// The same with a bus of the test's own.
    pub async fn with_queue(queue_url: String) -> Result<Self> {
        let database = shared::postgres().await?.database().await?;
        let bucket = shared::s3().await?.bucket().await?;
        Ok(Self { database, bucket, queue_url })
    }

    /// The settings of a server or worker that uses them.
    pub fn variables(&self) -> Vec<(String, String)> {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let mut variables = self.bucket.variables();
        variables.extend([
            pair("MECAPY_DATABASE_URL", &self.database.app_url),
            pair("MECAPY_QUEUE_URL", &self.queue_url),
            pair("MECAPY_OBJECTS_URL", &self.bucket.url()),
            pair("MECAPY_LEASE_SECONDS", &LEASE_SECONDS.to_string()),
        ]);
        variables
    }
}

impl Place {
    /// Of the kind that the environment asks for; shared backends are prepared with `mecapy migrate`.
    pub(crate) async fn new() -> Result<Self> {
        if variable(BACKEND_VARIABLE).is_some_and(|backend| backend == "shared") {
            return Self::on(SharedBackends::new().await?).await;
        }
        Ok(Self { home: home()?, shared: None })
    }

    /// On these backends, which are prepared with `mecapy migrate`.
    pub(crate) async fn on(backends: SharedBackends) -> Result<Self> {
        let place = Self { home: home()?, shared: Some(backends) };
        place.migrate().await?;
        Ok(place)
    }

    pub(crate) fn shared(&self) -> Option<&SharedBackends> {
        self.shared.as_ref()
    }

    /// The data folder of the process with this name.
    pub(crate) fn data_directory(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// The admin key that the first start or `mecapy migrate` wrote.
    pub(crate) fn admin_key(&self, name: &str) -> Result<String> {
        let name = if self.shared.is_some() { MIGRATED } else { name };
        let path = self.data_directory(name).join("admin.key");
        let key = fs::read_to_string(&path).map_err(|error| anyhow::anyhow!("no {}: {error}", path.display()))?;
        Ok(key.trim().to_owned())
    }

    /// Starts the binary with the backends' settings, `variables` over them, and a data folder and a log of this name.
    pub(crate) fn start(&self, name: &str, arguments: &[String], variables: &[(String, String)]) -> Result<Process> {
        let mut all: Vec<(String, OsString)> = Vec::new();
        let backends = self.shared.as_ref().map(SharedBackends::variables).unwrap_or_default();
        all.extend(backends.into_iter().chain(variables.iter().cloned()).map(|(name, value)| (name, value.into())));
        all.push(("MECAPY_DATA_DIR".to_owned(), self.data_directory(name).into()));
        let arguments: Vec<OsString> = arguments.iter().map(OsString::from).collect();
        Process::start(mecapy_binary()?, &arguments, &all, &self.home.path().join(format!("{name}.log")))
    }

    async fn migrate(&self) -> Result<()> {
        let Some(backends) = &self.shared else { return Ok(()) };
        let arguments = ["migrate", "--grant-to", &backends.database.app_role].map(str::to_owned);
        let owner = ("MECAPY_DATABASE_URL".to_owned(), backends.database.owner_url.clone());
        let mut process = self.start(MIGRATED, &arguments, &[owner])?;
        let status = process.ended().await?;
        ensure!(status.success(), "the database could not be prepared: {status}\n{}", process.log_tail());
        Ok(())
    }
}

/// The data folder of a single server, where `mecapy migrate` leaves the first admin key too.
pub(crate) const MIGRATED: &str = "data";

fn home() -> Result<TempDir> {
    Ok(tempfile::Builder::new().prefix("mecapy-test-").tempdir()?)
}

#[expect(clippy::disallowed_methods, reason = "the harness's switch is named by whoever runs the tests")]
fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}
