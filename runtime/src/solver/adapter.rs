//! Where solvers and the platform meet: what an adapter is asked, and what it answers.

use mecapy_model::{Artifact, ArtifactName, Fault, Limits, Progress, TaskError, Warning};
use serde_json::value::RawValue;
use std::io::{self, Read};
use std::time::Duration;

/// Understands one family of solvers. One adapter serves all runs.
pub trait Adapter: Send + Sync + std::fmt::Debug {
    /// What is wrong with a study, as far as its file names and inputs tell, each fault with a pointer into the request
    /// (`/code/files/…`, `/inputs/…`): asked when a task is submitted.
    fn check(&self, study: &Study<'_>) -> Vec<Fault>;

    /// What the container is to run, and which files the solver needs beside those that were sent. `files` are the
    /// inputs, for adapters that look into them (an `.export`, a deck).
    ///
    /// # Errors
    /// `invalid_input` where the study can't be run, in the engineer's words.
    fn prepare(&self, study: &Study<'_>, files: &dyn Folder) -> Result<Prepared, TaskError>;

    /// Follows one run's output. The same text, from its beginning, gives the same reader again: a worker that adopts a
    /// container replays it.
    fn reader(&self, study: &Study<'_>) -> Box<dyn Reader>;

    /// The same for adapters that can tell from the study's files how long a run will be; `files` are as they were when it
    /// began. To be preferred where the folder is at hand.
    fn reader_beside(&self, study: &Study<'_>, files: &dyn Folder) -> Box<dyn Reader> {
        let _ = files;
        self.reader(study)
    }

    /// What came of the run, from how it ended, what it said and what it left in its folder.
    fn conclude(&self, study: &Study<'_>, ended: &Ended, reader: &dyn Reader, files: &dyn Folder) -> Conclusion;
}

/// What the engineer asked for.
#[derive(Debug, Clone, Copy)]
pub struct Study<'a> {
    /// The task's inputs, one JSON object.
    pub inputs: &'a RawValue,
    /// Names of the files that were sent, and their sizes in bytes where known.
    pub files: &'a [(ArtifactName, Option<u64>)],
    pub limits: &'a Limits,
    /// The catalogue's command for this solver and version.
    pub command: &'a [String],
}

/// The solver's work folder: flat or nested regular files, never links.
pub trait Folder {
    /// Names and sizes in bytes, in the order of the names.
    fn list(&self) -> io::Result<Vec<(ArtifactName, u64)>>;
    /// Opens a file for reading from its start.
    fn open(&self, name: &str) -> io::Result<Box<dyn Read + '_>>;
}

/// What a container is made from, beside its image and limits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Prepared {
    /// The argument array; the first is the program. Never a shell's text that holds something of the user's.
    pub command: Vec<String>,
    /// Files to write beside the inputs.
    pub files: Vec<(ArtifactName, Vec<u8>)>,
}

/// Reads the solver's output, a line at a time, in the order in which it was said.
pub trait Reader: Send {
    /// A line without its end. Answers how far the run is, where the line tells.
    fn line(&mut self, line: &str) -> Option<Progress>;
    /// Whether the lines go into the task's log as they are. Not where all that they say is told otherwise.
    fn is_logged(&self) -> bool {
        true
    }
    /// For [`Adapter::conclude`], which knows its own reader.
    fn as_any(&self) -> &dyn std::any::Any;
}

/// How a container ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    pub exit_code: i64,
    /// What ended it, where that was not the program itself.
    pub stopped: Option<Stopped>,
    /// Bytes left in the work folder.
    pub disk_free_bytes: u64,
    /// From start to end.
    pub wall: Duration,
}

/// What ended a container, where that was not its own program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// The kernel ended its first process, because its memory was used up.
    OutOfMemory,
    Timeout,
    Cancelled,
    /// It wrote more output than is kept.
    Flood,
}

/// What came of a run.
#[derive(Debug)]
pub struct Conclusion {
    /// One JSON object, or why there is none.
    pub result: Result<Box<RawValue>, TaskError>,
    pub warnings: Vec<Warning>,
    /// The files to keep, of those in the folder: where they are, and what they are called.
    pub files: Vec<(ArtifactName, ArtifactName)>,
    /// What the adapter made itself: pictures, tables.
    pub made: Vec<Artifact>,
}
