//! The container lane for one test: a server that never sees the engine, a worker that has one, and a catalogue of solvers.

use crate::{
    Cluster, ClusterOptions, Server, Worker, merge,
    services::{Engine, docker, shared},
    until,
};
use anyhow::Result;
use serde_json::{Value, json};
use std::{collections::BTreeMap, fs, path::PathBuf, process::Command, time::Duration};
use tempfile::TempDir;

const DEADLINE: Duration = Duration::from_secs(60);
/// Memory of a run that asks for none, bytes.
const MEMORY_BYTES: u64 = 256 << 20;
/// Each run's work folder, bytes.
const DISK_BYTES: u64 = 64 << 20;
const STATE_DIR: &str = "MECAPY_CONTAINER_STATE_DIR";
/// Until a change of the images is known everywhere: shorter than the time between two looks that nothing calls for.
const OFFERED_DEADLINE: Duration = Duration::from_secs(20);
/// What no engine has: the digest of nothing.
const ABSENT_IMAGE: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";

/// A server, a worker with an engine, and a catalogue: `calculix`, `code_aster` (the stand-in), `shell` (any script,
/// by the adapter for plain programs) and `absent`, whose image is on no engine; each in version 1.
pub struct Lane {
    /// One server and one worker with the engine; a test may add others.
    pub cluster: Cluster,
    /// The catalogue, and the worker's state folder where the test names no other.
    _home: TempDir,
    state: PathBuf,
    engine: Engine,
}

impl Lane {
    /// On the engine that tests share.
    pub async fn start() -> Result<Self> {
        Self::with(&[]).await
    }

    /// The same with variables of the worker's own.
    pub async fn with(variables: &[(&str, &str)]) -> Result<Self> {
        Self::beside("", variables).await
    }

    /// The same with more solvers, as the catalogue's text.
    pub async fn beside(more: &str, variables: &[(&str, &str)]) -> Result<Self> {
        Self::made(shared::docker().await?.clone(), more, variables).await
    }

    /// On an engine that has the solvers' images. One of the test's own has to outlive the lane.
    pub async fn on(engine: Engine, variables: &[(&str, &str)]) -> Result<Self> {
        Self::made(engine, "", variables).await
    }

    async fn made(engine: Engine, more: &str, variables: &[(&str, &str)]) -> Result<Self> {
        let home = tempfile::Builder::new().prefix("mecapy-lane-").tempdir()?;
        let named = variables.iter().find(|(name, _)| *name == STATE_DIR);
        let state = named.map_or_else(|| home.path().join("state"), |(_, folder)| PathBuf::from(folder));
        let solvers = home.path().join("solvers.toml");
        fs::write(&solvers, catalogue(&engine)? + more)?;
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let of_all = vec![pair("MECAPY_SOLVERS", &solvers.display().to_string())];
        let mut cluster =
            Cluster::with(ClusterOptions { api_nodes: 1, variables: of_all, ..ClusterOptions::default() }).await?;
        let mut own = vec![
            pair("MECAPY_DOCKER_URL", engine.url()),
            pair(STATE_DIR, &state.display().to_string()),
            pair("MECAPY_CONTAINER_DISK_BYTES", &DISK_BYTES.to_string()),
        ];
        own.extend(variables.iter().map(|(name, value)| pair(name, value)));
        cluster.add_worker(&own).await?;
        Ok(Self { cluster, _home: home, state, engine })
    }

    pub fn node(&self) -> Result<&Server> {
        self.cluster.node(0)
    }

    /// The worker with the engine.
    pub fn worker(&mut self) -> Result<&mut Worker> {
        self.cluster.worker(0)
    }

    /// Submits a task with these files, sent as they are; answers its id. `more` are further fields of the task.
    pub async fn submit(&self, solver: &str, files: &[(&str, Vec<u8>)], more: Value) -> Result<String> {
        let node = self.node()?;
        let mut sent = serde_json::Map::new();
        for (name, bytes) in files {
            sent.insert((*name).to_owned(), json!(node.upload("file", bytes.clone()).await?));
        }
        let mut body = json!({"code": {"solver": solver, "files": sent}});
        merge(&mut body, more);
        node.submit(&body).await
    }

    /// Submits a shell script.
    pub async fn script(&self, script: &str, more: Value) -> Result<String> {
        self.submit("shell", &[("run.sh", script.as_bytes().to_vec())], more).await
    }

    /// The first page of the task's log.
    pub async fn log(&self, id: &str) -> Result<String> {
        let page = self.node()?.get(&format!("/v1/tasks/{id}/logs")).await?.expect(200)?;
        let entries = page.at("/entries")?;
        Ok(entries.as_array().into_iter().flatten().filter_map(|entry| entry.get("text")?.as_str()).collect())
    }

    /// Waits until the task's log has this text.
    pub async fn until_said(&self, id: &str, what: &str) -> Result<()> {
        until(&format!("the run says {what}"), DEADLINE, || async {
            Ok(self.log(id).await?.contains(what).then_some(()))
        })
        .await
    }

    /// Waits until the worker says that it can run these and no others, each as `name@version`.
    pub async fn until_offered(&self, versions: &[&str]) -> Result<()> {
        until(&format!("{versions:?} are offered"), OFFERED_DEADLINE, || async {
            let workers = self.node()?.get("/v1/workers").await?.expect(200)?.at("/workers")?;
            let offers = |it: &Value| it.get("solvers") == Some(&json!(versions));
            Ok(workers.as_array().is_some_and(|workers| workers.iter().any(offers)).then_some(()))
        })
        .await
    }

    /// The files that the task left, by name, as the API shows them.
    pub async fn artifacts(&self, id: &str) -> Result<BTreeMap<String, Value>> {
        let shown = self.node()?.get(&format!("/v1/tasks/{id}/artifacts")).await?.expect(200)?.json()?;
        let named = |artifact: &Value| Some((artifact.get("name")?.as_str()?.to_owned(), artifact.clone()));
        Ok(shown.as_array().into_iter().flatten().filter_map(named).collect())
    }

    /// The ids of the task's containers, running or not.
    pub async fn containers(&self, id: &str) -> Result<Vec<String>> {
        let said =
            docker(self.engine.url(), &["ps", "--all", "--quiet", "--filter", &format!("label=mecapy.task={id}")])?;
        Ok(said.split_whitespace().map(str::to_owned).collect())
    }

    /// Sends a signal to the program in each of the task's containers.
    pub async fn signal(&self, id: &str, signal: &str) -> Result<()> {
        for container in self.containers(id).await? {
            docker(self.engine.url(), &["kill", "--signal", signal, &container])?;
        }
        Ok(())
    }

    /// Waits until nothing is left of a task on the engine and of any task in the worker's folders.
    pub async fn until_cleared(&self, id: &str) -> Result<()> {
        until("nothing is left of the run", DEADLINE, || async {
            let mut left = self.containers(id).await?;
            for folder in ["claims", "volumes"] {
                let entries = fs::read_dir(self.state.join(folder))?;
                left.extend(entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()));
            }
            Ok(left.is_empty().then_some(()))
        })
        .await
    }
}

impl Drop for Lane {
    /// What a test leaves in the middle of a run: its containers, and then the work folders, which are mounted.
    fn drop(&mut self) {
        let _ = self.worker().and_then(Worker::kill);
        let owner = fs::read_to_string(self.state.join("owner")).unwrap_or_default();
        let owned = format!("label=mecapy.owner={owner}");
        let ids = docker(self.engine.url(), &["ps", "--all", "--quiet", "--filter", &owned]).unwrap_or_default();
        for id in ids.split_whitespace() {
            let _ = docker(self.engine.url(), &["rm", "--force", id]);
        }
        let folders = fs::read_dir(self.state.join("volumes")).into_iter().flatten().flatten();
        for folder in folders.map(|entry| entry.path()).filter(|path| path.is_dir()) {
            let _ = Command::new("umount").arg(folder).output();
        }
    }
}

/// The catalogue's text.
fn catalogue(engine: &Engine) -> Result<String> {
    let (ccx, stand_in) = (engine.image("mecapy/calculix:2.20")?, engine.image("mecapy/code-aster-stand-in:1")?);
    let solvers = [
        solver("calculix", "calculix", &ccx, "\"/usr/bin/ccx\""),
        solver("code_aster", "code_aster", &stand_in, "\"/bin/sh\", \"/usr/bin/run_aster\""),
        solver("shell", "plain", &ccx, "\"/bin/sh\", \"run.sh\""),
        solver("absent", "plain", ABSENT_IMAGE, "\"/bin/sh\", \"run.sh\""),
    ];
    Ok(solvers.concat())
}

/// One of the catalogue, in version 1.
pub fn solver(name: &str, adapter: &str, image: &str, command: &str) -> String {
    format!(
        "[[solver]]\nname = \"{name}\"\ntitle = \"{name}\"\nadapter = \"{adapter}\"\nlicence = \"GPL\"\n\
         default_version = \"1\"\n[[solver.version]]\nversion = \"1\"\nimage = \"{image}\"\n\
         command = [{command}]\nmemory_bytes_default = {MEMORY_BYTES}\n"
    )
}
