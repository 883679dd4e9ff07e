//! What the server, or the way to it, can answer instead of what was asked for.

use mecapy_model::Fault;
use serde::{Deserialize, Serialize};

/// Characters of an answer that is no problem document which are repeated to the user.
const QUOTED_CHARS_MAX: usize = 300;

/// Why a request brought no answer that can be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    #[error("{url:?} is not a server's address: it begins with http:// or https://")]
    Address { url: String },
    #[error("the token holds characters that can't be sent")]
    Token,
    #[error("can't prepare secure connections: no usable certificates on this machine")]
    Certificates(#[source] reqwest::Error),
    #[error("can't reach the server at {url}")]
    Unreachable { url: String, source: reqwest::Error },
    #[error("no answer from {url} in time")]
    TimedOut { url: String },
    #[error("{}", .0.headline())]
    Refused(Box<Problem>),
    #[error("the answer of {url} is not one of a MecaPy server")]
    NotUnderstood { url: String, source: serde_json::Error },
    #[error("the answer of {url} is larger than {bytes_max} bytes")]
    TooLarge { url: String, bytes_max: usize },
    #[error("{name} arrived damaged: it is not what the server announced")]
    Damaged { name: String },
    #[error("can't read {path}")]
    File { path: String, source: std::io::Error },
    #[error("can't write {name}")]
    Write { name: String, source: std::io::Error },
}

impl ClientError {
    /// Whether nothing answered at all.
    pub(crate) fn is_unreachable(&self) -> bool {
        matches!(self, ClientError::Unreachable { .. })
    }

    /// Whether the same request could succeed a moment later.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            ClientError::Unreachable { .. } | ClientError::TimedOut { .. } => true,
            ClientError::Refused(problem) => matches!(problem.status, 429 | 502 | 503 | 504),
            _ => false,
        }
    }
}

/// RFC 9457 problem details.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Problem {
    #[serde(rename = "type")]
    pub kind: String,
    pub title: String,
    /// The HTTP status; 0 where no server was asked.
    pub status: u16,
    pub detail: String,
    pub errors: Vec<Fault>,
    /// Seconds after which it is worth trying again.
    #[serde(skip)]
    pub retry_after_s: Option<u64>,
}

impl Problem {
    /// Reads an answer with an error status, whoever wrote it.
    pub(crate) fn from_answer(status: u16, retry_after_s: Option<u64>, body: &[u8]) -> Self {
        match serde_json::from_slice::<Problem>(body) {
            Ok(problem) if !problem.title.is_empty() => Problem { status, retry_after_s, ..problem },
            _ => {
                let text: String = String::from_utf8_lossy(body).trim().chars().take(QUOTED_CHARS_MAX).collect();
                let title = format!("HTTP status {status}");
                Problem { kind: "about:blank".into(), title, status, detail: text, retry_after_s, ..Problem::default() }
            }
        }
    }

    /// Faults that were found before anything was sent.
    pub(crate) fn of_faults(errors: Vec<Fault>) -> Self {
        let detail = match errors.as_slice() {
            [only] => only.message.clone(),
            all => format!("there are {} faults", all.len()),
        };
        let title = "The computation can't be accepted".into();
        Problem { kind: "about:blank".into(), title, status: 422, detail, errors, ..Problem::default() }
    }

    /// Anything else, in the same form for programs.
    pub(crate) fn of_error(error: &anyhow::Error) -> Self {
        let causes: Vec<_> = error.chain().skip(1).map(ToString::to_string).collect();
        Problem {
            kind: "about:blank".into(),
            title: error.to_string(),
            detail: causes.join(": "),
            ..Problem::default()
        }
    }

    /// One line that says what happened.
    pub(crate) fn headline(&self) -> String {
        match (self.detail.as_str(), self.retry_after_s) {
            ("", _) => self.title.clone(),
            (detail, Some(seconds)) => format!("{}: {detail} (try again in {seconds} s)", self.title),
            (detail, None) => format!("{}: {detail}", self.title),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problem_documents_are_read_and_anything_else_is_quoted() {
        let body = br#"{"type":"urn:x","title":"Invalid","status":422,"detail":"1 fault","errors":[
            {"pointer":"/code/source","code":"syntax","message":"bad","line":3,"column":7}]}"#;
        let problem = Problem::from_answer(422, None, body);
        assert_eq!((problem.headline().as_str(), problem.errors[0].line), ("Invalid: 1 fault", Some(3)));
        let proxy = Problem::from_answer(502, Some(3), b"<html>bad gateway</html>");
        assert_eq!(proxy.headline(), "HTTP status 502: <html>bad gateway</html> (try again in 3 s)");
    }

    #[test]
    fn only_what_may_pass_is_tried_again() {
        let refused = |status| ClientError::Refused(Box::new(Problem::from_answer(status, None, b"")));
        assert!(refused(503).is_passing() && refused(429).is_passing());
        assert!(!refused(422).is_passing() && !refused(500).is_passing());
    }
}
