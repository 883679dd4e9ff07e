//! One delivery: a signed POST to an address that was judged a moment ago, and what came back.
//!
//! Redirects, proxies, cookies and repeated tries are off; time, connection and answer are capped. What is told of a
//! failure is one of a few sentences of ours: it names no address and quotes no library.

use super::{
    guard::{Guard, Refused},
    outbox::Due,
    schedule,
    signature::sign,
};
use mecapy_model::TenantId;
use reqwest::{
    Response, StatusCode,
    dns::{Addrs, Name, Resolve, Resolving},
    header::{CONTENT_TYPE, RETRY_AFTER},
    redirect, retry,
};
use std::{error::Error as _, io, net::SocketAddr, time::Duration};
use time::OffsetDateTime;
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

/// What is kept of an answer's body, bytes, after escaping.
pub(super) const SNIPPET_BYTES_MAX: usize = 1024;
/// What is read of it at most, bytes; the rest is cut with the connection.
const BODY_BYTES_MAX: usize = 8 << 10;
const USER_AGENT: &str = concat!("mecapy-webhooks/", env!("CARGO_PKG_VERSION"));

tokio::task_local! {
    /// Whose delivery is being made: the resolver of connections is told a name and nothing else.
    static OF_TENANT: TenantId;
}

/// How long a delivery may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// The name's look-up, the connection and TLS.
    pub(super) connect: Duration,
    pub(super) whole: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { connect: Duration::from_secs(3), whole: Duration::from_secs(10) }
    }
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    pub verdict: Verdict,
    /// HTTP status, where there was an answer.
    pub status: Option<u16>,
    pub duration_ms: u64,
    /// Why there was no answer, or what was wrong with it; to be shown to the endpoint's owner.
    pub error: Option<String>,
    /// The beginning of the answer's body, escaped, at most [`SNIPPET_BYTES_MAX`] bytes.
    pub snippet: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// 2xx.
    Delivered,
    /// 410: the endpoint wants nothing more.
    Gone,
    /// Anything else. 429 and 503 may say how long to wait.
    Failed { retry_after: Option<Duration> },
}

/// Sends deliveries. Cheap to clone.
#[derive(Clone)]
pub struct Sender {
    client: reqwest::Client,
    guard: Guard,
    patience: Patience,
}

impl Sender {
    /// A sender that calls what `guard` admits.
    ///
    /// One client for all: making one reads the machine's certificates. The guard is its resolver, so what was judged
    /// is what is connected to, and no connection outlives its delivery.
    ///
    /// # Errors
    /// The TLS library can't be set up. A machine without certificates is no error: https then fails.
    pub fn new(guard: Guard) -> Result<Self, reqwest::Error> {
        Self::with_patience(guard, Patience::default())
    }

    pub(super) fn with_patience(guard: Guard, patience: Patience) -> Result<Self, reqwest::Error> {
        let builder = || {
            reqwest::Client::builder()
                .user_agent(USER_AGENT)
                .dns_resolver(guard.clone())
                .redirect(redirect::Policy::none())
                .retry(retry::never())
                .no_proxy()
                .referer(false)
                .http1_only()
                .pool_max_idle_per_host(0)
                .connect_timeout(patience.connect)
        };
        let client = match builder().build() {
            Ok(client) => client,
            Err(error) => {
                tracing::warn!(%error, "webhook.sender: no certificates, so that every https endpoint will fail");
                builder().tls_certs_only([]).build()?
            }
        };
        Ok(Self { client, guard, patience })
    }

    /// Makes one attempt at `due`, signed with the time `now`.
    pub(super) async fn send(&self, due: &Due, now: OffsetDateTime) -> Outcome {
        let started = Instant::now();
        let deadline = started + self.patience.whole;
        let mut outcome = match timeout_at(deadline, self.post(due, now)).await {
            Ok(Ok(response)) => read(response, deadline, now).await,
            Ok(Err(error)) => Outcome::failed(error),
            Err(_) => Outcome::failed("there was no answer in time"),
        };
        outcome.duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        outcome
    }

    async fn post(&self, due: &Due, now: OffsetDateTime) -> Result<Response, String> {
        // An address in the URL itself never reaches the resolver.
        let checked = self.guard.check_url(&due.url).map_err(|refused| refused.to_string())?;
        let (id, timestamp_s) = (due.event.to_string(), now.unix_timestamp());
        let request = self
            .client
            .post(checked.url().clone())
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-signature", sign(&due.secrets, &id, timestamp_s, &due.body))
            .header("webhook-timestamp", timestamp_s)
            .header("webhook-id", id)
            .body(due.body.clone());
        OF_TENANT.scope(due.tenant, request.send()).await.map_err(|error| explain(&error))
    }
}

impl Outcome {
    fn failed(error: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::Failed { retry_after: None },
            status: None,
            duration_ms: 0,
            error: Some(error.into()),
            snippet: String::new(),
        }
    }
}

/// The guard as the resolver of connections: a name that it refuses is not connected to.
impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = self.clone();
        // A connection is made by the task that asked for it. Were it not, all would have one tenant's share.
        let tenant = OF_TENANT.try_with(|tenant| *tenant).unwrap_or(TenantId(Uuid::nil()));
        Box::pin(async move {
            let addresses = Guard::resolve(&guard, tenant, name.as_str()).await?;
            // Port 0 is replaced by the URL's.
            let addresses: Addrs = Box::new(addresses.into_iter().map(|address| SocketAddr::new(address, 0)));
            Ok(addresses)
        })
    }
}

/// The status decides; the body is read for the log alone, and may end when it likes.
async fn read(mut response: Response, deadline: Instant, now: OffsetDateTime) -> Outcome {
    let status = response.status();
    let retry_after = || {
        let header = response.headers().get(RETRY_AFTER)?.to_str().ok()?;
        schedule::retry_after(header, now)
    };
    let verdict = match status {
        status if status.is_success() => Verdict::Delivered,
        StatusCode::GONE => Verdict::Gone,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
            Verdict::Failed { retry_after: retry_after() }
        }
        _ => Verdict::Failed { retry_after: None },
    };
    let error = status.is_redirection().then(|| "the answer is a redirect, which is not followed".to_owned());
    let mut body = Vec::new();
    while let Ok(Ok(Some(chunk))) = timeout_at(deadline, response.chunk()).await {
        body.extend(chunk.iter().take(BODY_BYTES_MAX - body.len()));
        if body.len() >= BODY_BYTES_MAX {
            break;
        }
    }
    Outcome { verdict, status: Some(status.as_u16()), duration_ms: 0, error, snippet: snippet(&body) }
}

/// The beginning of a body as text that is harmless wherever it is shown.
fn snippet(body: &[u8]) -> String {
    let mut shown = String::new();
    for character in String::from_utf8_lossy(body).chars() {
        let before = shown.len();
        match character {
            '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                shown.extend(character.escape_unicode());
            }
            _ if character.is_control() => shown.extend(character.escape_default()),
            _ => shown.push(character),
        }
        if shown.len() > SNIPPET_BYTES_MAX {
            shown.truncate(before);
            break;
        }
    }
    shown
}

/// Why there was no answer, without what the libraries say: they name addresses.
fn explain(error: &reqwest::Error) -> String {
    let mut kind = None;
    let mut cause = error.source();
    while let Some(inner) = cause {
        if let Some(refused) = inner.downcast_ref::<Refused>() {
            return refused.to_string();
        }
        let io = inner.downcast_ref::<io::Error>();
        kind = io.map(io::Error::kind).or(kind);
        // An I/O error that wraps another hides it from its sources.
        let wrapped = io.and_then(io::Error::get_ref).map(|wrapped| wrapped as &(dyn std::error::Error + 'static));
        cause = wrapped.or_else(|| inner.source());
    }
    let text = match kind {
        _ if error.is_timeout() && error.is_connect() => "no connection was made in time",
        Some(io::ErrorKind::ConnectionRefused) => "the connection was refused",
        // What TLS refuses: a certificate, a name, a protocol.
        Some(io::ErrorKind::InvalidData) if error.is_connect() => "the TLS handshake failed: is the certificate right?",
        _ if error.is_connect() => "no connection could be made",
        _ if error.is_timeout() => "there was no answer in time",
        _ => "the connection ended before an answer, or the answer was no HTTP",
    };
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snippet_is_short_and_harmless() {
        assert_eq!(snippet(b"ok\r\n\x1b[2J\xff\xe2\x80\xae"), "ok\\r\\n\\u{1b}[2J\u{fffd}\\u{202e}");
        for body in [vec![b'x'; 5000], vec![0; 5000], "é".repeat(5000).into_bytes()] {
            let shown = snippet(&body);
            assert!((SNIPPET_BYTES_MAX - 6..=SNIPPET_BYTES_MAX).contains(&shown.len()), "{}", shown.len());
        }
    }
}
