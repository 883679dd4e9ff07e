//! What the tasks of a load do, and how each of them has to end.

use crate::{Answer, merge, python, wasm};
use anyhow::{Result, ensure};
use serde_json::{Value, json};

/// Longer than what fits a result's row.
const LARGE_BYTES: usize = 300_000;
/// One round: mostly short things, some of everything.
const ROUND: [Kind; 16] = [
    Kind::Python,
    Kind::Wasm,
    Kind::Failing,
    Kind::Python,
    Kind::Upload,
    Kind::Cancelled,
    Kind::Python,
    Kind::Wasm,
    Kind::Large,
    Kind::Python,
    Kind::Failing,
    Kind::LongRunning,
    Kind::Artifact,
    Kind::Wasm,
    Kind::Python,
    Kind::Upload,
];

/// A kind of task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Wasm,
    Python,
    /// Raises.
    Failing,
    /// Runs until it is cancelled.
    Cancelled,
    /// Reads an input file.
    Upload,
    /// Has a result that is kept as an object.
    Large,
    /// Leaves a file.
    Artifact,
    /// Goes to the throttled lane.
    LongRunning,
}

impl Kind {
    /// The kind of the task with this number.
    pub(super) fn of(number: usize) -> Self {
        ROUND.get(number % ROUND.len()).copied().unwrap_or(Kind::Python)
    }

    /// The request. `given` is the upload or the module that it needs.
    pub(super) fn body(self, number: usize, given: &str) -> Value {
        match self {
            Kind::Wasm => wasm(given),
            Kind::Python => python(&format!("import time\ntime.sleep(0.02)\nresult = {number}")),
            Kind::Failing => python(&format!("raise ValueError('task {number}')")),
            Kind::Cancelled => python("import time\nwhile True:\n    time.sleep(0.01)"),
            Kind::Upload => {
                let mut body = python("result = int(open('/work/in/n.txt').read())");
                merge(&mut body, json!({"files": {"n.txt": given}}));
                body
            }
            Kind::Large => python(&format!("result = '{number}:' + 'x' * {LARGE_BYTES}")),
            Kind::Artifact => python(&format!(
                "import time\nopen('/work/out/n.txt', 'w').write('{number}')\ntime.sleep(0.05)\nresult = {number}"
            )),
            Kind::LongRunning => {
                let mut body = python(&format!("import time\ntime.sleep(0.1)\nresult = {number}"));
                merge(&mut body, json!({"lane": "long_running"}));
                body
            }
        }
    }

    /// Checks the answer of `/result`.
    pub(super) fn check(self, number: usize, result: Answer) -> Result<()> {
        match self {
            Kind::Wasm => result.expect_result(&json!({"n": 7}))?,
            Kind::Failing => {
                let failed = result.expect_error_kind("exception")?;
                ensure!(failed.str_at("/error/message")?.contains(&format!("task {number}")), "{}", failed.text());
                failed
            }
            Kind::Cancelled => result.expect_error_kind("cancelled")?,
            Kind::Large => {
                let completed = result.expect_completed()?;
                let text = completed.str_at("/result/result")?;
                let start = format!("{number}:");
                ensure!(text.len() == start.len() + LARGE_BYTES && text.starts_with(&start), "another text");
                completed
            }
            Kind::Python | Kind::Upload | Kind::Artifact | Kind::LongRunning => {
                result.expect_result(&json!({"result": number}))?
            }
        };
        Ok(())
    }
}
