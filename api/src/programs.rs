//! From code to something a sandbox can run: the interpreter image for a source, the compiled module for a digest.
//!
//! Knows nothing of HTTP or of queues: previews and the worker both ask here.

use crate::analysis::{self, Analysis, Catalogue};
use mecapy_model::{Code, Digest, ErrorKind, TaskError, TenantId};
use mecapy_python::Interpreter;
use mecapy_runtime::Program;
use mecapy_store::Store;
use sha2::{Digest as _, Sha256};
use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

/// Sources whose analysis is remembered: engineers send the same source again and again.
const ANALYSES_MAX: usize = 512;
/// Sources longer than this are analysed anew each time, so that the cache stays small, bytes.
const REMEMBERED_SOURCE_BYTES_MAX: usize = 64 << 10;

/// Finds programs, and remembers what it found.
pub struct Programs {
    interpreter: Arc<Interpreter>,
    catalogue: Catalogue,
    modules: mecapy_runtime::module::ModuleCache,
    store: Store,
    analyses: Mutex<Analyses>,
}

#[derive(Default)]
struct Analyses {
    by_source: HashMap<[u8; 32], Arc<Analysis>>,
    /// Oldest first.
    order: VecDeque<[u8; 32]>,
}
