//! The services that tests share: those that `tests/run.sh` started and named in the environment, or, where one test is
//! run by hand, ones started for its process alone.

use super::{Buckets, Databases, Engine, RedisAddress, daemon::sibling};
use anyhow::{Context, Result};
use reqwest::Url;
use std::{
    io::{BufRead, BufReader, Read, Seek},
    mem::MaybeUninit,
    process::{Child, Command, Stdio},
};
use tokio::sync::OnceCell;

/// Environment variables and the names by which the program `services` starts what they lead to.
pub const POSTGRES: (&str, &str) = ("MECAPY_TEST_POSTGRES", "postgres");
pub const REDIS: (&str, &str) = ("MECAPY_TEST_REDIS", "redis");
pub const S3: (&str, &str) = ("MECAPY_TEST_S3", "s3");
pub const DOCKER: (&str, &str) = ("MECAPY_TEST_DOCKER", "docker");
/// An image on that engine by its digest, with a shell and the core utilities.
pub const DOCKER_IMAGE: &str = "MECAPY_TEST_DOCKER_IMAGE";

/// A database takes some 8 MB while its test runs, and the log at most 256 MB.
const MEMORY_FREE_BYTES_MIN: u64 = 1 << 30;

/// A service, and what keeps it running: it ends with this process, when its input closes.
struct Shared<T> {
    service: T,
    _keeper: Option<Child>,
}

/// The PostgreSQL server that tests share.
pub async fn postgres() -> Result<&'static Databases> {
    static CELL: OnceCell<Shared<Databases>> = OnceCell::const_new();
    service(&CELL, POSTGRES, |url| Ok(Databases::new(Url::parse(url)?))).await
}

/// The Redis server that tests share: use its `prefixed_url`, and don't wipe it.
pub async fn redis() -> Result<&'static RedisAddress> {
    static CELL: OnceCell<Shared<RedisAddress>> = OnceCell::const_new();
    service(&CELL, REDIS, RedisAddress::parse).await
}

/// The S3 server that tests share.
pub async fn s3() -> Result<&'static Buckets> {
    static CELL: OnceCell<Shared<Buckets>> = OnceCell::const_new();
    service(&CELL, S3, Buckets::parse).await
}

/// The Docker engine that tests share, with the images of the solvers and compilers: each test's worker has its own containers there.
pub async fn docker() -> Result<&'static Engine> {
    static CELL: OnceCell<Shared<Engine>> = OnceCell::const_new();
    service(&CELL, DOCKER, |url| Ok(Engine::at(url))).await
}

async fn service<T>(
    cell: &'static OnceCell<Shared<T>>,
    (variable, name): (&'static str, &'static str),
    parse: impl FnOnce(&str) -> Result<T>,
) -> Result<&'static T> {
    let shared = cell.get_or_try_init(async || {
        let (url, keeper) = match environment(variable) {
            Some(url) => (url, None),
            None => {
                let (url, keeper) = tokio::task::spawn_blocking(move || start(name)).await??;
                (url, Some(keeper))
            }
        };
        anyhow::Ok(Shared { service: parse(&url)?, _keeper: keeper })
    });
    Ok(&shared.await?.service)
}

/// Starts one service, and answers its URL when it is ready.
fn start(name: &str) -> Result<(String, Child)> {
    // Not our own output: the test runner waits until nobody has it open.
    let mut complaints = tempfile::tempfile()?;
    let mut command = Command::new(sibling("services")?);
    command.arg(name).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(complaints.try_clone()?);
    let mut keeper = command.spawn()?;
    let output = keeper.stdout.take().context("the services have no output")?;
    let mut line = String::new();
    BufReader::new(output).read_line(&mut line)?;
    let url = line.trim_end().split_once("='").and_then(|(_, value)| value.strip_suffix('\''));
    match url {
        Some(url) => Ok((url.to_owned(), keeper)),
        None => {
            let mut said = String::new();
            complaints.rewind()?;
            complaints.read_to_string(&mut said)?;
            anyhow::bail!("{name} can't be started: {said}")
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "who runs the tests names the services in the environment")]
fn environment(variable: &str) -> Option<String> {
    std::env::var(variable).ok().filter(|value| !value.is_empty())
}

/// A folder in memory with room for the databases of the tests, which then wait for no disk. None where there is too
/// little (containers often have 64 MB).
pub fn folder_in_memory() -> Option<&'static str> {
    let folder = c"/dev/shm";
    let mut space = MaybeUninit::<libc::statvfs>::uninit();
    // SAFETY: the path is a C string, and the call fills the structure where it answers 0.
    let space = unsafe {
        if libc::statvfs(folder.as_ptr(), space.as_mut_ptr()) != 0 {
            return None;
        }
        space.assume_init()
    };
    let free = space.f_bavail.saturating_mul(space.f_frsize);
    (free > MEMORY_FREE_BYTES_MIN).then(|| folder.to_str().ok()).flatten()
}
