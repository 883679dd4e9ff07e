//! Programs beside ours: Python with pip for the build, a Docker engine for long runs to come.

use super::check::Check;
use crate::config::docker_socket;
use std::{path::Path, process::Stdio, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    process::Command,
    time::timeout,
};

const PATIENCE: Duration = Duration::from_secs(10);
const DOCKER_PATIENCE: Duration = Duration::from_secs(2);
const DOCKER_ANSWER_BYTES_MAX: u64 = 4 << 10;

pub(super) async fn checks() -> Vec<Check> {
    let socket = docker_socket();
    let (pip, docker) = tokio::join!(pip(), docker(&socket));
    vec![pip, docker]
}

async fn pip() -> Check {
    const NAME: &str = "python3 with pip";
    const ADVICE: &str = "`mecapy python build` fetches the interpreter with it: install Python 3 and pip";
    let mut command = Command::new("python3");
    command.args(["-m", "pip", "--version"]).stdin(Stdio::null()).kill_on_drop(true);
    match timeout(PATIENCE, command.output()).await {
        Ok(Ok(output)) if output.status.success() => {
            let version = String::from_utf8_lossy(&output.stdout);
            let version = version.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
            Check::ok(NAME, version)
        }
        Ok(Ok(_)) => Check::warn(NAME, "python3 has no pip", ADVICE),
        Ok(Err(error)) => Check::warn(NAME, format!("python3 can't be run: {error}"), ADVICE),
        Err(_) => Check::warn(NAME, "python3 does not answer", ADVICE),
    }
}

async fn docker(socket: &Path) -> Check {
    const NAME: &str = "docker engine";
    match timeout(DOCKER_PATIENCE, ping(socket)).await {
        Ok(Ok(())) => Check::info(NAME, format!("answers at {}", socket.display())),
        Ok(Err(error)) => Check::info(NAME, format!("none at {} ({error}); nothing needs it yet", socket.display())),
        Err(_) => Check::info(NAME, format!("silent at {}; nothing needs it yet", socket.display())),
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
    async fn a_missing_engine_is_no_fault() {
        let check = docker(Path::new("/nonexistent/docker.sock")).await;
        assert_eq!((check.status, check.advice), (Status::Info, None));
    }
}
