//! The services that the shared mode runs on, started for real: PostgreSQL, Redis, an S3 server, an OpenID Connect
//! provider, a Docker engine, and a TCP proxy that breaks connections to them.
//!
//! A test that harms a service starts one of its own (`Postgres::start`); all others take what `tests/run.sh` started
//! once (`shared`). Knows nothing of MecaPy.

mod daemon;
mod database;
mod docker;
pub mod oidc;
mod postgres;
mod proxy;
mod redis;
mod s3;
pub mod shared;
mod sigv4;

pub use database::{Database, Databases, psql};
pub use docker::{Docker, Engine, SHELL_IMAGE, compilers, docker};
pub use postgres::{Postgres, Shutdown};
pub use proxy::Proxy;
pub use redis::{Redis, RedisAddress};
pub use s3::{Bucket, Buckets, S3};

use anyhow::{Context, Result};
use std::net::{Ipv4Addr, TcpListener};

/// Below the ports that the system gives to outgoing connections: a service that is stopped finds its port again.
const PORTS: std::ops::Range<u16> = 10_000..30_000;
const PORT_TRIES_MAX: usize = 100;
/// Another program may take the free port between its choice and its use.
const START_TRIES_MAX: usize = 5;

/// Random bytes in hexadecimal, for names and passwords.
fn random_hex(bytes: usize) -> Result<String> {
    let mut random = vec![0; bytes];
    getrandom::fill(&mut random)?;
    Ok(random.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Starts something that listens on a port, on a free one.
async fn on_free_port<T>(start: impl AsyncFn(u16) -> Result<T>) -> Result<(u16, T)> {
    let mut tries = 1;
    loop {
        let port = free_port()?;
        match start(port).await {
            Ok(started) => return Ok((port, started)),
            Err(error) if tries >= START_TRIES_MAX => return Err(error),
            Err(_) => tries += 1,
        }
    }
}

/// A port of 127.0.0.1 where nothing listens.
fn free_port() -> Result<u16> {
    let mut tries = (0..PORT_TRIES_MAX).map(|_| {
        let random = getrandom::u32().ok()?;
        let port = PORTS.start + u16::try_from(random % u32::from(PORTS.end - PORTS.start)).ok()?;
        TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok().then_some(port)
    });
    tries.find_map(|port| port).context("no free port was found")
}
