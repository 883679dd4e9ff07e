//! A service's process: its log, its end by signal, and the programs built beside the tests.

use anyhow::{Context, Result, bail, ensure};
use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

/// How much of a service's log is shown when it fails, in bytes.
const LOG_TAIL_BYTES_MAX: usize = 4 << 10;
const LOOK_INTERVAL: Duration = Duration::from_millis(5);
const READY_DEADLINE: Duration = Duration::from_secs(60);
/// How long a service may take for a stop that was asked for.
const STOP_DEADLINE: Duration = Duration::from_secs(20);
/// How long a test waits at its end for a service that it drops.
const DROP_DEADLINE: Duration = Duration::from_secs(6);

/// A running service, ended with `farewell` when it is dropped.
pub(super) struct Daemon {
    child: Child,
    log: PathBuf,
    /// The signal that ends it soonest without leaving anything behind.
    farewell: libc::c_int,
}

impl Daemon {
    /// Starts `command`, which reads `input`; what it says is appended to the file `log`.
    pub(super) fn start(mut command: Command, input: &[u8], log: &Path, farewell: libc::c_int) -> Result<Self> {
        let output = File::options().create(true).append(true).open(log)?;
        command.stdin(Stdio::piped()).stdout(output.try_clone()?).stderr(output);
        let program = command.get_program().to_owned();
        let mut child = command.spawn().with_context(|| format!("{} can't be started", program.display()))?;
        if let Some(mut pipe) = child.stdin.take() {
            pipe.write_all(input)?;
        }
        Ok(Self { child, log: log.to_owned(), farewell })
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Looks again and again until `ready` answers `Some`; fails when the service ends before.
    pub(super) async fn until_ready<T>(&mut self, mut ready: impl FnMut(&Self) -> Option<T>) -> Result<T> {
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                bail!("the service ended at its start with {status}:\n{}", self.log_tail());
            }
            if let Some(value) = ready(self) {
                return Ok(value);
            }
            ensure!(started.elapsed() < READY_DEADLINE, "not ready within {READY_DEADLINE:?}:\n{}", self.log_tail());
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    }

    /// Sends the signal and waits until the process has ended.
    pub(super) async fn end(mut self, signal: libc::c_int) -> Result<ExitStatus> {
        self.signal(signal)?;
        let started = Instant::now();
        while started.elapsed() < STOP_DEADLINE {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
        bail!("the service did not end within {STOP_DEADLINE:?} of signal {signal}:\n{}", self.log_tail())
    }

    fn signal(&self, signal: libc::c_int) -> Result<()> {
        let pid = libc::pid_t::try_from(self.child.id())?;
        // SAFETY: `kill` touches no memory of ours, and the pid is that of a child which is not yet reaped.
        let sent = unsafe { libc::kill(pid, signal) };
        ensure!(sent == 0, "signal {signal} failed: {}", std::io::Error::last_os_error());
        Ok(())
    }

    /// Everything that the service has said.
    pub(super) fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    fn log_tail(&self) -> String {
        let log = self.log();
        let start = (log.len().saturating_sub(LOG_TAIL_BYTES_MAX)..log.len()).find(|at| log.is_char_boundary(*at));
        log.get(start.unwrap_or(log.len())..).unwrap_or_default().to_owned()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(None)) {
            return;
        }
        let started = Instant::now();
        // A process that can't be sent a signal is killed below.
        let _ = self.signal(self.farewell);
        while started.elapsed() < DROP_DEADLINE {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(LOOK_INTERVAL);
        }
        // Nothing more can be done about a process that refuses SIGKILL.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A program of this crate, built into the same profile folder as the running test.
pub(super) fn sibling(name: &str) -> Result<PathBuf> {
    let running = std::env::current_exe()?;
    let folder = running.ancestors().find(|folder| folder.join("deps").is_dir());
    let path = folder.context("the test runs outside a target folder")?.join(name);
    ensure!(path.is_file(), "{} is not built: run `cargo build --release --workspace --bins`", path.display());
    Ok(path)
}
