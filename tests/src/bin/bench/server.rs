//! The server under measurement: the real binary on a free port with an empty data folder.

use crate::{
    http::{Call, Endpoint},
    service::Service,
};
use anyhow::{Context, Result, ensure};
use mecapy_tests::repository_root;
use std::{
    fs,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};
use tempfile::TempDir;

const READY_DEADLINE: Duration = Duration::from_secs(60);
/// Of its data, in its own folder.
const DATA: &str = "data";
/// Short against the half second that a start may take.
const READY_INTERVAL: Duration = Duration::from_millis(1);

pub(crate) struct Server {
    // Before the folder: the server ends before its data goes.
    service: Service,
    data: TempDir,
    variables: Vec<(&'static str, &'static str)>,
    endpoint: Endpoint,
}

/// What the kernel says of the server's memory, bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Memory {
    /// Resident pages that no other process has.
    pub(crate) private: u64,
    pub(crate) page_tables: u64,
}

impl Server {
    /// Starts it with these environment variables and waits until it is ready.
    pub(crate) async fn start(variables: &[(&'static str, &'static str)]) -> Result<Self> {
        let data = tempfile::Builder::new().prefix("mecapy-bench-").tempdir()?;
        let (address, variables) = (free_address()?, variables.to_vec());
        let service = serve(data.path(), address, &variables).await?;
        let key =
            fs::read_to_string(data.path().join(DATA).join("admin.key")).context("the server wrote no admin.key")?;
        Ok(Self { service, data, variables, endpoint: Endpoint::new(address, key.trim())? })
    }

    /// A clean end, then a new process on the same data and address, ready to answer.
    pub(crate) async fn restart(&mut self) -> Result<()> {
        self.service.end()?;
        self.service = serve(self.data.path(), self.endpoint.address, &self.variables).await?;
        Ok(())
    }

    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    pub(crate) fn memory(&self) -> Result<Memory> {
        let process = PathBuf::from(format!("/proc/{}", self.service.id()));
        let rollup = fs::read_to_string(process.join("smaps_rollup"))?;
        let status = fs::read_to_string(process.join("status"))?;
        let private = field_bytes(&rollup, "Private_Clean:")? + field_bytes(&rollup, "Private_Dirty:")?;
        Ok(Memory { private, page_tables: field_bytes(&status, "VmPTE:")? })
    }
}

/// A server in this folder, ready to answer.
async fn serve(home: &Path, address: SocketAddr, variables: &[(&str, &str)]) -> Result<Service> {
    let mut command = Command::new(binary()?);
    command.arg("serve").current_dir(home).envs(variables.iter().copied());
    command.env("MECAPY_DATA_DIR", home.join(DATA)).env("MECAPY_LISTEN", address.to_string());
    let mut service = Service::start(command, &home.join("server.log"))?;
    wait_until_ready(&mut service, address).await?;
    Ok(service)
}

/// The binary that `make build` made.
pub(crate) fn binary() -> Result<PathBuf> {
    let path = repository_root().join("target/release/mecapy");
    ensure!(path.is_file(), "{} is not built: run `make bench`", path.display());
    Ok(path)
}

pub(crate) fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?)
}

/// Waits until the program says at this address that it can work.
pub(crate) async fn wait_until_ready(service: &mut Service, address: SocketAddr) -> Result<()> {
    let (endpoint, ready) = (Endpoint::new(address, "")?, Call::get("/ready"));
    let started = Instant::now();
    while started.elapsed() < READY_DEADLINE {
        service.check()?;
        if let Ok(mut connection) = endpoint.connect().await
            && connection.exchange(&ready).await.is_ok_and(|reply| reply.status.is_success())
        {
            return Ok(());
        }
        tokio::time::sleep(READY_INTERVAL).await;
    }
    anyhow::bail!("the server was not ready within {READY_DEADLINE:?}")
}

/// A line such as `VmPTE:   123 kB`.
fn field_bytes(text: &str, name: &str) -> Result<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)).with_context(|| format!("no {name}"))?;
    Ok(line.trim().trim_end_matches("kB").trim().parse::<u64>()? << 10)
}
