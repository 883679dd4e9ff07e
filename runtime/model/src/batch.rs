//! Batches: many items of one computation.

use crate::{TaskError, Usage, Warning};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

/// What each item of a batch runs in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Isolation {
    /// A fresh sandbox of its own.
    #[default]
    Item,
    /// A sandbox that served earlier items of the same batch. A Python source runs anew in an empty namespace, with inputs,
    /// files, output, clock, seed, fuel and time limit of its own. Put back are the folders `/work/out` and `/tmp`, the
    /// working folder, the environment, module path, streams and limits of `sys`, built-in names, warning filters, the
    /// random generators, decimal's and NumPy's contexts, matplotlib's settings and figures; modules from `/work` and
    /// `/tmp` are imported anew.
    ///
    /// What an item changed inside other modules stays for the next: attributes, caches and options of the library and of
    /// published packages. The memory limit counts what the sandbox holds. An item that is stopped by a limit, ends the
    /// process, is refused memory or leaves a file open is the last in its sandbox. WebAssembly modules, and packages that
    /// draw random numbers or read the clock when they are imported, run as with `item`.
    Batch,
}

/// What an item that fails means for those that have not begun.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnItemError {
    #[default]
    Continue,
    /// They are cancelled, and the batch has failed.
    Stop,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BatchState {
    Queued,
    Running,
    /// All items have ended, those that failed among them.
    Completed,
    /// An item failed, and the batch was to stop there.
    Failed,
    Cancelled,
}

impl BatchState {
    pub const ALL: [BatchState; 5] =
        [BatchState::Queued, BatchState::Running, BatchState::Completed, BatchState::Failed, BatchState::Cancelled];

    pub const fn is_terminal(self) -> bool {
        matches!(self, BatchState::Completed | BatchState::Failed | BatchState::Cancelled)
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            BatchState::Queued => "queued",
            BatchState::Running => "running",
            BatchState::Completed => "completed",
            BatchState::Failed => "failed",
            BatchState::Cancelled => "cancelled",
        }
    }
}

impl std::fmt::Display for BatchState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for BatchState {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let found = BatchState::ALL.into_iter().find(|state| state.as_str() == text);
        found.ok_or_else(|| format!("unknown state {text:?}: use queued, running, completed, failed or cancelled"))
    }
}

/// Neighbouring items, by their index from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ItemRange {
    pub first: u32,
    pub count: u32,
}

/// One set of inputs.
#[derive(Debug, Clone)]
pub struct Item {
    pub index: u32,
    /// The user's own JSON text of an object.
    pub inputs: Box<RawValue>,
}

/// How one item ended.
#[derive(Debug, Clone)]
pub struct ItemOutcome {
    pub index: u32,
    pub seed: u64,
    /// The result as the guest's own JSON text, or why there is none.
    pub result: Result<Box<RawValue>, TaskError>,
    pub warnings: Vec<Warning>,
    pub usage: Usage,
}
