//! The two ways in which a command says no before anything runs: it was used wrongly, or what it was given is
//! not acceptable.

use crate::client::{ClientError, Problem};
use mecapy_model::Fault;

/// The command line asks for something that can't be done.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Misuse(String);

impl Misuse {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

/// A computation that was not accepted, with the source that the faults point into where there is one.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.problem.headline())]
pub(crate) struct Refusal {
    pub problem: Problem,
    pub source_text: Option<SourceText>,
}

/// A Python source, and what the user calls it.
#[derive(Debug, Clone)]
pub(crate) struct SourceText {
    pub name: String,
    pub text: String,
}

impl Refusal {
    /// What this process found itself.
    pub(crate) fn of_faults(faults: Vec<Fault>, source_text: Option<SourceText>) -> Self {
        Self { problem: Problem::of_faults(faults), source_text }
    }

    /// Puts the source beside a server's 422, so that its faults can be shown in it; other errors stay as they are.
    pub(crate) fn with_source(error: ClientError, source_text: Option<&SourceText>) -> anyhow::Error {
        match error {
            ClientError::Refused(problem) if problem.status == 422 => {
                Refusal { problem: *problem, source_text: source_text.cloned() }.into()
            }
            error => error.into(),
        }
    }
}
