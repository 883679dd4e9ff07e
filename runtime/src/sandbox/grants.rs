//! What every guest is granted: its own clock, randomness, output and files. Everything else stays denied.

use super::{Run, Sandbox, failure};
use crate::{
    output::Sink,
    tree::{Access, Tree},
    wasi::{WasiCtx, WasiCtxBuilder},
};
use mecapy_model::{LogStream, TaskError};

/// Where a guest finds its input files, and where what it writes becomes an artifact.
pub(crate) const IN: &str = "/work/in";
pub(crate) const OUT: &str = "/work/out";
pub(crate) const TMP: &str = "/tmp";

/// The folders that every guest has, in a tree that already holds what its program needs.
pub fn add_folders(tree: &mut Tree) -> Result<(), crate::tree::TreeError> {
    tree.add_directory(IN, Access::ReadOnly)?;
    tree.add_directory(OUT, Access::ReadWrite)?;
    tree.add_directory(TMP, Access::ReadWrite)?;
    Ok(())
}

/// Completes `builder`, which has its output, with the attempt's own grants over `tree`.
pub(super) fn complete(builder: WasiCtxBuilder, mut tree: Tree, run: &Run<'_>) -> Result<WasiCtx, TaskError> {
    let attempt = run.attempt;
    for file in &attempt.files {
        let path = format!("{IN}/{}", file.name.as_str());
        tree.add_file(&path, file.content.clone()).map_err(failure::executor)?;
    }
    let nanos = u64::try_from(attempt.wall_clock.unix_timestamp_nanos()).unwrap_or(0);
    tree.set_all_times(nanos);
    builder
        .tree(tree)
        .wall_clock(nanos)
        .seed(attempt.seed)
        .deadline(run.deadline)
        .cancel(run.cancel.clone())
        .build()
        .map_err(failure::executor)
}

/// A stream that is shown to the user, live where somebody watches.
pub(super) fn log(stream: LogStream, sandbox: &Sandbox, run: &Run<'_>) -> Sink {
    let sink = Sink::new(stream, usize::try_from(sandbox.ceilings.output_bytes_max).unwrap_or(usize::MAX));
    match &run.observer {
        Some(observer) => sink.with_observer(std::sync::Arc::clone(observer)),
        None => sink,
    }
}
