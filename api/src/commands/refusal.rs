//! The two ways in which a command says no before anything runs: it was used wrongly, or what it was given is
//! not acceptable.

use crate::{
    client::{ClientError, Problem},
    packages::Files,
};
use mecapy_model::Fault;
use std::sync::Arc;

/// The command line asks for something that can't be done.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Misuse(String);

impl Misuse {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

/// A computation or a package that was not accepted, with what the faults point into.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.problem.headline())]
pub(crate) struct Refusal {
    pub problem: Problem,
    pub pointed: Pointed,
}

/// What faults point into.
#[derive(Debug, Clone)]
pub(crate) enum Pointed {
    /// Nothing that could be shown.
    Nowhere,
    Source(SourceText),
    Package(Arc<Files>),
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
        Self { problem: Problem::of_faults(faults), pointed: Pointed::of(source_text) }
    }

    /// What this process found in a package.
    pub(crate) fn of_package(faults: Vec<Fault>, files: Arc<Files>) -> Self {
        let problem = Problem { title: "The package can't be published".into(), ..Problem::of_faults(faults) };
        Self { problem, pointed: Pointed::Package(files) }
    }

    /// Puts the source beside a server's 422, so that its faults can be shown in it; other errors stay as they are.
    pub(crate) fn with_source(error: ClientError, source_text: Option<&SourceText>) -> anyhow::Error {
        Self::with(error, || Pointed::of(source_text.cloned()))
    }

    /// The same for the files of a package.
    pub(crate) fn with_package(error: ClientError, files: &Arc<Files>) -> anyhow::Error {
        Self::with(error, || Pointed::Package(files.clone()))
    }

    fn with(error: ClientError, pointed: impl FnOnce() -> Pointed) -> anyhow::Error {
        match error {
            ClientError::Refused(problem) if problem.status == 422 => {
                Refusal { problem: *problem, pointed: pointed() }.into()
            }
            error => error.into(),
        }
    }
}

impl Pointed {
    fn of(source_text: Option<SourceText>) -> Self {
        source_text.map_or(Pointed::Nowhere, Pointed::Source)
    }
}
