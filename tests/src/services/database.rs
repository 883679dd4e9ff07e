//! Databases with roles that row security binds, made and looked into through `psql`.

use super::random_hex;
use anyhow::{Context, Result, bail};
use reqwest::Url;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
};
use tokio::{io::AsyncWriteExt, process::Command};

const PROGRAMS: &str = "/usr/lib/postgresql";

/// Psql's script for a new database. WAL_LOG takes 40 ms, where FILE_COPY waits for two checkpoints; older servers know
/// the latter alone. Before PostgreSQL 15 anybody may create tables in `public`.
const CREATE: &str = r"
CREATE ROLE NAME_owner LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE PASSWORD 'OWNER_PASSWORD';
CREATE ROLE NAME_app LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE PASSWORD 'APP_PASSWORD';
SELECT CASE WHEN current_setting('server_version_num')::int >= 150000 THEN 'STRATEGY WAL_LOG' ELSE '' END AS how
\gset
CREATE DATABASE NAME OWNER NAME_owner TEMPLATE template0 :how;
REVOKE ALL ON DATABASE NAME FROM PUBLIC;
GRANT CONNECT ON DATABASE NAME TO NAME_app;
\connect NAME
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT ALL ON SCHEMA public TO NAME_owner;
";

const DROP: &str = "
DROP DATABASE IF EXISTS NAME WITH (FORCE);
DROP ROLE IF EXISTS NAME_app;
DROP ROLE IF EXISTS NAME_owner;
";

/// A PostgreSQL server where databases can be made.
#[derive(Debug, Clone)]
pub struct Databases {
    admin: Url,
}

/// A database of one test; dropped, it is removed from the server in the background.
#[derive(Debug)]
pub struct Database {
    pub name: String,
    /// Of the role that owns the database and runs migrations: neither superuser nor BYPASSRLS.
    pub owner_url: String,
    /// Of the role that the application runs as: it may connect, and owns nothing.
    pub app_url: String,
    pub owner_role: String,
    pub app_role: String,
    admin: Url,
}

impl Databases {
    /// `admin` is a superuser's URL whose password needs no escape.
    pub(super) fn new(admin: Url) -> Self {
        Self { admin }
    }

    /// The superuser's URL.
    pub fn admin_url(&self) -> &str {
        self.admin.as_str()
    }

    /// An empty database with two roles of its own.
    pub async fn database(&self) -> Result<Database> {
        let name = format!("mecapy_{}", random_hex(8)?);
        let (owner_password, app_password) = (random_hex(16)?, random_hex(16)?);
        let script = CREATE
            .replace("OWNER_PASSWORD", &owner_password)
            .replace("APP_PASSWORD", &app_password)
            .replace("NAME", &name);
        psql(self.admin_url(), &script).await?;
        let (owner_role, app_role) = (format!("{name}_owner"), format!("{name}_app"));
        Ok(Database {
            owner_url: self.url(&owner_role, &owner_password, &name)?,
            app_url: self.url(&app_role, &app_password, &name)?,
            name,
            owner_role,
            app_role,
            admin: self.admin.clone(),
        })
    }

    fn url(&self, role: &str, password: &str, name: &str) -> Result<String> {
        let mut url = self.admin.clone();
        let named = url.set_username(role).and_then(|()| url.set_password(Some(password)));
        named.ok().context("the admin URL has no host")?;
        url.set_path(&format!("/{name}"));
        Ok(url.into())
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // Not waited for: a drop may wait for a checkpoint, and a server that is gone needs none.
        let Ok(mut command) = command(&self.admin) else { return };
        let command = command.as_std_mut();
        for statement in DROP.replace("NAME", &self.name).trim().lines() {
            command.args(["-c", statement]);
        }
        let _ = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    }
}

/// Runs SQL (and psql's own commands) and answers the rows: fields joined by `|`, one row a line. Fails at the first
/// error, with psql's words.
pub async fn psql(url: &str, sql: &str) -> Result<String> {
    let mut command = command(&Url::parse(url)?)?;
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let mut input = child.stdin.take().context("psql has no input")?;
    input.write_all(sql.as_bytes()).await?;
    drop(input);
    let output = child.wait_with_output().await?;
    if !output.status.success() {
        bail!("psql: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8(output.stdout)?.trim_end().to_owned())
}

fn command(url: &Url) -> Result<Command> {
    let mut url = url.clone();
    let password = url.password().unwrap_or_default().to_owned();
    url.set_password(None).ok().context("the URL has no host")?;
    let mut command = Command::new(programs()?.join("psql"));
    command.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", url.as_str()]);
    // Arguments are seen by everybody on the machine.
    command.env("PGPASSWORD", password).kill_on_drop(true);
    Ok(command)
}

/// The folder with the programs of the newest PostgreSQL. (Debian's own `psql` is a script that takes three times as
/// long.)
pub(super) fn programs() -> Result<PathBuf> {
    let versions = fs::read_dir(Path::new(PROGRAMS)).into_iter().flatten().flatten();
    let newest = versions
        .filter(|entry| entry.path().join("bin/initdb").is_file())
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse::<u32>().ok()?, entry.path().join("bin"))))
        .max();
    let (_, folder) = newest.context("there is no PostgreSQL server: run tests/toolchain/services.sh")?;
    Ok(folder)
}
