//! A receiver of webhooks that records what comes, and answers as a test tells it to: well, badly, or not at all.

use crate::until;
use anyhow::{Context, Result, bail, ensure};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, Mac as _};
use serde_json::Value;
use sha2::Sha256;
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
    time::sleep,
};

/// The largest request that is taken, bytes.
const REQUEST_BYTES_MAX: usize = 4 << 20;
const RECEIVED_DEADLINE: Duration = Duration::from_secs(30);

/// How the sink answers at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SinkAnswer {
    Status(u16),
    /// A status with `Retry-After`, seconds.
    RetryAfter(u16, u64),
    /// 307 to this URL.
    Redirect(String),
    /// 200 after this time.
    Slow(Duration),
    /// Takes the request and says nothing.
    Silent,
    /// 200 and a body that never ends.
    Endless,
    /// Closes the connection.
    Close,
}

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Delivery {
    pub at: Instant,
    pub method: String,
    pub path: String,
    /// Names are in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

/// A sink at a port of its own. It answers 200 where it was told nothing else.
pub struct WebhookSink {
    address: SocketAddr,
    recorded: Arc<Mutex<Recorded>>,
    serving: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Recorded {
    deliveries: Vec<Delivery>,
    answers: BTreeMap<String, SinkAnswer>,
}

impl Delivery {
    pub fn header(&self, name: &str) -> Result<&str> {
        self.headers.get(name).map(String::as_str).with_context(|| format!("there is no {name} in {:?}", self.headers))
    }

    pub fn json(&self) -> Result<Value> {
        serde_json::from_slice(&self.body).context("the body is not JSON")
    }

    /// Checks the signature as Standard Webhooks has receivers check it, with a secret as it was shown.
    pub fn verify(&self, secret: &str) -> Result<()> {
        let encoded = secret.strip_prefix("whsec_").with_context(|| "the secret does not begin with whsec_")?;
        let mut mac = Hmac::<Sha256>::new_from_slice(&STANDARD.decode(encoded)?)?;
        let signed = format!("{}.{}.", self.header("webhook-id")?, self.header("webhook-timestamp")?);
        mac.update(signed.as_bytes());
        mac.update(&self.body);
        let expected = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
        let signatures = self.header("webhook-signature")?;
        ensure!(signatures.split(' ').any(|one| one == expected), "{expected} is not in {signatures}");
        Ok(())
    }
}

impl WebhookSink {
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let recorded = Arc::default();
        let serving = Some(tokio::spawn(serve(listener, Arc::clone(&recorded))));
        Ok(Self { address, recorded, serving })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of a path (`/hook`).
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Answers so at this path from now on.
    pub fn answer(&self, path: &str, answer: SinkAnswer) {
        lock(&self.recorded).answers.insert(path.to_owned(), answer);
    }

    /// Everything that came to this path.
    pub fn received(&self, path: &str) -> Vec<Delivery> {
        lock(&self.recorded).deliveries.iter().filter(|delivery| delivery.path == path).cloned().collect()
    }

    /// Waits until so many requests have come to this path.
    pub async fn until_received(&self, path: &str, count: usize) -> Result<Vec<Delivery>> {
        until(&format!("{count} deliveries at {path}"), RECEIVED_DEADLINE, || async move {
            let received = self.received(path);
            Ok((received.len() >= count).then_some(received))
        })
        .await
    }

    /// Closes everything: connections are refused from now on.
    pub async fn stop(&mut self) {
        if let Some(serving) = self.serving.take() {
            serving.abort();
            // Its end, told or not, closes the port.
            let _ = serving.await;
        }
    }

    /// Listens again at the same port.
    pub async fn start_again(&mut self) -> Result<()> {
        self.stop().await;
        let listener = TcpListener::bind(self.address).await?;
        self.serving = Some(tokio::spawn(serve(listener, Arc::clone(&self.recorded))));
        Ok(())
    }
}

impl Drop for WebhookSink {
    fn drop(&mut self) {
        if let Some(serving) = &self.serving {
            serving.abort();
        }
    }
}

fn lock(recorded: &Mutex<Recorded>) -> MutexGuard<'_, Recorded> {
    recorded.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn serve(listener: TcpListener, recorded: Arc<Mutex<Recorded>>) {
    // A set, so that connections end with the sink.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => if let Ok((socket, _)) = accepted {
                connections.spawn(connection(socket, Arc::clone(&recorded)));
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(mut socket: TcpStream, recorded: Arc<Mutex<Recorded>>) {
    let Ok(delivery) = receive(&mut socket).await else { return };
    let answer = {
        let mut recorded = lock(&recorded);
        let answer = recorded.answers.get(&delivery.path).cloned().unwrap_or(SinkAnswer::Status(200));
        recorded.deliveries.push(delivery);
        answer
    };
    // Whoever sent it may be gone.
    let _ = respond(&mut socket, answer).await;
}

async fn receive(socket: &mut TcpStream) -> Result<Delivery> {
    let mut bytes = Vec::new();
    loop {
        if let Some(delivery) = parse(&bytes)? {
            return Ok(delivery);
        }
        ensure!(bytes.len() < REQUEST_BYTES_MAX, "the request is too long");
        ensure!(socket.read_buf(&mut bytes).await? > 0, "the request ended early");
    }
}

/// The request, once it is complete.
fn parse(bytes: &[u8]) -> Result<Option<Delivery>> {
    let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(None) };
    let (head, rest) = bytes.split_at(end);
    let head = std::str::from_utf8(head)?;
    let (first, fields) = head.split_once("\r\n").unwrap_or((head, ""));
    let mut words = first.split(' ');
    let (Some(method), Some(path)) = (words.next(), words.next()) else { bail!("no request line: {first:?}") };
    let headers: BTreeMap<String, String> = fields
        .split("\r\n")
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length = headers.get("content-length").map_or(Ok(0), |text| text.parse::<usize>())?;
    let body = rest.get(4..).unwrap_or_default();
    let Some(body) = body.get(..length) else { return Ok(None) };
    let (method, path, body) = (method.to_owned(), path.to_owned(), body.to_owned());
    Ok(Some(Delivery { at: Instant::now(), method, path, headers, body }))
}

async fn respond(socket: &mut TcpStream, answer: SinkAnswer) -> std::io::Result<()> {
    let (status, more) = match answer {
        SinkAnswer::Status(status) => (status, String::new()),
        SinkAnswer::RetryAfter(status, seconds) => (status, format!("retry-after: {seconds}\r\n")),
        SinkAnswer::Redirect(url) => (307, format!("location: {url}\r\n")),
        SinkAnswer::Slow(wait) => {
            sleep(wait).await;
            (200, String::new())
        }
        SinkAnswer::Silent => return std::future::pending().await,
        SinkAnswer::Endless => return flood(socket).await,
        SinkAnswer::Close => return Ok(()),
    };
    let body = if status == 204 { "" } else { "ok" };
    let length = body.len();
    let text = format!("HTTP/1.1 {status} Answer\r\ncontent-length: {length}\r\nconnection: close\r\n{more}\r\n{body}");
    socket.write_all(text.as_bytes()).await?;
    socket.shutdown().await
}

async fn flood(socket: &mut TcpStream) -> std::io::Result<()> {
    socket.write_all(b"HTTP/1.1 200 Answer\r\n\r\n").await?;
    loop {
        socket.write_all(&[b'x'; 1024]).await?;
    }
}
