//! An HTTP client of the API, as the command line uses it.
//!
//! Knows the contract's routes and shapes, nothing of terminals or of the code that serves them: it talks to any
//! server, and trusts none.

mod answers;
mod batches;
mod events;
mod packages;
mod paging;
mod patience;
mod problem;
mod runs;
mod studies;
mod tables;
mod uploads;
mod workflows;

pub(crate) use answers::{
    ArtifactAnswer, InlineArtifact, LogEntry, LogPage, ModuleAnswer, PreviewAnswer, ResultAnswer, ServerAnswer,
    TaskAnswer, UploadAnswer,
};
pub(crate) use batches::{BatchAnswer, BatchCounts, BatchEvent, FieldSummary, ItemRow, SummaryAnswer};
pub(crate) use events::{Events, Followed, ServerSentEvent, TaskEvent, TaskEvents};
pub(crate) use packages::{
    FunctionAnswer, FunctionLine, Keeping, PackageAnswer, PackageLine, Publishing, TestState, TestsAnswer,
    VersionAnswer, VersionLine,
};
pub(crate) use paging::{Listed, Search};
pub(crate) use patience::{PATIENCE_SHOWN, Patience};
pub(crate) use problem::{ClientError, Problem};
pub(crate) use runs::{RunAnswer, RunLine, RunNode, RunState};
pub(crate) use studies::{ComparisonAnswer, FieldDifference, Firing, ScheduleAnswer, StudyAnswer};
pub(crate) use tables::{Axes, Of};
pub(crate) use workflows::{RunEvent, WorkflowAnswer};

use mecapy_model::TaskId;
use reqwest::{Method, RequestBuilder, Response, header};
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use std::{fmt, time::Duration};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an ordinary answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// A preview runs for 5 s at most, and may wait its turn before.
const PREVIEW_TIMEOUT: Duration = Duration::from_secs(90);
/// Longest wait that the server is asked for in one request, seconds (the contract allows 60).
pub(crate) const RESULT_WAIT_S_MAX: u64 = 30;
/// The largest answer that is read: a result, its logs and its artifacts in one preview.
const ANSWER_BYTES_MAX: usize = 64 << 20;
/// Tries to submit a task where the network or the server fails for a moment.
const SUBMIT_TRIES_MAX: u32 = 4;
const SUBMIT_RETRY_WAIT: Duration = Duration::from_millis(300);

/// A secret that authenticates requests; it is never shown.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Token(String);

impl Token {
    /// The token in `text`, white space around it aside; `None` where there is nothing else.
    pub(crate) fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        (!text.is_empty()).then(|| Self(text.to_owned()))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// An answer as it was sent and as it was understood.
#[derive(Debug)]
pub(crate) struct Answer<T> {
    /// The whole answer: numbers, order and unknown fields as they came.
    pub text: Box<RawValue>,
    pub value: T,
}

/// A client of one server.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    /// Without a slash at its end.
    base_url: String,
    authorization: Option<header::HeaderValue>,
}

impl Client {
    /// A client of the server at `base_url` (`http://…` or `https://…`). Connects to nothing yet.
    pub(crate) fn new(base_url: &str, token: Option<&Token>) -> Result<Self, ClientError> {
        let base_url = base_url.trim_end_matches('/').to_owned();
        let wrong = || ClientError::Address { url: base_url.clone() };
        let url: reqwest::Url = base_url.parse().map_err(|_| wrong())?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err(wrong());
        }
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("mecapy/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_nodelay(true)
            // A redirect would take the credentials to where nobody said they should go.
            .redirect(reqwest::redirect::Policy::none());
        if url.scheme() == "http" {
            // Plain HTTP needs no certificates, and a small container may have none.
            builder = builder.tls_certs_only([]);
        }
        if is_loopback(&url) {
            builder = builder.no_proxy();
        }
        let http = builder.build().map_err(ClientError::Certificates)?;
        let bearer = |token: &Token| header::HeaderValue::try_from(format!("Bearer {}", token.0));
        let mut authorization = token.map(bearer).transpose().map_err(|_| ClientError::Token)?;
        if let Some(value) = &mut authorization {
            value.set_sensitive(true);
        }
        Ok(Self { http, base_url, authorization })
    }

    pub(crate) fn base_url(&self) -> &str {
        &self.base_url
    }

    /// `GET /`: what answers there; needs no credentials.
    pub(crate) async fn server(&self) -> Result<ServerAnswer, ClientError> {
        Ok(self.answer::<ServerAnswer>(self.request(Method::GET, "/").timeout(CONNECT_TIMEOUT)).await?.value)
    }

    /// Whether the server says that it is ready for work.
    pub(crate) async fn ready(&self) -> Result<(), ClientError> {
        self.send(self.request(Method::GET, "/ready").timeout(CONNECT_TIMEOUT)).await.map(drop)
    }

    /// Who the credentials belong to.
    pub(crate) async fn me(&self) -> Result<Box<RawValue>, ClientError> {
        Ok(self.answer::<serde::de::IgnoredAny>(self.get("/v1/me")).await?.text)
    }

    pub(crate) async fn preview(&self, body: &RawValue) -> Result<Answer<PreviewAnswer>, ClientError> {
        let request = json_body(self.request(Method::POST, "/v1/preview"), body).timeout(PREVIEW_TIMEOUT);
        self.answer(request).await
    }

    /// Submits a task; the idempotency key makes it safe to try again where the answer was lost.
    pub(crate) async fn submit(
        &self,
        body: &RawValue,
        idempotency_key: &str,
    ) -> Result<Answer<TaskAnswer>, ClientError> {
        self.post_once("/v1/tasks", body, idempotency_key, ANSWER_TIMEOUT).await
    }

    pub(crate) async fn task(&self, id: TaskId) -> Result<Answer<TaskAnswer>, ClientError> {
        self.answer(self.get(&format!("/v1/tasks/{id}"))).await
    }

    /// The result; waits up to `wait_s` seconds (at most [`RESULT_WAIT_S_MAX`]). `None` while the task goes on.
    pub(crate) async fn result(&self, id: TaskId, wait_s: u64) -> Result<Option<Answer<ResultAnswer>>, ClientError> {
        let wait_s = wait_s.min(RESULT_WAIT_S_MAX);
        let request = self.request(Method::GET, &format!("/v1/tasks/{id}/result?wait={wait_s}"));
        match self.answer(request.timeout(ANSWER_TIMEOUT + Duration::from_secs(wait_s))).await {
            Ok(answer) => Ok(Some(answer)),
            Err(ClientError::Refused(problem)) if problem.status == 409 => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The log from entry `since` on, or a first part of it.
    pub(crate) async fn logs(&self, id: TaskId, since: u64) -> Result<LogPage, ClientError> {
        Ok(self.answer::<LogPage>(self.get(&format!("/v1/tasks/{id}/logs?since={since}"))).await?.value)
    }

    /// Asks for the task to stop; it may take a moment to do so.
    pub(crate) async fn cancel(&self, id: TaskId) -> Result<(), ClientError> {
        let request = self.request(Method::POST, &format!("/v1/tasks/{id}/cancel"));
        self.send(request.timeout(ANSWER_TIMEOUT)).await.map(drop)
    }

    pub(crate) async fn artifacts(&self, id: TaskId) -> Result<Vec<ArtifactAnswer>, ClientError> {
        Ok(self.answer::<Vec<ArtifactAnswer>>(self.get(&format!("/v1/tasks/{id}/artifacts"))).await?.value)
    }

    /// The events of a task from its first, live until it has ended.
    pub(crate) fn events(&self, id: TaskId) -> TaskEvents<'_> {
        TaskEvents::of_task(self, id)
    }

    /// Hands an artifact's bytes to `write` as they arrive, and checks them against what was announced.
    pub(crate) async fn download(
        &self,
        artifact: &ArtifactAnswer,
        mut write: impl FnMut(&[u8]) -> std::io::Result<()>,
    ) -> Result<(), ClientError> {
        let name = artifact.name.as_str().to_owned();
        let url = match artifact.url.strip_prefix('/') {
            Some(path) => format!("{}/{path}", self.base_url),
            None => artifact.url.clone(),
        };
        // The URL is its own credential, and may lead to an object store: it gets no other.
        let mut response = self.success(self.http.get(&url)).await?;
        let (mut hasher, mut left) = (Sha256::new(), artifact.size_bytes);
        while let Some(chunk) = response.chunk().await.map_err(|error| self.failed(error))? {
            left = left.checked_sub(chunk.len() as u64).ok_or_else(|| ClientError::Damaged { name: name.clone() })?;
            hasher.update(&chunk);
            write(&chunk).map_err(|source| ClientError::Write { name: name.clone(), source })?;
        }
        let sha256 = mecapy_model::Digest(hasher.finalize().into()).to_string();
        if left != 0 || sha256 != artifact.sha256 {
            return Err(ClientError::Damaged { name });
        }
        Ok(())
    }
}

impl Client {
    async fn open_events(&self, path: &str, last_event_id: Option<&str>) -> Result<Response, ClientError> {
        let mut request = self.request(Method::GET, path).header(header::ACCEPT, "text/event-stream");
        if let Some(last) = last_event_id {
            request = request.header("last-event-id", last);
        }
        self.success(request).await
    }

    /// Posts what the server does once for each key, and tries again where the answer was lost.
    async fn post_once<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &RawValue,
        idempotency_key: &str,
        timeout: Duration,
    ) -> Result<Answer<T>, ClientError> {
        let mut tried = 1;
        loop {
            let request = json_body(self.request(Method::POST, path), body);
            match self.answer(request.header("idempotency-key", idempotency_key).timeout(timeout)).await {
                Err(error) if tried < SUBMIT_TRIES_MAX && may_have_been_lost(&error) => {
                    tokio::time::sleep(SUBMIT_RETRY_WAIT * tried).await;
                    tried += 1;
                }
                answer => return answer,
            }
        }
    }

    /// Posts without a body.
    async fn post<T: DeserializeOwned>(&self, path: &str) -> Result<Answer<T>, ClientError> {
        self.answer(self.request(Method::POST, path).timeout(ANSWER_TIMEOUT)).await
    }

    async fn delete(&self, path: &str) -> Result<(), ClientError> {
        self.send(self.request(Method::DELETE, path).timeout(ANSWER_TIMEOUT)).await.map(drop)
    }

    fn get(&self, path: &str) -> RequestBuilder {
        self.request(Method::GET, path).timeout(ANSWER_TIMEOUT)
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base_url));
        match &self.authorization {
            Some(value) => request.header(header::AUTHORIZATION, value.clone()),
            None => request,
        }
    }

    async fn answer<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<Answer<T>, ClientError> {
        let body = self.send(request).await?;
        let understood = || -> Result<Answer<T>, serde_json::Error> {
            let text: Box<RawValue> = serde_json::from_slice(&body)?;
            let value = serde_json::from_str(text.get())?;
            Ok(Answer { text, value })
        };
        understood().map_err(|source| ClientError::NotUnderstood { url: self.base_url.clone(), source })
    }

    /// The whole body of a successful answer.
    async fn send(&self, request: RequestBuilder) -> Result<Vec<u8>, ClientError> {
        let response = self.success(request).await?;
        self.body(response, ANSWER_BYTES_MAX).await
    }

    /// The answer's head, where it is a success.
    async fn success(&self, request: RequestBuilder) -> Result<Response, ClientError> {
        let response = request.send().await.map_err(|error| self.failed(error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let retry_after = response.headers().get(header::RETRY_AFTER);
        let retry_after_s = retry_after.and_then(|value| value.to_str().ok()?.parse().ok());
        let body = self.body(response, ANSWER_BYTES_MAX).await?;
        Err(ClientError::Refused(Box::new(Problem::from_answer(status.as_u16(), retry_after_s, &body))))
    }

    async fn body(&self, mut response: Response, bytes_max: usize) -> Result<Vec<u8>, ClientError> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.failed(error))? {
            if body.len() + chunk.len() > bytes_max {
                return Err(ClientError::TooLarge { url: self.base_url.clone(), bytes_max });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    fn failed(&self, source: reqwest::Error) -> ClientError {
        let url = self.base_url.clone();
        if source.is_timeout() && !source.is_connect() {
            return ClientError::TimedOut { url };
        }
        // The address is said once, and signed URLs are not for showing.
        ClientError::Unreachable { url, source: source.without_url() }
    }
}

/// Whether `base_url` names this machine, so that a key in a local file may be sent there.
pub(crate) fn is_local(base_url: &str) -> bool {
    base_url.parse().is_ok_and(|url| is_loopback(&url))
}

fn is_loopback(url: &reqwest::Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn json_body(request: RequestBuilder, body: &RawValue) -> RequestBuilder {
    request.header(header::CONTENT_TYPE, "application/json").body(body.get().to_owned())
}

/// Whether the server may have accepted a request whose answer never came, or may accept it in a moment.
fn may_have_been_lost(error: &ClientError) -> bool {
    match error {
        ClientError::Unreachable { source, .. } => !source.is_connect(),
        ClientError::TimedOut { .. } => true,
        ClientError::Refused(problem) => matches!(problem.status, 502..=504),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_are_no_servers_are_refused() {
        for url in ["", "localhost:8000", "ftp://host", "http://", "file:///etc/passwd", "https:// host"] {
            assert!(matches!(Client::new(url, None), Err(ClientError::Address { .. })), "{url:?} was accepted");
        }
        assert_eq!(Client::new("http://127.0.0.1:8000/", None).unwrap().base_url(), "http://127.0.0.1:8000");
    }

    #[test]
    fn only_this_machine_is_local() {
        for url in ["http://127.0.0.1:8000", "http://localhost", "http://[::1]:9", "http://127.9.9.9"] {
            assert!(is_local(url), "{url}");
        }
        for url in ["http://10.0.0.1", "http://127.0.0.1.example.org", "https://localhost.example.org", "x"] {
            assert!(!is_local(url), "{url}");
        }
    }

    #[test]
    fn a_token_is_never_shown_and_never_breaks_a_header() {
        let token = Token::new(" secret\n").unwrap();
        assert_eq!(format!("{token:?}"), "Token(…)");
        let client = Client::new("http://127.0.0.1:1", Some(&token)).unwrap();
        assert!(!format!("{client:?}").contains("secret"));
        let hostile = Token::new("a\r\nx-admin: 1").unwrap();
        assert!(matches!(Client::new("http://127.0.0.1:1", Some(&hostile)), Err(ClientError::Token)));
        assert!(Token::new(" \n").is_none());
    }
}
