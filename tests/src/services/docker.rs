//! A Docker engine of its own, without a network, in a temporary folder; stopped, killed and started again.

use super::daemon::Daemon;
use crate::{repository_root, until};
use anyhow::{Context, Result, bail, ensure};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};
use tempfile::TempDir;

/// What the engine logs when it can be used.
const READY: &str = "API listen on";
const CONTAINERD_DEADLINE: Duration = Duration::from_secs(30);
/// The images that `tests/toolchain/docker.sh` makes, below the repository's root.
const IMAGES: &str = "target/solvers";
/// The compilers' image and their entries of a catalogue, which that script makes too.
const COMPILERS_IMAGE: &str = "target/compilers/compilers.tar";
const COMPILERS_CATALOGUE: &str = "target/compilers/compilers.toml";
/// The one of them whose shell the tests of the executor use.
pub const SHELL_IMAGE: &str = "mecapy/calculix:2.20";

/// An engine that runs, whoever started it.
#[derive(Debug, Clone)]
pub struct Engine {
    url: String,
}

/// A running engine of our own; dropped, it is stopped with all of its containers.
pub struct Docker {
    daemon: Option<Daemon>,
    home: TempDir,
}

impl Engine {
    pub fn at(url: &str) -> Self {
        Self { url: url.to_owned() }
    }

    /// As `MECAPY_DOCKER_URL` takes it.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The id of an image, which a catalogue can name.
    pub fn image(&self, name: &str) -> Result<String> {
        Ok(docker(&self.url, &["image", "inspect", "--format", "{{.Id}}", name])?.trim().to_owned())
    }
}

impl Docker {
    /// An engine with the solvers' images. Needs root.
    pub async fn with_solvers() -> Result<Self> {
        let docker = Self::start().await?;
        let folder = repository_root().join(IMAGES);
        let images = fs::read_dir(&folder).with_context(|| format!("no {IMAGES}: run tests/toolchain/docker.sh"))?;
        for image in images {
            let path = image?.path();
            if path.extension().is_some_and(|extension| extension == "tar") {
                docker.load(&path)?;
            }
        }
        Ok(docker)
    }

    /// Adds the image of the compilers, which is large.
    pub fn load_compilers(&self) -> Result<()> {
        let image = repository_root().join(COMPILERS_IMAGE);
        self.load(&image).map(drop).with_context(|| format!("{COMPILERS_IMAGE}: run tests/toolchain/docker.sh"))
    }

    /// What any test may know of it.
    pub fn engine(&self) -> Engine {
        Engine::at(&self.url())
    }

    /// An engine without images, ready to answer. Needs root.
    pub async fn start() -> Result<Self> {
        // Short: a socket's path may have 108 bytes.
        let home = tempfile::Builder::new().prefix("mdocker-").tempdir()?;
        let daemon = serve(home.path()).await?;
        Ok(Self { daemon: Some(daemon), home })
    }

    /// Where it answers, as `MECAPY_DOCKER_URL` takes it.
    pub fn url(&self) -> String {
        format!("unix://{}", self.home.path().join("docker.sock").display())
    }

    /// Loads an image archive; answers the image's id.
    pub fn load(&self, archive: &Path) -> Result<String> {
        let said = docker(&self.url(), &["load", "--quiet", "--input", text(archive)?])?;
        let name = said.trim().rsplit_once(": ").context("docker load names no image")?.1.to_owned();
        Ok(docker(&self.url(), &["image", "inspect", "--format", "{{.Id}}", &name])?.trim().to_owned())
    }

    /// Ends the engine by SIGTERM or SIGKILL, does something while it is away, and starts it again on the same folder,
    /// whatever came of that. Its containers go on meanwhile.
    pub async fn away<T>(&mut self, signal: libc::c_int, meanwhile: impl AsyncFnOnce() -> Result<T>) -> Result<T> {
        let daemon = self.daemon.take().context("the engine is not running")?;
        daemon.end(signal).await?;
        let done = meanwhile().await;
        self.until_forgotten().await?;
        self.daemon = Some(serve(self.home.path()).await?);
        done
    }

    /// A killed engine leaves its process id, which keeps the next from starting, and its containerd, which dies after it:
    /// an engine that starts meanwhile waits for one that will never answer.
    async fn until_forgotten(&self) -> Result<()> {
        let _ = fs::remove_file(self.home.path().join("docker.pid"));
        let file = self.home.path().join("exec/containerd/containerd.pid");
        let Ok(pid) = fs::read_to_string(&file) else { return Ok(()) };
        until("the engine's containerd has ended", CONTAINERD_DEADLINE, || async {
            let stat = fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
            // One that nobody has waited for is as good as gone.
            Ok((stat.is_empty() || stat.contains(") Z")).then_some(()))
        })
        .await?;
        let _ = fs::remove_file(file);
        Ok(())
    }
}

impl Drop for Docker {
    fn drop(&mut self) {
        // With live-restore containers would outlive the engine.
        if let Ok(ids) = docker(&self.url(), &["ps", "--all", "--quiet"]) {
            let ids: Vec<&str> = ids.split_whitespace().collect();
            if !ids.is_empty() {
                let _ = docker(&self.url(), &[&["rm", "--force"], ids.as_slice()].concat());
            }
        }
        self.daemon = None;
        // The engine mounts its own folder on itself and leaves that behind.
        let _ = Command::new("umount").arg(self.home.path().join("data")).output();
    }
}

/// What a catalogue says of the compilers whose image [`Docker::load_compilers`] adds.
pub fn compilers() -> Result<String> {
    let file = repository_root().join(COMPILERS_CATALOGUE);
    fs::read_to_string(file).with_context(|| format!("no {COMPILERS_CATALOGUE}: run tests/toolchain/docker.sh"))
}

/// Runs the engine's client; answers what it says.
pub fn docker(url: &str, arguments: &[&str]) -> Result<String> {
    let output = Command::new("docker").args(["--host", url]).args(arguments).output().context("docker is missing")?;
    ensure!(output.status.success(), "docker {arguments:?}: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(String::from_utf8(output.stdout)?)
}

async fn serve(home: &Path) -> Result<Daemon> {
    // SAFETY: the call has no arguments and can't fail.
    if unsafe { libc::geteuid() } != 0 {
        bail!("a Docker engine can be started by root only: name one that runs in MECAPY_TEST_DOCKER");
    }
    let at = |name: &str| home.join(name);
    let mut command = Command::new("dockerd");
    command.arg("--host").arg(format!("unix://{}", at("docker.sock").display()));
    for (option, name) in [("--data-root", "data"), ("--exec-root", "exec"), ("--pidfile", "docker.pid")] {
        command.arg(option).arg(at(name));
    }
    // No container here has a network, and the machine's rules are not ours to change.
    command.args(["--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false"]);
    command.args(["--userland-proxy=false", "--live-restore"]);
    let log: PathBuf = at("docker.log");
    // What an earlier process said must not pass for this one's; there may be none.
    let _ = fs::remove_file(&log);
    let mut daemon = Daemon::start(command, b"", &log, libc::SIGTERM)?;
    daemon.until_ready(|daemon| daemon.log().contains(READY).then_some(())).await?;
    Ok(daemon)
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().context("the path is no text")
}
