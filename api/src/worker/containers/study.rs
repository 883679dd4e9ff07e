//! A claimed task as its solver's adapter sees it, before its run and after. Of a source the compiler is the solver.

use super::attempt::{executor, volume_fault};
use crate::worker::{attempt::cancelled, ending::Ended, ending::storage};
use mecapy_model::{ArtifactName, COMPILE_ROOM, Code, Digest, ErrorKind, Outcome, Source, Task, TaskError, Warning};
use mecapy_runtime::{
    FileContent, InputFile,
    compiler::{COMPILE_DISK_BYTES, COMPILE_OUTPUT_BYTES_MAX, COMPILE_TIMEOUT, Compile, content_key},
    container::{RefusedFile, Sizes, Volume, Watched, WorkFolder},
    solver::{self, Adapter, Conclusion, Reader, SolverVersion, Solvers, Stopped, Study, version_name},
};
use mecapy_store::{ArtifactFile, Store};
use std::{collections::BTreeSet, sync::Arc, time::Duration};

/// Files that a run may leave.
const FILES_MAX: usize = 10_000;
/// Processes and threads of one container.
const PIDS: u32 = 512;
/// `/tmp` of a container, which counts as its memory, bytes; no more than an eighth of that.
const TMP_BYTES: u64 = 256 << 20;
const TMP_EIGHTHS: u64 = 8;
/// What a run may say, bytes. Solvers write what is worth keeping into files.
const OUTPUT_BYTES_MAX: u64 = 32 << 20;

/// One solver's run of one task.
pub(super) struct Case {
    task: Task,
    /// The names of the files that were sent, and their sizes in bytes where they are still known.
    files: Vec<(ArtifactName, Option<u64>)>,
    solver: String,
    pub(super) version: SolverVersion,
    adapter: Arc<dyn Adapter>,
    /// Of a source: what its module is kept under.
    pub(super) key: Option<Digest>,
}

/// What is to be started, beside what the catalogue says.
pub(super) struct Plan {
    pub(super) command: Vec<String>,
    /// Files that the solver needs beside those that were sent.
    pub(super) files: Vec<InputFile>,
}

impl Case {
    /// # Errors
    /// What the task names and this worker's catalogue has not; where the store fails.
    pub(super) async fn read(task: &Task, solvers: &Solvers, store: &Store) -> Result<Self, TaskError> {
        if let Some(source) = task.code.source().filter(|source| source.module.is_none()) {
            return Self::of_source(task, source, solvers);
        }
        let Code::Solver { solver, version } = &task.code else {
            return Err(executor("the task is for a sandbox, and was claimed for a container"));
        };
        let found = solvers.adapter(solver).zip(solvers.catalogue().version(solver, version));
        let Some((adapter, known)) = found else {
            let message = format!("this worker's catalogue has no {solver} {version}: it is not the one of the server");
            return Err(executor(message));
        };
        let mut files = Vec::with_capacity(task.files.len());
        for (name, upload) in &task.files {
            let invalid =
                |error: mecapy_model::InvalidArtifactName| TaskError::new(ErrorKind::InvalidInput, error.to_string());
            let name = ArtifactName::parse(name).map_err(invalid)?;
            let upload = store.upload(task.tenant, *upload).await.map_err(storage)?;
            files.push((name, upload.map(|upload| upload.size_bytes)));
        }
        Ok(Self { task: task.clone(), files, solver: solver.clone(), version: known.clone(), adapter, key: None })
    }

    /// A compiler's run. The task's files are for the module.
    fn of_source(task: &Task, source: Source<'_>, solvers: &Solvers) -> Result<Self, TaskError> {
        let Source { language, text, .. } = source;
        let Some(toolchain) = solvers.catalogue().compiler(language) else {
            let title = language.title();
            let message =
                format!("this worker's catalogue has no compiler for {title}: it is not the one of the server");
            return Err(executor(message));
        };
        let version = SolverVersion {
            version: toolchain.version.clone(),
            image: toolchain.image.clone(),
            command: toolchain.command.clone(),
            env: toolchain.env.clone(),
            memory_bytes_default: None,
            note: None,
        };
        Ok(Self {
            task: task.clone(),
            files: Vec::new(),
            solver: language.as_str().to_owned(),
            version,
            adapter: Arc::new(Compile::new(language, text)),
            key: Some(content_key(toolchain, text)),
        })
    }

    /// What its container gets; `disk_bytes` is what work folders have here.
    pub(super) fn sizes(&self, disk_bytes: u64) -> Sizes {
        let limits = &self.task.limits;
        let room = if self.key.is_some() { COMPILE_ROOM } else { limits.room() };
        let sizes = Sizes {
            cpus: room.cpus,
            memory_bytes: room.memory_bytes,
            disk_bytes,
            pids: PIDS,
            tmp_bytes: TMP_BYTES.min(room.memory_bytes / TMP_EIGHTHS),
            output_bytes_max: OUTPUT_BYTES_MAX,
            wall: Duration::from_millis(limits.timeout_ms),
        };
        match self.key {
            None => sizes,
            Some(_) => Sizes {
                disk_bytes: disk_bytes.min(COMPILE_DISK_BYTES),
                output_bytes_max: COMPILE_OUTPUT_BYTES_MAX,
                wall: COMPILE_TIMEOUT,
                ..sizes
            },
        }
    }

    /// Which version of which solver it is.
    pub(super) fn version_name(&self) -> String {
        version_name(&self.solver, &self.version.version)
    }

    fn study(&self) -> Study<'_> {
        let Self { task, files, version, .. } = self;
        Study { inputs: &task.inputs, files, limits: &task.limits, command: &version.command }
    }

    /// What to run, from the files that were sent. Blocks.
    pub(super) fn plan(&self, volume: &Volume) -> Result<Plan, TaskError> {
        let folder = open(volume)?;
        let prepared = self.adapter.prepare(&self.study(), &folder)?;
        let input =
            |(name, bytes): (ArtifactName, Vec<u8>)| InputFile { name, content: FileContent::Bytes(bytes.into()) };
        Ok(Plan { command: prepared.command, files: prepared.files.into_iter().map(input).collect() })
    }

    /// Who reads the output. Blocks.
    pub(super) fn reader(&self, volume: &Volume) -> Result<Box<dyn Reader>, TaskError> {
        Ok(self.adapter.reader_beside(&self.study(), &open(volume)?))
    }

    /// What came of the run. Blocks, for as long as the solver's results take to be read.
    pub(super) fn conclude(&self, watched: &Watched, reader: &dyn Reader, volume: &Volume) -> Result<Ended, TaskError> {
        let folder = open(volume)?;
        let ended = solver::Ended {
            exit_code: watched.exit_code,
            stopped: watched.stopped,
            disk_free_bytes: volume.free_bytes().map_err(|error| volume_fault(&error))?,
            wall: watched.wall,
        };
        let conclusion = self.adapter.conclude(&self.study(), &ended, reader, &folder);
        let Conclusion { result, mut warnings, files, made } = conclusion;
        let made_names: BTreeSet<_> = made.iter().map(|artifact| artifact.name.clone()).collect();
        let files = kept(&folder, files, made_names, &mut warnings);
        // A folder that can't be listed is the adapter's to tell.
        let refused = folder.refused().unwrap_or_default();
        let result = match result {
            Ok(_) if watched.stopped == Some(Stopped::Cancelled) => Err(cancelled()),
            Ok(result) => refused.first().map_or(Ok(result), |file| Err(planted(file))),
            Err(error) => Err(error),
        };
        let (usage, artifacts) = (watched.usage, made);
        let outcome = Outcome { result, warnings, artifacts, usage, ..Outcome::failed(cancelled()) };
        Ok(Ended { files, ..outcome.into() })
    }
}

fn open(volume: &Volume) -> Result<WorkFolder, TaskError> {
    volume.files(FILES_MAX).map_err(|error| volume_fault(&error))
}

/// Opens what is to be kept, each name once, and warns of what can't be.
fn kept(
    folder: &WorkFolder,
    files: Vec<(ArtifactName, ArtifactName)>,
    mut taken: BTreeSet<ArtifactName>,
    warnings: &mut Vec<Warning>,
) -> Vec<ArtifactFile> {
    let mut kept = Vec::with_capacity(files.len());
    for (found, name) in files {
        let reason = match folder.file(found.as_str()) {
            Ok(file) if taken.insert(name.clone()) => {
                let content_type = name.content_type().to_owned();
                kept.push(ArtifactFile { name, content_type, file: Arc::new(file) });
                continue;
            }
            Ok(_) => "another file has its name".to_owned(),
            Err(error) => error.to_string(),
        };
        let message = format!("{} is not kept: {reason}", found.as_str());
        warnings.push(Warning { code: "artifact_left_out".to_owned(), message, line: None, pointer: None });
    }
    kept
}

/// A link or the like among the outputs is never followed, and no run that leaves one has completed.
fn planted(file: &RefusedFile) -> TaskError {
    let message = format!("the run left {}, which can't be kept: {}", file.name, file.reason);
    TaskError::new(ErrorKind::InvalidArtifact, message)
}
