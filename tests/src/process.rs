//! A server process under test: started, looked at through /proc, killed and started again.

use crate::{mecapy_binary, until};
use anyhow::{Context, Result, bail, ensure};
use std::{
    ffi::OsString,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

/// How much of the server's log is shown with a failing test, in bytes.
const LOG_TAIL_BYTES_MAX: usize = 8 << 10;
const EXIT_DEADLINE: Duration = Duration::from_secs(20);
/// On a busy machine with a cold disk.
const IMAGES_DEADLINE: Duration = Duration::from_secs(60);
const GIVE_BACK_DEADLINE: Duration = Duration::from_secs(10);
const GIVE_BACK_INTERVAL: Duration = Duration::from_millis(20);

/// One running process of the binary; dropped, it is killed by its own pid.
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `binary` with exactly `variables` beside what any program needs (PATH, HOME, temporary folder).
    pub fn start(binary: &Path, arguments: &[OsString], variables: &[(String, OsString)], log: &Path) -> Result<Self> {
        let output = File::options().create(true).append(true).open(log)?;
        let mut command = told_only(binary, arguments, variables);
        command.stdout(output.try_clone()?).stderr(output);
        let child = command.spawn().with_context(|| format!("{} can't be started", binary.display()))?;
        Ok(Self { child, log: log.to_owned() })
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its exit status if it has ended.
    pub fn exited(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// SIGKILL: no clean-up of its own runs.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// SIGSTOP: it stands still until [`resume`](Self::resume).
    pub fn pause(&self) -> Result<()> {
        self.signal(libc::SIGSTOP)
    }

    pub fn resume(&self) -> Result<()> {
        self.signal(libc::SIGCONT)
    }

    /// Waits until it has ended by itself.
    pub async fn ended(&mut self) -> Result<ExitStatus> {
        let started = Instant::now();
        loop {
            if let Some(status) = self.exited()? {
                return Ok(status);
            }
            ensure!(started.elapsed() < EXIT_DEADLINE, "it did not end:\n{}", self.log_tail());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// SIGTERM, then waits for a clean exit.
    pub fn terminate(&mut self) -> Result<ExitStatus> {
        self.signal(libc::SIGTERM)?;
        let started = Instant::now();
        while started.elapsed() < EXIT_DEADLINE {
            if let Some(status) = self.exited()? {
                return Ok(status);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        bail!("the server did not end within {EXIT_DEADLINE:?} of SIGTERM")
    }

    /// Sends a signal and waits for nothing.
    pub fn signal(&self, signal: libc::c_int) -> Result<()> {
        let pid = libc::pid_t::try_from(self.child.id())?;
        // SAFETY: `kill` touches no memory of ours, and the pid is that of a child which is not yet reaped.
        let sent = unsafe { libc::kill(pid, signal) };
        ensure!(sent == 0, "signal {signal} failed: {}", std::io::Error::last_os_error());
        Ok(())
    }

    /// Resident memory that belongs to this process alone, in bytes.
    pub fn private_bytes(&self) -> Result<u64> {
        let rollup = fs::read_to_string(format!("/proc/{}/smaps_rollup", self.id()))?;
        let kib = |name: &str| {
            let line = rollup.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("0 kB");
            line.trim().trim_end_matches("kB").trim().parse::<u64>()
        };
        Ok((kib("Private_Clean:")? + kib("Private_Dirty:")?) << 10)
    }

    /// The private bytes of a server that has just started, once it has loaded what it loads in the background.
    pub async fn resting_bytes(&self) -> Result<u64> {
        until("every interpreter image is loaded", IMAGES_DEADLINE, || async {
            Ok(self.log()?.contains("every image is loaded").then_some(()))
        })
        .await?;
        self.private_bytes()
    }

    /// Waits until all but `growth_max` of what the process took since it had `before` bytes is given back: an answer
    /// is sent before its sandbox's memory is reset.
    pub async fn gives_back(&self, before: u64, growth_max: u64) -> Result<()> {
        let started = Instant::now();
        loop {
            let growth = self.private_bytes()?.saturating_sub(before);
            if growth < growth_max {
                return Ok(());
            }
            ensure!(started.elapsed() < GIVE_BACK_DEADLINE, "the process keeps {} MiB", growth >> 20);
            tokio::time::sleep(GIVE_BACK_INTERVAL).await;
        }
    }

    /// Open file descriptors.
    pub fn open_files(&self) -> Result<usize> {
        Ok(fs::read_dir(format!("/proc/{}/fd", self.id()))?.count())
    }

    /// Child processes that are running now.
    pub fn children(&self) -> Result<Vec<u32>> {
        let mut children = Vec::new();
        for thread in fs::read_dir(format!("/proc/{}/task", self.id()))? {
            let listed = fs::read_to_string(thread?.path().join("children")).unwrap_or_default();
            children.extend(listed.split_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
        }
        Ok(children)
    }

    /// Everything that the server has logged.
    pub fn log(&self) -> Result<String> {
        Ok(String::from_utf8_lossy(&fs::read(&self.log)?).into_owned())
    }

    /// The end of what the server logged.
    pub fn log_tail(&self) -> String {
        let log = self.log().unwrap_or_default();
        let start = (log.len().saturating_sub(LOG_TAIL_BYTES_MAX)..log.len()).find(|at| log.is_char_boundary(*at));
        log.get(start.unwrap_or(log.len())..).unwrap_or_default().to_owned()
    }
}

/// Runs the binary to its end, with exactly `variables` beside what any program needs; answers its exit code, and what
/// it printed: on stdout, and on stderr.
pub async fn run_binary(arguments: &[&str], variables: &[(String, String)]) -> Result<(i32, String, String)> {
    run_binary_in(Path::new("."), arguments, variables).await
}

/// The same in a folder.
pub async fn run_binary_in(
    folder: &Path,
    arguments: &[&str],
    variables: &[(String, String)],
) -> Result<(i32, String, String)> {
    let arguments: Vec<OsString> = arguments.iter().map(OsString::from).collect();
    let variables: Vec<(String, OsString)> =
        variables.iter().map(|(name, value)| (name.clone(), value.into())).collect();
    let mut command = tokio::process::Command::from(told_only(mecapy_binary()?, &arguments, &variables));
    command.current_dir(folder).kill_on_drop(true);
    let output = tokio::time::timeout(EXIT_DEADLINE, command.output()).await??;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let code = output.status.code().with_context(|| format!("it ended with {}", output.status))?;
    Ok((code, text(&output.stdout), text(&output.stderr)))
}

/// A command that hears nothing of the settings around the tests, but where the interpreter is.
fn told_only(binary: &Path, arguments: &[OsString], variables: &[(String, OsString)]) -> Command {
    let mut command = Command::new(binary);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("MECAPY_")) {
        if name != "MECAPY_CACHE_DIR" {
            command.env_remove(name);
        }
    }
    command.args(arguments).envs(variables.iter().map(|(name, value)| (name, value))).stdin(Stdio::null());
    command
}

impl Drop for Process {
    fn drop(&mut self) {
        let running = matches!(self.child.try_wait(), Ok(None));
        if running {
            // Nothing more can be done about a process that refuses SIGKILL.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        // The test runner shows a test's output only where it failed.
        println!("server log, pid {}:\n{}", self.id(), self.log_tail());
    }
}
