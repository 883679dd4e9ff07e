//! PostgreSQL on disk, Redis and S3, for the deployments that are measured.

use super::disk::folder_on_disk;
use crate::samples::Samples;
use anyhow::{Context, Result, ensure};
use mecapy_tests::services::{Postgres, Redis, S3, Shutdown, psql};
use std::{
    fmt::Write,
    path::{Path, PathBuf},
};

/// PostgreSQL's defaults, where the tests have others.
const DEFAULTS: &[&str] = &["shared_buffers=128MB", "max_connections=100", "max_wal_size=1GB"];
const COMMITS: usize = 200;

/// Running services; dropped, they end and their folders go.
pub(crate) struct Backends {
    pub(super) postgres: Postgres,
    pub(super) redis: Redis,
    pub(super) s3: S3,
    folder: PathBuf,
}

impl Backends {
    pub(crate) async fn start() -> Result<Self> {
        let folder = folder_on_disk()?;
        let postgres = Postgres::start_with(&folder, DEFAULTS).await?;
        Ok(Self { postgres, redis: Redis::start().await?, s3: S3::start().await?, folder })
    }

    /// On the disk that holds PostgreSQL's data.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Commits of one row each over one connection, milliseconds as the client sees them.
    pub(super) async fn commit_times(&self) -> Result<Samples> {
        let inserts = "INSERT INTO commits VALUES (1);\n".repeat(COMMITS);
        let script =
            format!("CREATE TABLE commits (no BIGINT);\n\\timing on\n{inserts}\\timing off\nDROP TABLE commits;");
        let said = self.ask(&script).await?;
        let time = |line: &str| line.strip_prefix("Time: ")?.split(' ').next()?.parse().ok();
        let times: Vec<f64> = said.lines().filter_map(time).collect();
        ensure!(times.len() == COMMITS, "psql told {} times of {COMMITS} commits", times.len());
        Ok(Samples::new(times))
    }

    /// What the figures belong to.
    pub(super) async fn versions(&self) -> Result<String> {
        let mut text = format!("PostgreSQL {}", self.ask("SHOW server_version").await?);
        for setting in ["fsync", "synchronous_commit", "shared_buffers", "max_wal_size"] {
            write!(text, ", {setting} {}", self.ask(&format!("SHOW {setting}")).await?)?;
        }
        let redis = self.redis.address().command(&["INFO", "server"]).await?;
        let version = redis.lines().find_map(|line| line.strip_prefix("redis_version:")).context("no redis_version")?;
        write!(text, "; Redis {}", version.trim())?;
        Ok(text)
    }

    /// Writes what PostgreSQL holds in memory to its files, so that no measurement pays for the one before it.
    pub(super) async fn write_out(&self) -> Result<()> {
        self.ask("CHECKPOINT").await.map(drop)
    }

    /// From now on PostgreSQL keeps the time of each commit. Nobody may be connected.
    pub(super) async fn stamp_commits(&mut self) -> Result<()> {
        self.ask("ALTER SYSTEM SET track_commit_timestamp = on").await?;
        self.postgres.restart(Shutdown::Fast).await
    }

    async fn ask(&self, sql: &str) -> Result<String> {
        psql(self.postgres.admin_url(), sql).await
    }
}
