//! The parent's side of a compilation: starts a child, waits for it no longer than a deadline, takes its code.

use super::Refused;
use super::child::{EXIT_NOT_SET_UP, EXIT_REFUSED, Instructions};
use super::refused::{ELAPSED_TIME, REASON_CHARACTERS_MAX};
use crate::NanPayloads;
use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
    os::{
        fd::{AsRawFd, FromRawFd, OwnedFd},
        unix::process::{CommandExt, ExitStatusExt},
    },
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

/// Ceilings for one compilation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompileLimits {
    /// Elapsed time, after which the child is killed.
    pub wall: Duration,
    /// Processor time, in whole seconds.
    pub cpu: Duration,
    /// Address space of the child, bytes.
    pub address_space_bytes: u64,
    /// The code that it may write, bytes.
    pub artefact_bytes: u64,
}

impl Default for CompileLimits {
    fn default() -> Self {
        Self {
            wall: Duration::from_secs(120),
            cpu: Duration::from_secs(45),
            address_space_bytes: 4 << 30,
            artefact_bytes: 256 << 20,
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// The module is at fault.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The platform is at fault; trying again may help.
    #[error("can't run the compiler")]
    Io(#[from] io::Error),
    #[error("the compiler could not do its work: {0}")]
    NotSetUp(String),
}

/// Compiles modules, each in a process of its own.
#[derive(Debug, Clone)]
pub struct Compiler {
    /// A program that calls [`super::compile_child`] first; this one, by default.
    pub program: PathBuf,
    pub nan: NanPayloads,
    pub limits: CompileLimits,
}

impl Compiler {
    pub fn new(nan: NanPayloads) -> Self {
        Self { program: PathBuf::from("/proc/self/exe"), nan, limits: CompileLimits::default() }
    }

    /// The machine code of a module that [`super::inspect`] accepted, for an engine made by [`crate::config`].
    ///
    /// Blocks until the child ends, at most `limits.wall`. The child dies with the calling thread.
    pub fn compile(&self, wasm: &[u8]) -> Result<Vec<u8>, CompileError> {
        let mut module = anonymous_file(c"mecapy-module")?;
        module.write_all(wasm)?;
        module.seek(SeekFrom::Start(0))?;
        let (mut code, mut message) = (anonymous_file(c"mecapy-code")?, anonymous_file(c"mecapy-message")?);
        let parent = i32::try_from(std::process::id()).map_err(io::Error::other)?;
        let instructions = Instructions { parent, nan: self.nan, limits: self.limits };
        let mut child = Killed(
            Command::new(&self.program)
                .args(instructions.to_arguments())
                .env_clear()
                .current_dir("/")
                .process_group(0)
                .stdin(Stdio::from(module))
                .stdout(Stdio::from(code.try_clone()?))
                .stderr(Stdio::from(message.try_clone()?))
                .spawn()?,
        );
        let status = child.wait_until(Instant::now() + self.limits.wall)?;
        drop(child);
        self.judge(status, &mut message)?;
        let mut bytes = Vec::new();
        code.seek(SeekFrom::Start(0))?;
        code.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// What the end of the child means; no status where it had to be killed.
    fn judge(&self, status: Option<ExitStatus>, message: &mut File) -> Result<(), CompileError> {
        let Some(status) = status else {
            return Err(Refused::CompileTooExpensive { limit: ELAPSED_TIME }.into());
        };
        if status.success() {
            return Ok(());
        }
        let said = first_words(message)?;
        match (status.code().and_then(|code| u8::try_from(code).ok()), status.signal()) {
            (Some(EXIT_REFUSED), _) => Err(Refused::CompileFailed { reason: said }.into()),
            (Some(EXIT_NOT_SET_UP), _) => Err(CompileError::NotSetUp(said)),
            // The compiler panicked: a fault of ours that this module brings out, every time.
            (Some(PANICKED), _) => {
                Err(Refused::CompileFailed { reason: "the compiler gave up on it".to_owned() }.into())
            }
            (_, Some(libc::SIGXCPU)) => Err(Refused::CompileTooExpensive { limit: "processor time" }.into()),
            (_, Some(libc::SIGABRT)) => Err(Refused::CompileTooExpensive { limit: "memory" }.into()),
            (_, Some(libc::SIGSEGV | libc::SIGBUS)) => Err(Refused::CompileTooExpensive { limit: "stack" }.into()),
            (_, Some(libc::SIGXFSZ)) => Err(Refused::CompileTooExpensive { limit: "size of the code" }.into()),
            // SIGKILL among them: a machine out of memory ends whom it finds, which need not be the module's fault.
            (code, signal) => {
                Err(CompileError::NotSetUp(format!("it ended with code {code:?}, signal {signal:?}: {said}")))
            }
        }
    }
}

/// Exit code of a Rust program whose main thread panicked.
const PANICKED: u8 = 101;

/// A child that does not outlive this value: it is killed, with all it started, and waited for.
struct Killed(Child);

impl Killed {
    /// The child's status, or nothing at the deadline.
    fn wait_until(&mut self, deadline: Instant) -> io::Result<Option<ExitStatus>> {
        let process = process_descriptor(&self.0);
        loop {
            if let Some(status) = self.0.try_wait()? {
                return Ok(Some(status));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left == Duration::ZERO {
                return Ok(None);
            }
            match &process {
                Ok(process) => wait_readable(process, left),
                // Before Linux 5.3 there is nothing to wait on but the clock.
                Err(_) => std::thread::sleep(left.min(Duration::from_millis(5))),
            }
        }
    }
}

impl Drop for Killed {
    fn drop(&mut self) {
        // Ended and waited for: its process group may be someone else's by now.
        if matches!(self.0.try_wait(), Ok(Some(_))) {
            return;
        }
        if let Ok(id) = i32::try_from(self.0.id()) {
            // SAFETY: takes no pointer. The child leads its own group and has not been waited for, so the id is still its.
            unsafe { libc::kill(-id, libc::SIGKILL) };
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A descriptor that becomes readable when the child ends.
fn process_descriptor(child: &Child) -> io::Result<OwnedFd> {
    // SAFETY: takes no pointer; a descriptor that it returns is new and ours.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, child.id(), 0) };
    let fd = i32::try_from(fd).map_err(io::Error::other)?;
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: just opened, and owned by nothing else.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Waits at most `left`; waking early does no harm.
fn wait_readable(descriptor: &OwnedFd, left: Duration) {
    let mut poll = libc::pollfd { fd: descriptor.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    let milliseconds = i32::try_from(left.as_millis() + 1).unwrap_or(i32::MAX);
    // SAFETY: `poll` is one valid structure for the length of the call.
    unsafe { libc::poll(&mut poll, 1, milliseconds) };
}

/// A file in memory that no path names.
fn anonymous_file(name: &std::ffi::CStr) -> io::Result<File> {
    // SAFETY: `name` ends in a zero byte and is only read.
    let fd = unsafe { libc::memfd_create(name.as_ptr(), libc::MFD_CLOEXEC) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: just opened, and owned by nothing else.
    Ok(unsafe { File::from_raw_fd(fd) })
}

fn first_words(message: &mut File) -> io::Result<String> {
    let mut bytes = Vec::new();
    message.seek(SeekFrom::Start(0))?;
    message.take(4 * REASON_CHARACTERS_MAX as u64).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    Ok(text.chars().take(REASON_CHARACTERS_MAX).map(|c| if c.is_control() { ' ' } else { c }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a child that ended by `signal` means.
    fn judged(signal: i32) -> CompileError {
        let mut message = anonymous_file(c"mecapy-test").unwrap();
        Compiler::new(NanPayloads::Native).judge(Some(ExitStatus::from_raw(signal)), &mut message).unwrap_err()
    }

    #[test]
    fn a_kill_from_outside_is_not_remembered_against_the_module() {
        assert!(matches!(judged(libc::SIGKILL), CompileError::NotSetUp(_)));
        for (signal, expected) in [(libc::SIGXCPU, "processor time"), (libc::SIGABRT, "memory")] {
            let error = judged(signal);
            assert!(
                matches!(&error, CompileError::Refused(why @ Refused::CompileTooExpensive { limit }) if *limit == expected && why.is_lasting()),
                "{error:?}"
            );
        }
    }
}
