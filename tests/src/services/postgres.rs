//! A PostgreSQL cluster of its own: in a temporary folder, on a free port, stopped, crashed and started again.

use super::{Databases, daemon::Daemon, database::programs, on_free_port, random_hex};
use anyhow::{Context, Result, bail, ensure};
use reqwest::Url;
use std::{
    ffi::CString,
    fs,
    os::unix::{fs::chown, process::CommandExt},
    path::{Path, PathBuf},
    process::Command,
};
use tempfile::TempDir;

const ADMIN: &str = "admin";
/// Lines of `postmaster.pid`, from 0: the server's pid, and its state.
const PID_LINE: usize = 0;
const STATE_LINE: usize = 7;

/// Durability is PostgreSQL's default (`fsync` and `synchronous_commit` are on): it is among what is tested.
const SETTINGS: &[&str] = &[
    "listen_addresses=127.0.0.1",
    // A socket's path has a short limit, and nobody needs one here.
    "unix_socket_directories=",
    "max_connections=200",
    "fsync=on",
    "synchronous_commit=on",
    // Many databases are made and dropped: their log must not pile up where the folder is in memory.
    "max_wal_size=256MB",
    "log_line_prefix=%m [%p] %u@%d ",
];

/// How a server is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shutdown {
    /// Ends sessions, writes everything out and ends.
    Fast,
    /// As a crash: nothing is written out, and the next start recovers from the log.
    Immediate,
}

/// A running PostgreSQL server; dropped, it is stopped and its folder is removed.
pub struct Postgres {
    // Dropped in this order: the server ends before its folder goes.
    daemon: Option<Daemon>,
    databases: Databases,
    port: u16,
    account: Option<Account>,
    settings: Vec<String>,
    home: TempDir,
}

/// The account that the server runs as: PostgreSQL refuses to be root.
#[derive(Debug, Clone, Copy)]
struct Account {
    user: u32,
    group: u32,
}

impl Postgres {
    /// A new cluster in the folder for temporary files, ready to answer.
    pub async fn start() -> Result<Self> {
        Self::start_in(&std::env::temp_dir()).await
    }

    /// The same with its folder in `parent`.
    pub async fn start_in(parent: &Path) -> Result<Self> {
        Self::start_with(parent, &[]).await
    }

    /// The same with settings (`name=value`) of which each counts over one of the tests.
    pub async fn start_with(parent: &Path, settings: &[&str]) -> Result<Self> {
        let settings: Vec<String> = SETTINGS.iter().chain(settings).map(|setting| (*setting).to_owned()).collect();
        let account = account()?;
        let home = tempfile::Builder::new().prefix("mecapy-postgres-").tempdir_in(parent)?;
        let password = random_hex(16)?;
        create_cluster(home.path(), account, &password).await?;
        let (port, daemon) = on_free_port(async |port| serve(home.path(), account, port, &settings).await).await?;
        let url = Url::parse(&format!("postgres://{ADMIN}:{password}@127.0.0.1:{port}/postgres"))?;
        Ok(Self { daemon: Some(daemon), databases: Databases::new(url), port, account, settings, home })
    }

    /// The superuser's URL.
    pub fn admin_url(&self) -> &str {
        self.databases.admin_url()
    }

    /// Its databases, each with roles of its own.
    pub fn databases(&self) -> &Databases {
        &self.databases
    }

    /// Where it listens on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Stops the server and starts it again on the same folder and port, ready to answer.
    pub async fn restart(&mut self, shutdown: Shutdown) -> Result<()> {
        self.stop(shutdown).await?;
        self.start_again().await
    }

    pub async fn stop(&mut self, shutdown: Shutdown) -> Result<()> {
        let daemon = self.daemon.take().context("the server is not running")?;
        let signal = match shutdown {
            Shutdown::Fast => libc::SIGINT,
            Shutdown::Immediate => libc::SIGQUIT,
        };
        daemon.end(signal).await?;
        Ok(())
    }

    pub async fn start_again(&mut self) -> Result<()> {
        ensure!(self.daemon.is_none(), "the server is running");
        self.daemon = Some(serve(self.home.path(), self.account, self.port, &self.settings).await?);
        Ok(())
    }
}

async fn create_cluster(home: &Path, account: Option<Account>, password: &str) -> Result<()> {
    let password_file = home.join("password");
    fs::write(&password_file, password)?;
    if let Some(account) = account {
        chown(home, Some(account.user), Some(account.group))?;
        chown(&password_file, Some(account.user), Some(account.group))?;
    }
    let mut command = program("initdb", home, account)?;
    command.args(["--username", ADMIN, "--auth=scram-sha-256", "--pwfile"]).arg(&password_file);
    // An empty cluster is worth no wait for the disk.
    command.args(["--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", "--pgdata"]).arg(data_folder(home));
    let output = tokio::process::Command::from(command).output().await.context("initdb can't be started")?;
    ensure!(output.status.success(), "initdb failed: {}", String::from_utf8_lossy(&output.stderr));
    fs::remove_file(password_file)?;
    Ok(())
}

async fn serve(home: &Path, account: Option<Account>, port: u16, settings: &[String]) -> Result<Daemon> {
    let mut command = program("postgres", home, account)?;
    command.arg("-D").arg(data_folder(home)).arg("-p").arg(port.to_string());
    for setting in settings {
        command.args(["-c", setting.as_str()]);
    }
    let mut daemon = Daemon::start(command, &[], &home.join("postgres.log"), libc::SIGQUIT)?;
    let state_file = data_folder(home).join("postmaster.pid");
    daemon
        .until_ready(|daemon| {
            let state = fs::read_to_string(&state_file).ok()?;
            let line = |number| state.lines().nth(number).map(str::trim);
            // A crashed server leaves its file behind.
            let ours = line(PID_LINE) == Some(daemon.id().to_string().as_str());
            (ours && line(STATE_LINE) == Some("ready")).then_some(())
        })
        .await?;
    Ok(daemon)
}

fn program(name: &str, home: &Path, account: Option<Account>) -> Result<Command> {
    let mut command = Command::new(programs()?.join(name));
    command.current_dir(home).env("LC_ALL", "C.UTF-8");
    if let Some(account) = account {
        command.uid(account.user).gid(account.group);
    }
    Ok(command)
}

fn data_folder(home: &Path) -> PathBuf {
    home.join("data")
}

/// Another account where we are root, ourselves otherwise.
fn account() -> Result<Option<Account>> {
    // SAFETY: takes nothing and can't fail.
    if unsafe { libc::geteuid() } != 0 {
        return Ok(None);
    }
    for name in ["postgres", "nobody"] {
        let name = CString::new(name)?;
        // SAFETY: the name is a C string; what is answered is read before another call can change it, and only our
        // start of a server makes such calls.
        let entry = unsafe { libc::getpwnam(name.as_ptr()).as_ref() };
        if let Some(entry) = entry {
            return Ok(Some(Account { user: entry.pw_uid, group: entry.pw_gid }));
        }
    }
    bail!("PostgreSQL refuses to run as root, and there is neither a user postgres nor nobody")
}
