//! A socket that receives deliveries, and answers them well or badly.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::AbortHandle,
    time::sleep,
};

/// How a sink answers.
#[derive(Debug, Clone)]
pub(super) enum Manner {
    /// With these bytes, then the connection ends.
    Says(String),
    /// Each delivery with the next of these bytes, the last for ever.
    SaysInTurn(Vec<String>),
    /// These bytes before any request.
    Greets(&'static str),
    /// Takes the request and says nothing.
    Silent,
    /// Begins with these bytes, then repeats these.
    Endless { head: &'static str, chunk: &'static str, every: Duration },
}

/// A request as it came.
#[derive(Debug, Clone)]
pub(super) struct Hit {
    /// Request line and headers, in lower case.
    pub(super) head: String,
    pub(super) body: Vec<u8>,
}

impl Hit {
    pub(super) fn header(&self, name: &str) -> &str {
        let found = self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        found.unwrap_or_else(|| panic!("no {name} in {:?}", self.head))
    }
}

pub(super) struct Sink {
    pub(super) address: SocketAddr,
    hits: Arc<Mutex<Vec<Hit>>>,
    serving: AbortHandle,
}

impl Sink {
    pub(super) async fn start(manner: Manner) -> Self {
        Self::start_at(([127, 0, 0, 1], 0).into(), manner).await
    }

    pub(super) async fn start_at(address: SocketAddr, manner: Manner) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let hits: Arc<Mutex<Vec<Hit>>> = Arc::default();
        let seen = Arc::clone(&hits);
        let serving = tokio::spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                tokio::spawn(answer(socket, manner.clone(), Arc::clone(&seen)));
            }
        });
        Self { address, hits, serving: serving.abort_handle() }
    }

    pub(super) fn ip(&self) -> IpAddr {
        self.address.ip()
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// The same port by a name.
    pub(super) fn url_of(&self, name: &str) -> String {
        format!("http://{name}:{}/hook", self.address.port())
    }

    pub(super) fn hits(&self) -> Vec<Hit> {
        self.hits.lock().unwrap().clone()
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// An answer with a body.
pub(super) fn http(status: &str, headers: &str, body: &str) -> Manner {
    Manner::Says(http_text(status, headers, body))
}

pub(super) fn http_text(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n{headers}\r\n{body}", body.len())
}

async fn answer(mut socket: TcpStream, manner: Manner, hits: Arc<Mutex<Vec<Hit>>>) {
    if let Manner::Greets(text) = manner {
        socket.write_all(text.as_bytes()).await.unwrap();
    }
    let Some(hit) = receive(&mut socket).await else { return };
    let number = {
        let mut hits = hits.lock().unwrap();
        hits.push(hit);
        hits.len() - 1
    };
    match manner {
        Manner::Says(text) => drop(socket.write_all(text.as_bytes()).await),
        Manner::SaysInTurn(texts) => drop(socket.write_all(texts[number.min(texts.len() - 1)].as_bytes()).await),
        Manner::Silent | Manner::Greets(_) => sleep(Duration::from_secs(3600)).await,
        Manner::Endless { head, chunk, every } => {
            let mut written = socket.write_all(head.as_bytes()).await;
            while written.is_ok() {
                written = socket.write_all(chunk.as_bytes()).await;
                sleep(every).await;
            }
        }
    }
}

async fn receive(socket: &mut TcpStream) -> Option<Hit> {
    let mut bytes = Vec::new();
    loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8(bytes[..end].to_vec()).unwrap().to_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
            if bytes.len() >= end + 4 + length {
                return Some(Hit { head, body: bytes[end + 4..].to_vec() });
            }
        }
        if socket.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}
