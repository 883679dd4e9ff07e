//! Starts the services that tests share, prints the variables that lead to them as lines for a shell, and stops them
//! when its input closes or it is told to end: `services [postgres] [redis] [s3] [docker]` (all of them without a name).

use anyhow::{Result, bail};
use mecapy_tests::services::{
    Docker, Postgres, Redis, S3, SHELL_IMAGE,
    shared::{self, folder_in_memory},
};
use std::{
    io::{Read, Write},
    path::PathBuf,
};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::oneshot,
};

/// Only held: dropped, they stop.
#[derive(Default)]
struct Started {
    postgres: Option<Postgres>,
    redis: Option<Redis>,
    s3: Option<S3>,
    docker: Option<Docker>,
}

fn main() -> Result<()> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(run())
}

async fn run() -> Result<()> {
    // Heard from the first moment, or a server would outlive an early end.
    let (mut terminated, mut interrupted) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let (closed, is_closed) = oneshot::channel();
    std::thread::spawn(move || {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        let _ = closed.send(());
    });
    let serve = async {
        let started = start().await?;
        std::future::pending::<()>().await;
        anyhow::Ok(started)
    };
    tokio::select! {
        failed = serve => failed.map(drop),
        _ = terminated.recv() => Ok(()),
        _ = interrupted.recv() => Ok(()),
        _ = is_closed => Ok(()),
    }
}

async fn start() -> Result<Started> {
    let mut names: Vec<String> = std::env::args().skip(1).collect();
    if names.is_empty() {
        names = [shared::POSTGRES, shared::REDIS, shared::S3, shared::DOCKER].map(|(_, name)| name.to_owned()).into();
    }
    let mut started = Started::default();
    let mut lines = String::new();
    for name in names {
        let mut image = None;
        let (variable, url) = match name.as_str() {
            "postgres" => {
                let parent = folder_in_memory().map_or_else(std::env::temp_dir, PathBuf::from);
                let postgres = started.postgres.insert(Postgres::start_in(&parent).await?);
                (shared::POSTGRES.0, postgres.admin_url().to_owned())
            }
            "redis" => {
                let redis = started.redis.insert(Redis::start().await?);
                (shared::REDIS.0, redis.address().url().to_owned())
            }
            "s3" => {
                let s3 = started.s3.insert(S3::start().await?);
                (shared::S3.0, s3.buckets().url()?)
            }
            "docker" => {
                let docker = started.docker.insert(Docker::with_solvers().await?);
                docker.load_compilers()?;
                image = Some(docker.engine().image(SHELL_IMAGE)?);
                (shared::DOCKER.0, docker.url())
            }
            other => bail!("{other} is not a service: postgres, redis, s3 or docker"),
        };
        lines.push_str(&format!("export {variable}='{url}'\n"));
        if let Some(image) = image {
            lines.push_str(&format!("export {}='{image}'\n", shared::DOCKER_IMAGE));
        }
    }
    // All at once: who reads the first line may rely on the others.
    let mut output = std::io::stdout().lock();
    output.write_all(format!("{lines}# ready\n").as_bytes())?;
    output.flush()?;
    Ok(started)
}
