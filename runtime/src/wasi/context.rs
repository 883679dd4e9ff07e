//! What one guest is granted.

use super::{
    HostCallLimit,
    clocks::Clocks,
    random::Random,
    table::{Descriptor, Table},
};
use crate::{
    Cancel,
    output::Sink,
    tree::{Tree, TreeError, TreeLimits},
};
use mecapy_model::LogStream;
use std::{sync::Arc, time::Instant};
use wasmtime::component::ResourceTable;

/// Host calls that a guest may make, unless the builder says otherwise.
const HOSTCALLS_MAX_DEFAULT: u64 = 50_000_000;
/// Handles that a component may hold: streams, timers, files and directories.
pub(crate) const HANDLES_MAX: usize = 10_000;
/// Random bytes that a guest may ask for in all, unless the builder says otherwise.
const RANDOM_BYTES_MAX_DEFAULT: u64 = 64 << 20;

/// The grants of one guest, and the state of its host calls. It serves one instance in one store.
#[derive(Debug)]
pub struct WasiCtx {
    pub(super) memory: Option<wasmtime::Memory>,
    hostcalls_max: u64,
    hostcalls_left: u64,
    pub(super) args: Vec<Box<str>>,
    pub(super) env: Vec<Box<str>>,
    pub(super) stdin: Stdin,
    pub(super) stdout: Sink,
    pub(super) stderr: Sink,
    pub(super) tree: Tree,
    pub(super) table: Table,
    /// What the handles of a component stand for.
    pub(super) resources: ResourceTable,
    pub(super) preopens: Vec<Arc<str>>,
    pub(super) clocks: Clocks,
    pub(super) wall_clock_read: bool,
    pub(super) random: Random,
    pub(super) deadline: Instant,
    pub(super) cancel: Cancel,
}

/// Standard input: all of it, and how much was read.
#[derive(Debug)]
pub(super) struct Stdin {
    pub(super) bytes: Arc<[u8]>,
    pub(super) position: usize,
}

/// What is left when the guest is done.
#[derive(Debug)]
pub struct WasiParts {
    /// Its files; descriptors that were still open are closed.
    pub tree: Tree,
    pub stdout: Sink,
    pub stderr: Sink,
    pub hostcalls_used: u64,
}

/// Why a context can't be made: the host asked for something impossible.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    #[error("an argument or environment variable contains a NUL character: {text:?}")]
    Nul { text: String },
    #[error("{path:?} can't be granted")]
    Preopen { path: String, source: TreeError },
    #[error("the grants need more descriptors than {open_files_max}")]
    OpenFiles { open_files_max: u32 },
}

/// Puts a context together. Whatever is not called stays denied:
///
/// | grant | default |
/// |---|---|
/// | arguments | none, not even a program name |
/// | environment | empty |
/// | standard input | closed: reading it is the end of file |
/// | standard output and error | counted, nothing kept |
/// | files | an empty read-only tree, and no directory of it |
/// | wall clock | starts at the unix epoch |
/// | monotonic clock | starts at 0 when the context is built; there is nothing to grant |
/// | randomness | a fixed seed (0), 64 MiB in all |
/// | waiting | none: a call that would block ends the guest |
/// | host calls | 50 million |
/// | sockets, signals, processes | don't exist |
#[derive(Debug)]
pub struct WasiCtxBuilder {
    args: Vec<Box<str>>,
    env: Vec<Box<str>>,
    stdin: Arc<[u8]>,
    stdout: Sink,
    stderr: Sink,
    tree: Option<Tree>,
    preopens: Vec<Arc<str>>,
    wall_clock_nanos: u64,
    seed: u64,
    random_bytes_max: u64,
    hostcalls_max: u64,
    deadline: Option<Instant>,
    cancel: Cancel,
}

impl Default for WasiCtxBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl WasiCtxBuilder {
    pub fn new() -> Self {
        Self {
            args: Vec::new(),
            env: Vec::new(),
            stdin: Arc::default(),
            stdout: Sink::new(LogStream::Stdout, 0),
            stderr: Sink::new(LogStream::Stderr, 0),
            tree: None,
            preopens: Vec::new(),
            wall_clock_nanos: 0,
            seed: 0,
            random_bytes_max: RANDOM_BYTES_MAX_DEFAULT,
            hostcalls_max: HOSTCALLS_MAX_DEFAULT,
            deadline: None,
            cancel: Cancel::new(),
        }
    }

    /// Adds an argument; the first is the program's name.
    pub fn arg(mut self, text: &str) -> Self {
        self.args.push(text.into());
        self
    }

    /// Adds an environment variable.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push(format!("{name}={value}").into());
        self
    }

    /// All of standard input.
    pub fn stdin(mut self, bytes: impl Into<Arc<[u8]>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    pub fn stdout(mut self, sink: Sink) -> Self {
        self.stdout = sink;
        self
    }

    pub fn stderr(mut self, sink: Sink) -> Self {
        self.stderr = sink;
        self
    }

    /// The files; [`WasiCtxBuilder::preopen`] grants directories of them.
    pub fn tree(mut self, tree: Tree) -> Self {
        self.tree = Some(tree);
        self
    }

    /// Grants a directory of the tree under its own path, from descriptor 3 on in the order of the calls.
    pub fn preopen(mut self, path: &str) -> Self {
        self.preopens.push(path.into());
        self
    }

    /// The wall clock at the guest's start, in nanoseconds since the unix epoch.
    pub fn wall_clock(mut self, nanos: u64) -> Self {
        self.wall_clock_nanos = nanos;
        self
    }

    /// What all randomness follows from.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    pub fn random_bytes_max(mut self, bytes: u64) -> Self {
        self.random_bytes_max = bytes;
        self
    }

    pub fn hostcalls_max(mut self, calls: u64) -> Self {
        self.hostcalls_max = calls;
        self
    }

    /// Lets the guest wait, until `deadline` at the latest.
    pub fn deadline(mut self, deadline: Instant) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// What wakes and ends a guest that waits.
    pub fn cancel(mut self, cancel: Cancel) -> Self {
        self.cancel = cancel;
        self
    }

    /// The context; both clocks start now.
    pub fn build(self) -> Result<WasiCtx, BuildError> {
        if let Some(text) = self.args.iter().chain(&self.env).find(|text| text.contains('\0')) {
            return Err(BuildError::Nul { text: text.to_string() });
        }
        let mut tree = self.tree.unwrap_or_else(|| Tree::new(TreeLimits::default()));
        let open_files_max = tree.limits().open_files_max;
        let mut table = Table::new(open_files_max);
        let standard = [Descriptor::stdin(), Descriptor::stdout(), Descriptor::stderr()];
        let full = |_| BuildError::OpenFiles { open_files_max };
        for descriptor in standard {
            table.insert(descriptor).map_err(full)?;
        }
        for (index, path) in self.preopens.iter().enumerate() {
            let refuse = |source| BuildError::Preopen { path: path.to_string(), source };
            let id = tree.locate(path).map_err(refuse)?;
            if tree.kind(id).map_err(refuse)? != crate::tree::Kind::Directory {
                return Err(refuse(TreeError::NotDirectory));
            }
            tree.hold(id).map_err(refuse)?;
            table.insert(Descriptor::preopen(id, index)).map_err(full)?;
        }
        let mut resources = ResourceTable::new();
        resources.set_max_capacity(HANDLES_MAX);
        let started = Instant::now();
        Ok(WasiCtx {
            memory: None,
            hostcalls_max: self.hostcalls_max,
            hostcalls_left: self.hostcalls_max,
            args: self.args,
            env: self.env,
            stdin: Stdin { bytes: self.stdin, position: 0 },
            stdout: self.stdout,
            stderr: self.stderr,
            tree,
            table,
            resources,
            preopens: self.preopens,
            clocks: Clocks::new(self.wall_clock_nanos, started),
            wall_clock_read: false,
            random: Random::new(self.seed, self.random_bytes_max),
            deadline: self.deadline.unwrap_or(started),
            cancel: self.cancel,
        })
    }
}

impl WasiCtx {
    pub fn builder() -> WasiCtxBuilder {
        WasiCtxBuilder::new()
    }

    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    pub fn stdout(&self) -> &Sink {
        &self.stdout
    }

    pub fn stderr(&self) -> &Sink {
        &self.stderr
    }

    pub(crate) fn tree_mut(&mut self) -> &mut Tree {
        &mut self.tree
    }

    pub(crate) fn stderr_mut(&mut self) -> &mut Sink {
        &mut self.stderr
    }

    /// Whether the guest asked for random bytes.
    pub(crate) fn drew_randomness(&self) -> bool {
        self.random.was_drawn()
    }

    /// Whether the guest asked for the time of day.
    pub(crate) fn read_wall_clock(&self) -> bool {
        self.wall_clock_read
    }

    /// Whether the guest has closed what it opened, and nothing else.
    pub(crate) fn has_only_grants(&self) -> bool {
        self.table.is_as_granted(self.preopens.len())
    }

    pub fn hostcalls_used(&self) -> u64 {
        self.hostcalls_max - self.hostcalls_left
    }

    /// Ends the guest's descriptors and hands back what it left.
    pub fn into_parts(mut self) -> WasiParts {
        let hostcalls_used = self.hostcalls_used();
        for node in self.table.close_all() {
            // A node that a descriptor held is there: its hold kept it.
            self.tree.release(node).unwrap_or_default();
        }
        WasiParts { tree: self.tree, stdout: self.stdout, stderr: self.stderr, hostcalls_used }
    }

    /// To be called at the start of every host call, whichever module it is of.
    pub(crate) fn count_call(&mut self) -> Result<(), HostCallLimit> {
        match self.hostcalls_left.checked_sub(1) {
            Some(left) => {
                self.hostcalls_left = left;
                Ok(())
            }
            None => Err(HostCallLimit { calls_max: self.hostcalls_max }),
        }
    }

    /// The guest's wall clock, in unix nanoseconds.
    pub(crate) fn now(&self) -> u64 {
        self.clocks.wall_nanos()
    }
}
