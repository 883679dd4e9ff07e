//! The child's side of a compilation: ties its own hands, reads a module, writes machine code, ends.
//!
//! It inherits a module on stdin, a file for the code on stdout, a file for one message on stderr, and nothing else:
//! no environment, no other descriptor.

use super::compile::CompileLimits;
use crate::NanPayloads;
use std::{
    ffi::OsString,
    io::{self, Read, Write},
    process::ExitCode,
    time::Duration,
};

/// First argument of the hidden command. The binary must look for it before anything else: see [`compile_child`].
pub const COMPILE_COMMAND: &str = "__compile-module";

/// The module can't be compiled; stderr says why.
pub(super) const EXIT_REFUSED: u8 = 3;
/// The child could not set itself up; stderr says why.
pub(super) const EXIT_NOT_SET_UP: u8 = 4;

/// Processor time between the signal that names the limit and the one that nothing survives, seconds.
const CPU_GRACE_SECONDS: u64 = 2;

/// How much less than others the compiler gets of a busy processor.
const NICE: i32 = 10;

/// What the parent tells the child, as arguments.
#[derive(Debug, PartialEq)]
pub(super) struct Instructions {
    pub(super) parent: i32,
    pub(super) nan: NanPayloads,
    pub(super) limits: CompileLimits,
}

/// Runs the compiler and returns the exit code where `arguments` (the program's name first) ask for it, else nothing.
///
/// To be called at the very start of `main`, while the process has one thread: it limits the whole process.
pub fn compile_child(arguments: impl IntoIterator<Item = OsString>) -> Option<ExitCode> {
    let mut arguments = arguments.into_iter().skip(1);
    if arguments.next()? != COMPILE_COMMAND {
        return None;
    }
    let arguments: Vec<String> = arguments.map(|argument| argument.to_string_lossy().into_owned()).collect();
    let Some(instructions) = Instructions::from_arguments(&arguments) else {
        return Some(end(EXIT_NOT_SET_UP, "these are not the arguments of a compilation"));
    };
    if let Err(error) = tie_hands(&instructions) {
        return Some(end(EXIT_NOT_SET_UP, &format!("can't limit the compiler: {error}")));
    }
    Some(compile(instructions.nan))
}

impl Instructions {
    pub(super) fn to_arguments(&self) -> Vec<String> {
        let nan = match self.nan {
            NanPayloads::Native => "native",
            NanPayloads::Canonical => "canonical",
        };
        let limits = &self.limits;
        let numbers = [limits.cpu.as_secs(), limits.address_space_bytes, limits.artefact_bytes];
        let words = [COMPILE_COMMAND.to_owned(), self.parent.to_string(), nan.to_owned()];
        words.into_iter().chain(numbers.map(|number| number.to_string())).collect()
    }

    /// From the arguments after [`COMPILE_COMMAND`].
    fn from_arguments(arguments: &[String]) -> Option<Self> {
        let [parent, nan, cpu, address_space, artefact] = arguments else {
            return None;
        };
        let nan = match nan.as_str() {
            "native" => NanPayloads::Native,
            "canonical" => NanPayloads::Canonical,
            _ => return None,
        };
        let limits = CompileLimits {
            cpu: Duration::from_secs(cpu.parse().ok()?),
            address_space_bytes: address_space.parse().ok()?,
            artefact_bytes: artefact.parse().ok()?,
            ..CompileLimits::default()
        };
        Some(Self { parent: parent.parse().ok()?, nan, limits })
    }
}

/// Limits that hold for the rest of the process: time, memory, file size, no core dump, no more privileges, and death
/// with the parent.
fn tie_hands(instructions: &Instructions) -> io::Result<()> {
    // SAFETY: these calls take no pointer.
    unsafe {
        check(libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL))?;
        check(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))?;
        check(libc::prctl(libc::PR_SET_DUMPABLE, 0))?;
        // Whatever was inherited by mistake; kernels without the call have nothing to hand down: all descriptors of
        // the parent are opened close-on-exec.
        libc::syscall(libc::SYS_close_range, 3, u32::MAX, 0);
        if libc::getppid() != instructions.parent {
            return Err(io::Error::other("the parent is gone"));
        }
        check(libc::setpriority(libc::PRIO_PROCESS, 0, NICE))?;
    }
    let limits = &instructions.limits;
    let cpu = limits.cpu.as_secs();
    limit(libc::RLIMIT_CORE, 0, 0)?;
    limit(libc::RLIMIT_FSIZE, limits.artefact_bytes, limits.artefact_bytes)?;
    // At the soft limit comes SIGXCPU, which tells it from the SIGKILL of a machine that is out of memory.
    limit(libc::RLIMIT_CPU, cpu, cpu.saturating_add(CPU_GRACE_SECONDS))?;
    limit(libc::RLIMIT_AS, limits.address_space_bytes, limits.address_space_bytes)
}

fn limit(resource: libc::__rlimit_resource_t, soft: u64, hard: u64) -> io::Result<()> {
    let limit = libc::rlimit { rlim_cur: soft, rlim_max: hard };
    // SAFETY: `limit` is a valid structure for the length of the call, which only reads it.
    check(unsafe { libc::setrlimit(resource, &limit) })
}

fn check(result: i32) -> io::Result<()> {
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn compile(nan: NanPayloads) -> ExitCode {
    let mut config = crate::config(nan);
    // One thread: the limit on processor time is then one on elapsed time, and uploads can't crowd out tasks.
    config.parallel_compilation(false);
    let engine = match wasmtime::Engine::new(&config) {
        Ok(engine) => engine,
        Err(error) => return end(EXIT_NOT_SET_UP, &format!("can't make the engine: {error:#}")),
    };
    let mut module = Vec::new();
    let read = io::stdin().take(super::limits::MODULE_BYTES_MAX as u64).read_to_end(&mut module);
    if let Err(error) = read {
        return end(EXIT_NOT_SET_UP, &format!("can't read the module: {error}"));
    }
    let compiled = match super::is_component(&module) {
        true => engine.precompile_component(&module),
        false => engine.precompile_module(&module),
    };
    let code = match compiled {
        Ok(code) => code,
        Err(error) => return end(EXIT_REFUSED, &format!("{error:#}")),
    };
    match io::stdout().write_all(&code).and_then(|()| io::stdout().flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => end(EXIT_NOT_SET_UP, &format!("can't write the code: {error}")),
    }
}

fn end(code: u8, message: &str) -> ExitCode {
    // Nothing else can be done about a message that can't be written.
    let _ = io::stderr().write_all(message.as_bytes());
    ExitCode::from(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instructions_survive_the_way_through_arguments() {
        for nan in [NanPayloads::Native, NanPayloads::Canonical] {
            let instructions = Instructions { parent: 17, nan, limits: CompileLimits::default() };
            let arguments = instructions.to_arguments();
            assert_eq!(arguments[0], COMPILE_COMMAND);
            assert_eq!(Instructions::from_arguments(&arguments[1..]), Some(instructions));
        }
        assert_eq!(Instructions::from_arguments(&["1".to_owned()]), None);
    }

    #[test]
    fn other_commands_are_left_alone() {
        assert!(compile_child([]).is_none());
        assert!(compile_child(["mecapy".into(), "serve".into()]).is_none());
    }
}
