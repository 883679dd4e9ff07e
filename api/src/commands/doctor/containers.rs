//! The Docker engine that solvers run on, its work folders, and the images of the catalogue.

use super::{
    check::{Check, reasons},
    unusable,
};
use crate::{
    commands::terminal::bytes,
    config::{ContainerFlags, ContainerRole, Settings, docker_socket},
    worker::Images,
};
use mecapy_runtime::{
    container::{ContainerEngine, EngineError, Facts, Volumes},
    solver::Catalogue,
};
use std::{path::Path, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    time::timeout,
};

const ENGINE: &str = "docker engine";
const DOCKER_PATIENCE: Duration = Duration::from_secs(2);
const DOCKER_ANSWER_BYTES_MAX: u64 = 4 << 10;

/// Everything that a worker with these flags needs; without an engine's URL, only whether there is one.
pub(super) async fn checks(settings: &Settings, flags: ContainerFlags) -> Vec<Check> {
    let role = match flags.load(settings) {
        Ok(Some(role)) => role,
        Ok(None) => return vec![docker(&docker_socket()).await],
        Err(error) => return vec![unusable(&error)],
    };
    let mut checks = vec![work_folders().await];
    match ContainerEngine::connect(&role.docker_url).await {
        Ok(engine) => {
            checks.push(facts(engine.facts(), role.runtime.as_deref()));
            checks.push(images(&engine, &role).await);
        }
        Err(error) => checks.push(Check::fail(ENGINE, reasons(&error), "no solver runs before that is mended")),
    }
    checks
}

async fn work_folders() -> Check {
    const NAME: &str = "work folders";
    match Volumes::possible().await {
        Ok(()) => Check::ok(NAME, "can be made and mounted"),
        Err(error) => Check::fail(NAME, reasons(&error), "a worker with containers makes one for each run"),
    }
}

fn facts(facts: &Facts, runtime: Option<&str>) -> Check {
    let Facts { version, api_version, cpus, memory_bytes, .. } = facts;
    let finding = format!("Docker {version}, API {api_version}; {cpus} cores, {}", bytes(*memory_bytes));
    if let Some(Err(error)) = runtime.map(|runtime| facts.must_have_runtime(runtime)) {
        return Check::fail(ENGINE, error, "no solver runs before that is mended");
    }
    match (facts.live_restore, facts.swap_limit) {
        (true, true) => Check::ok(ENGINE, finding),
        (false, _) => Check::warn(
            ENGINE,
            format!("{finding}; a restart of it ends all solvers"),
            "set \"live-restore\": true in its configuration",
        ),
        (true, false) => Check::warn(
            ENGINE,
            format!("{finding}; swap is not limited"),
            "boot with swapaccount=1, or turn swap off: a solver short of memory would slow the machine down",
        ),
    }
}

/// Whether the images of the catalogue are on the engine's machine.
async fn images(engine: &ContainerEngine, role: &ContainerRole) -> Check {
    const NAME: &str = "solvers";
    let catalogue = match Catalogue::load(&role.solvers) {
        Ok(catalogue) => catalogue,
        Err(error) => return Check::fail(NAME, reasons(&error), "mend the catalogue; nothing starts before that"),
    };
    let images = match Images::of(engine, &catalogue).await {
        Ok(images) => images,
        Err(error) => return engine_failed(&error),
    };
    if images.missing.is_empty() {
        return Check::ok(NAME, images.here.join(", "));
    }
    let missing: Vec<_> = images.missing.iter().map(ToString::to_string).collect();
    Check::warn(NAME, missing.join("; "), "no task of these versions runs before their images are there")
}

fn engine_failed(error: &EngineError) -> Check {
    Check::fail(ENGINE, reasons(error), "see its log; restart it")
}

async fn docker(socket: &Path) -> Check {
    match timeout(DOCKER_PATIENCE, ping(socket)).await {
        Ok(Ok(())) => Check::info(ENGINE, format!("answers at {}", socket.display())),
        Ok(Err(error)) => Check::info(
            ENGINE,
            format!("none at {} ({error}); only a worker with --docker-url needs one", socket.display()),
        ),
        Err(_) => {
            Check::info(ENGINE, format!("silent at {}; only a worker with --docker-url needs one", socket.display()))
        }
    }
}

async fn ping(socket: &Path) -> std::io::Result<()> {
    let mut stream = UnixStream::connect(socket).await?;
    stream.write_all(b"GET /_ping HTTP/1.1\r\nhost: docker\r\nconnection: close\r\n\r\n").await?;
    let mut answer = Vec::new();
    stream.take(DOCKER_ANSWER_BYTES_MAX).read_to_end(&mut answer).await?;
    match answer.starts_with(b"HTTP/1.1 200") {
        true => Ok(()),
        false => Err(std::io::Error::other("it is no Docker engine")),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::check::Status, *};

    #[tokio::test]
    async fn a_missing_engine_is_no_fault_where_nobody_needs_one() {
        let check = docker(Path::new("/nonexistent/docker.sock")).await;
        assert_eq!((check.status, check.advice), (Status::Info, None));
    }

    #[test]
    fn an_engine_that_takes_solvers_down_with_it_is_warned_of() {
        let good = Facts {
            version: "20.10.24".to_owned(),
            api_version: "1.41".to_owned(),
            cpus: 8,
            memory_bytes: 32 << 30,
            cgroup_driver: "systemd".to_owned(),
            cgroup_version: "2".to_owned(),
            live_restore: true,
            runtimes: vec!["runc".to_owned()],
            security_options: Vec::new(),
            swap_limit: true,
        };
        assert_eq!(facts(&good, Some("runc")).status, Status::Ok);
        assert_eq!(facts(&good, Some("runsc")).status, Status::Fail);
        assert_eq!(facts(&Facts { live_restore: false, ..good.clone() }, None).status, Status::Warn);
        assert_eq!(facts(&Facts { swap_limit: false, ..good }, None).status, Status::Warn);
    }
}
