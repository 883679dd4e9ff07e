//! One thing that was looked at.

use serde::Serialize;
use std::fmt::Display;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Status {
    Ok,
    /// Neither good nor bad.
    Info,
    /// Works, but not as well as it could.
    Warn,
    /// Does not work.
    Fail,
}

#[derive(Debug, Clone, Serialize)]
pub(super) struct Check {
    pub(super) name: &'static str,
    pub(super) status: Status,
    pub(super) finding: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) advice: Option<String>,
}

impl Check {
    pub(super) fn ok(name: &'static str, finding: impl Display) -> Self {
        Self { name, status: Status::Ok, finding: finding.to_string(), advice: None }
    }

    pub(super) fn info(name: &'static str, finding: impl Display) -> Self {
        Self { status: Status::Info, ..Self::ok(name, finding) }
    }

    pub(super) fn warn(name: &'static str, finding: impl Display, advice: impl Display) -> Self {
        Self { status: Status::Warn, advice: Some(advice.to_string()), ..Self::ok(name, finding) }
    }

    pub(super) fn fail(name: &'static str, finding: impl Display, advice: impl Display) -> Self {
        Self { status: Status::Fail, advice: Some(advice.to_string()), ..Self::ok(name, finding) }
    }
}

/// An error with its causes on one line.
pub(super) fn reasons(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        text += &format!(": {source}");
        cause = source.source();
    }
    text
}
