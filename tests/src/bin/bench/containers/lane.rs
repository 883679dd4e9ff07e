//! A server, and a worker that runs solvers on an engine which nobody else uses.

use crate::{
    http::Endpoint,
    shared::{Backends, Deployment},
};
use anyhow::{Context, Result, ensure};
use hyper::header::AUTHORIZATION;
use mecapy_tests::services::{Docker, docker};
use reqwest::multipart::{Form, Part};
use serde_json::Value;
use std::{
    fs,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// As `tests/toolchain/docker.sh` names it.
const IMAGE: &str = "mecapy/calculix:2.20";
/// Memory of a run, here and in a bare `docker run`, bytes.
pub(super) const MEMORY_BYTES: u64 = 256 << 20;
/// Of a work folder.
const DISK_BYTES: &str = "268435456";
const CLEARED_DEADLINE: Duration = Duration::from_secs(30);
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// Dropped, what its runs have left goes first, then its processes, then the engine.
pub(super) struct Lane {
    deployment: Deployment,
    engine: Docker,
    image: String,
    /// The catalogue, and the worker's state.
    home: TempDir,
}

impl Lane {
    pub(super) async fn start(backends: &Backends, engine: Docker) -> Result<Self> {
        let image = engine.engine().image(IMAGE)?;
        let home = tempfile::Builder::new().prefix("mecapy-bench-lane-").tempdir()?;
        let catalogue = home.path().join("solvers.toml");
        let solver = |name: &str, adapter: &str, command: &str| {
            format!(
                "[[solver]]\nname = \"{name}\"\ntitle = \"{name}\"\nadapter = \"{adapter}\"\nlicence = \"GPL\"\n\
                 default_version = \"1\"\n[[solver.version]]\nversion = \"1\"\nimage = \"{image}\"\n\
                 command = [{command}]\nmemory_bytes_default = {MEMORY_BYTES}\n"
            )
        };
        let solvers =
            [solver("calculix", "calculix", "\"/usr/bin/ccx\""), solver("shell", "plain", "\"/bin/sh\", \"run.sh\"")];
        fs::write(&catalogue, solvers.concat())?;
        let pair = |name: &str, value: String| (name.to_owned(), value);
        let named = pair("MECAPY_SOLVERS", catalogue.display().to_string());
        let variables = vec![named, pair("MECAPY_LOG_FORMAT", "json".to_owned())];
        let deployment = Deployment::start_with(backends, variables).await?;
        let mut lane = Self { deployment, engine, image, home };
        let (url, state) = (lane.engine.url(), lane.state());
        let flags = ["--docker-url", &url, "--state-dir", &state, "--disk-bytes", DISK_BYTES];
        lane.deployment.add_worker(&flags).await?;
        Ok(lane)
    }

    /// Of the server, with the admin key.
    pub(super) fn endpoint(&self) -> &Endpoint {
        self.deployment.endpoint()
    }

    /// The image of all solvers, by its id.
    pub(super) fn image(&self) -> &str {
        &self.image
    }

    /// Runs the engine's client on the engine; answers what it says.
    pub(super) fn docker(&self, arguments: &[&str]) -> Result<String> {
        docker(&self.engine.url(), arguments)
    }

    /// Sends a file; answers the upload's id.
    pub(super) async fn upload(&self, client: &reqwest::Client, bytes: Vec<u8>) -> Result<String> {
        let endpoint = self.endpoint();
        let form = Form::new().part("file", Part::bytes(bytes).file_name("file"));
        let request = client.post(format!("http://{}/v1/uploads", endpoint.address)).multipart(form);
        let answer = request.header(AUTHORIZATION, endpoint.authorization.clone()).send().await?.error_for_status()?;
        let upload: Value = serde_json::from_slice(&answer.bytes().await?)?;
        Ok(upload.get("upload_id").and_then(Value::as_str).context("the upload has no id")?.to_owned())
    }

    /// Waits until nothing is left of earlier runs: what is removed late is the next one's time.
    pub(super) async fn until_cleared(&self) -> Result<()> {
        let started = Instant::now();
        let folders = Path::new(&self.state()).join("volumes");
        while fs::read_dir(&folders)?.next().is_some() || !self.docker(&["ps", "--all", "--quiet"])?.is_empty() {
            ensure!(started.elapsed() < CLEARED_DEADLINE, "a container or a work folder stays");
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
        Ok(())
    }

    /// What the worker logged of its runs' times, by their fields: one object for each run.
    pub(super) fn times_of_runs(&self) -> Result<Vec<Value>> {
        let log = self.deployment.worker_log(0)?;
        let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        Ok(lines.filter(|line| line.get("kept_ms").is_some()).collect())
    }

    fn state(&self) -> String {
        self.home.path().join("state").display().to_string()
    }
}

impl Drop for Lane {
    /// A run that was left in its middle keeps its container, and its work folder is mounted.
    fn drop(&mut self) {
        let _ = self.deployment.kill_worker(0);
        let ids = self.docker(&["ps", "--all", "--quiet"]).unwrap_or_default();
        for id in ids.split_whitespace() {
            let _ = self.docker(&["rm", "--force", id]);
        }
        let folders = fs::read_dir(Path::new(&self.state()).join("volumes")).into_iter().flatten().flatten();
        for folder in folders.map(|entry| entry.path()).filter(|path| path.is_dir()) {
            let _ = Command::new("umount").arg(folder).output();
        }
    }
}
