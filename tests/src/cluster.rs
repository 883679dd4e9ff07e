//! Several processes on one database, one bus and one bucket: servers that run no tasks, and workers.

use crate::{
    Process, Server, ServerOptions,
    place::{Place, SharedBackends},
    server::{client, free_address, wait_until_ready},
    services::psql,
};
use anyhow::{Context, Result, ensure};
use std::{net::SocketAddr, sync::Arc};

/// How many tasks of each lane a worker runs at once.
const CONCURRENCY: usize = 2;

/// How the processes of a cluster are started beside the defaults.
#[derive(Debug, Clone, Default)]
pub struct ClusterOptions {
    pub api_nodes: usize,
    pub workers: usize,
    /// Environment variables of all processes.
    pub variables: Vec<(String, String)>,
    /// A bus of the test's own instead of a part of the one that tests share.
    pub queue_url: Option<String>,
}

/// Servers and workers that share their backends.
pub struct Cluster {
    // Before their backends go.
    nodes: Vec<Server>,
    workers: Vec<Worker>,
    place: Arc<Place>,
    variables: Vec<(String, String)>,
}

/// A process that runs tasks.
pub struct Worker {
    process: Process,
    /// Where it answers of its health.
    health: SocketAddr,
    place: Arc<Place>,
    name: String,
    variables: Vec<(String, String)>,
}

impl Cluster {
    /// So many `mecapy serve --no-worker` and `mecapy worker`, ready for work.
    pub async fn start(api_nodes: usize, workers: usize) -> Result<Self> {
        Self::with(ClusterOptions { api_nodes, workers, ..ClusterOptions::default() }).await
    }

    /// The same with options.
    pub async fn with(options: ClusterOptions) -> Result<Self> {
        let backends = match &options.queue_url {
            Some(url) => SharedBackends::with_queue(url.clone()).await?,
            None => SharedBackends::new().await?,
        };
        Self::on(backends, options).await
    }

    /// On these backends, which are prepared with `mecapy migrate`; the options' own bus is left alone.
    pub async fn on(backends: SharedBackends, options: ClusterOptions) -> Result<Self> {
        let place = Arc::new(Place::on(backends).await?);
        let mut cluster = Self { nodes: Vec::new(), workers: Vec::new(), place, variables: options.variables };
        for _ in 0..options.api_nodes {
            cluster.add_node(&[]).await?;
        }
        for _ in 0..options.workers {
            cluster.add_worker(&[]).await?;
        }
        Ok(cluster)
    }

    /// The server with this number, from 0.
    pub fn node(&self, number: usize) -> Result<&Server> {
        self.nodes.get(number).context("there is no such node")
    }

    /// The same, to be killed or stopped.
    pub fn node_mut(&mut self, number: usize) -> Result<&mut Server> {
        self.nodes.get_mut(number).context("there is no such node")
    }

    pub fn nodes(&self) -> &[Server] {
        &self.nodes
    }

    /// One more server, with variables that hide those of the others.
    pub async fn add_node(&mut self, variables: &[(String, String)]) -> Result<()> {
        let variables = self.variables.iter().chain(variables).cloned().collect();
        let node = ServerOptions { variables, arguments: vec!["--no-worker".to_owned()] };
        self.nodes.push(Server::at(self.place.clone(), &format!("node-{}", self.nodes.len()), node).await?);
        Ok(())
    }

    /// The worker with this number, from 0.
    pub fn worker(&mut self, number: usize) -> Result<&mut Worker> {
        self.workers.get_mut(number).context("there is no such worker")
    }

    /// One more worker, with variables that hide those of the others.
    pub async fn add_worker(&mut self, variables: &[(String, String)]) -> Result<()> {
        let variables = self.variables.iter().chain(variables).cloned().collect();
        let name = format!("worker-{}", self.workers.len());
        self.workers.push(Worker::start(self.place.clone(), name, variables).await?);
        Ok(())
    }

    pub fn backends(&self) -> Result<&SharedBackends> {
        self.place.shared().context("a cluster has shared backends")
    }

    /// What the database answers, as the process itself: fields joined by `|`, one row a line.
    pub async fn rows(&self, sql: &str) -> Result<String> {
        let url = &self.backends()?.database.owner_url;
        psql(url, &format!("SET mecapy.tenant = '*';\n{sql};")).await
    }
}

impl Worker {
    async fn start(place: Arc<Place>, name: String, variables: Vec<(String, String)>) -> Result<Self> {
        let (process, health) = spawn(&place, &name, &variables).await?;
        Ok(Self { process, health, place, name, variables })
    }

    /// Whether it says that it can do its work.
    pub async fn is_ready(&self) -> Result<bool> {
        Ok(client()?.get(format!("http://{}/ready", self.health)).send().await?.status().is_success())
    }

    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// SIGKILL.
    pub fn kill(&mut self) -> Result<()> {
        self.process.kill()
    }

    /// SIGTERM, then waits for its clean exit.
    pub fn stop(&mut self) -> Result<()> {
        let status = self.process.terminate()?;
        ensure!(status.success(), "the worker stopped with {status}");
        Ok(())
    }

    /// A new process, after [`kill`](Self::kill) or [`stop`](Self::stop).
    pub async fn start_again(&mut self) -> Result<()> {
        (self.process, self.health) = spawn(&self.place, &self.name, &self.variables).await?;
        Ok(())
    }
}

async fn spawn(place: &Place, name: &str, variables: &[(String, String)]) -> Result<(Process, SocketAddr)> {
    let health: SocketAddr = free_address()?;
    let arguments = ["worker", "--concurrency", &CONCURRENCY.to_string(), "--health-listen", &health.to_string()];
    let mut process = place.start(name, &arguments.map(str::to_owned), variables)?;
    wait_until_ready(&mut process, &client()?, health).await?;
    Ok((process, health))
}
