//! A program that the bench starts and, whatever happens, stops: by its own process id.

use anyhow::{Context, Result, bail};
use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// How long a program may take over a clean end before it is killed.
const END_DEADLINE: Duration = Duration::from_secs(15);
const LOOK_INTERVAL: Duration = Duration::from_millis(5);
/// How much of a log is told when its program fails, bytes.
const LOG_TAIL_BYTES_MAX: usize = 4 << 10;

pub(crate) struct Service {
    child: Child,
    log: PathBuf,
}

impl Service {
    /// Starts the command with its output in the file `log`.
    pub(crate) fn start(mut command: Command, log: &Path) -> Result<Self> {
        let output = File::create(log)?;
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let child = command.spawn().with_context(|| format!("{command:?} can't be started"))?;
        Ok(Self { child, log: log.to_owned() })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Fails, with what the program said, where it has ended.
    pub(crate) fn check(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("a program ended with {status}; it said:\n{}", self.log_tail()),
        }
    }

    /// SIGKILL: no clean-up of its own runs.
    pub(crate) fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    fn log_tail(&self) -> String {
        let log = std::fs::read(&self.log).unwrap_or_default();
        let start = log.len().saturating_sub(LOG_TAIL_BYTES_MAX);
        String::from_utf8_lossy(log.get(start..).unwrap_or_default()).into_owned()
    }

    /// SIGTERM, and SIGKILL where that takes too long; nothing where it has ended already.
    pub(crate) fn end(&mut self) -> Result<()> {
        if self.child.try_wait()?.is_some() {
            return Ok(());
        }
        let pid = libc::pid_t::try_from(self.child.id())?;
        // SAFETY: `kill` touches no memory of ours, and the pid is that of a child which is not yet reaped.
        unsafe { libc::kill(pid, libc::SIGTERM) };
        let started = Instant::now();
        while started.elapsed() < END_DEADLINE {
            if self.child.try_wait()?.is_some() {
                return Ok(());
            }
            thread::sleep(LOOK_INTERVAL);
        }
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            eprintln!("   process {} can't be stopped: {error}", self.id());
        }
    }
}
