//! Sandboxes for the interpreter's images, made once for all tests of a file.

use crate::opened;
use mecapy_python::Interpreter;
use mecapy_runtime::{Sandboxes, SandboxesConfig};
use std::sync::OnceLock;

const MEMORY_BYTES: u64 = 12 << 30;

pub(crate) struct Bench {
    pub(crate) interpreter: Interpreter,
    pub(crate) sandboxes: Sandboxes,
}

pub(crate) fn bench() -> &'static Bench {
    static BENCH: OnceLock<Bench> = OnceLock::new();
    BENCH.get_or_init(|| {
        let (engine, _, interpreter) = opened::open();
        let config = SandboxesConfig {
            preview_threads: 1,
            default_threads: 2,
            long_running_threads: 1,
            ..SandboxesConfig::for_machine(2, MEMORY_BYTES)
        };
        let sandboxes = Sandboxes::new(&engine, &config).unwrap();
        Bench { interpreter, sandboxes }
    })
}
