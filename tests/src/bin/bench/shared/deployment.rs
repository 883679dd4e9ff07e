//! A server and workers on a database of their own.

use super::Backends;
use crate::{
    http::Endpoint,
    server::{binary, free_address, wait_until_ready},
    service::Service,
};
use anyhow::{Context, Result, ensure};
use mecapy_tests::services::{Bucket, Database, psql};
use std::{fs, path::PathBuf, process::Command, time::Duration};
use tempfile::TempDir;
use tokio::time::timeout;

const MIGRATE_DEADLINE: Duration = Duration::from_secs(60);
/// Short, so that a bench that fails ends soon.
const DRAIN_SECONDS: &str = "2";

/// Dropped, its processes end first, then its data goes.
pub(crate) struct Deployment {
    workers: Vec<Service>,
    _server: Service,
    endpoint: Endpoint,
    database: Database,
    bucket: Bucket,
    queue_url: String,
    /// Of the server and of all workers, beside the backends.
    variables: Vec<(String, String)>,
    home: TempDir,
}

impl Deployment {
    /// A prepared database and `mecapy serve --no-worker`, ready to answer.
    pub(crate) async fn start(backends: &Backends) -> Result<Self> {
        Self::start_with(backends, Vec::new()).await
    }

    /// The same with these variables for the server and for all workers.
    pub(crate) async fn start_with(backends: &Backends, variables: Vec<(String, String)>) -> Result<Self> {
        let database = backends.postgres.databases().database().await?;
        let bucket = backends.s3.buckets().bucket().await?;
        let queue_url = backends.redis.address().prefixed_url()?;
        let home = tempfile::Builder::new().prefix("mecapy-bench-").tempdir()?;
        migrate(&database, &home).await?;
        let key = fs::read_to_string(home.path().join("migrate/admin.key")).context("`mecapy migrate` made no key")?;
        let address = free_address()?;
        let mut server = Command::new(binary()?);
        server.args(["serve", "--no-worker"]).env("MECAPY_LISTEN", address.to_string());
        use_backends(&mut server, &database, &bucket, &queue_url);
        server.envs(variables.clone()).env("MECAPY_DATA_DIR", home.path().join("server"));
        let mut server = Service::start(server, &home.path().join("server.log"))?;
        wait_until_ready(&mut server, address).await?;
        let endpoint = Endpoint::new(address, key.trim())?;
        Ok(Self { workers: Vec::new(), _server: server, endpoint, database, bucket, queue_url, variables, home })
    }

    /// One more `mecapy worker`, ready to claim, with these arguments. Answers its number, from 0.
    pub(crate) async fn add_worker(&mut self, arguments: &[&str]) -> Result<usize> {
        let number = self.workers.len();
        let address = free_address()?;
        let mut worker = Command::new(binary()?);
        worker.args(["worker", "--health-listen", &address.to_string(), "--drain-seconds", DRAIN_SECONDS]);
        worker.args(arguments);
        use_backends(&mut worker, &self.database, &self.bucket, &self.queue_url);
        worker.envs(self.variables.clone());
        worker.env("MECAPY_DATA_DIR", self.home.path().join(format!("worker-{number}")));
        let mut worker = Service::start(worker, &self.log_of_worker(number))?;
        wait_until_ready(&mut worker, address).await?;
        self.workers.push(worker);
        Ok(number)
    }

    /// What the worker with this number has logged.
    pub(crate) fn worker_log(&self, number: usize) -> Result<String> {
        Ok(String::from_utf8_lossy(&fs::read(self.log_of_worker(number))?).into_owned())
    }

    fn log_of_worker(&self, number: usize) -> PathBuf {
        self.home.path().join(format!("worker-{number}.log"))
    }

    /// SIGKILL for the worker with this number.
    pub(crate) fn kill_worker(&mut self, number: usize) -> Result<()> {
        self.workers.get_mut(number).context("there is no such worker")?.kill()
    }

    /// Of the server, with the admin key.
    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// What the database answers where row security shows everything: one row a line, its fields apart.
    pub(super) async fn rows(&self, sql: &str) -> Result<Vec<Vec<String>>> {
        let said = psql(&self.database.owner_url, &format!("SET mecapy.tenant = '*';\n{sql};")).await?;
        Ok(said.lines().map(|line| line.split('|').map(str::to_owned).collect()).collect())
    }

    /// The whole numbers of one row of so many fields.
    pub(super) async fn numbers<const FIELDS: usize>(&self, sql: &str) -> Result<[i64; FIELDS]> {
        let rows = self.rows(sql).await?;
        let fields = rows.first().with_context(|| format!("no row: {sql}"))?;
        let numbers: Vec<i64> = fields.iter().map(|field| field.parse()).collect::<Result<_, _>>()?;
        numbers.try_into().ok().with_context(|| format!("not {FIELDS} fields: {sql}"))
    }
}

async fn migrate(database: &Database, home: &TempDir) -> Result<()> {
    let mut command = tokio::process::Command::new(binary()?);
    command.args(["migrate", "--grant-to", &database.app_role]).kill_on_drop(true);
    command.env("MECAPY_DATABASE_URL", &database.owner_url).env("MECAPY_DATA_DIR", home.path().join("migrate"));
    let done = timeout(MIGRATE_DEADLINE, command.output()).await.context("`mecapy migrate` does not end")??;
    ensure!(done.status.success(), "`mecapy migrate` failed: {}", String::from_utf8_lossy(&done.stderr));
    Ok(())
}

fn use_backends(command: &mut Command, database: &Database, bucket: &Bucket, queue_url: &str) {
    command.env("MECAPY_DATABASE_URL", &database.app_url).env("MECAPY_QUEUE_URL", queue_url);
    command.env("MECAPY_OBJECTS_URL", bucket.url()).envs(bucket.variables());
}
