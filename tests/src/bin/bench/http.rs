//! The load generator's side of HTTP: one keep-alive connection and requests made beforehand, so that the two cores
//! which client and server share are the server's as far as possible.

use anyhow::{Context, Result, ensure};
use http_body_util::{BodyExt, Full};
use hyper::{
    Method, Request, StatusCode,
    body::Bytes,
    client::conn::http1::{SendRequest, handshake},
    header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue},
};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::net::SocketAddr;
use tokio::net::TcpStream;

/// A server and the credentials for it.
#[derive(Debug, Clone)]
pub(crate) struct Endpoint {
    pub(crate) address: SocketAddr,
    pub(crate) authorization: HeaderValue,
    host: HeaderValue,
}

/// A request that can be sent again and again.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    method: Method,
    path: String,
    body: Bytes,
    content_type: HeaderValue,
}

#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) body: Bytes,
}

/// One keep-alive connection; it closes when it is dropped.
pub(crate) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    endpoint: Endpoint,
}

impl Endpoint {
    pub(crate) fn new(address: SocketAddr, key: &str) -> Result<Self> {
        let authorization = HeaderValue::try_from(format!("Bearer {key}"))?;
        Ok(Self { address, authorization, host: HeaderValue::try_from(address.to_string())? })
    }

    pub(crate) async fn connect(&self) -> Result<Connection> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Connection { sender, endpoint: self.clone() })
    }

    pub(crate) async fn connect_many(&self, count: usize) -> Result<Vec<Connection>> {
        let mut connections = Vec::with_capacity(count);
        for _ in 0..count {
            connections.push(self.connect().await?);
        }
        Ok(connections)
    }
}

impl Call {
    pub(crate) fn get(path: impl Into<String>) -> Self {
        let json = HeaderValue::from_static("application/json");
        Self { method: Method::GET, path: path.into(), body: Bytes::new(), content_type: json }
    }

    pub(crate) fn post(path: impl Into<String>, body: &Value) -> Self {
        Self { method: Method::POST, body: Bytes::from(body.to_string()), ..Self::get(path) }
    }

    pub(crate) fn post_bytes(path: &str, content_type: &'static str, body: Vec<u8>) -> Self {
        let content_type = HeaderValue::from_static(content_type);
        Self { method: Method::POST, body: Bytes::from(body), content_type, ..Self::get(path) }
    }
}

impl Connection {
    /// Sends the call and reads the whole answer.
    pub(crate) async fn exchange(&mut self, call: &Call) -> Result<Reply> {
        let request = Request::builder()
            .method(call.method.clone())
            .uri(call.path.as_str())
            .header(HOST, self.endpoint.host.clone())
            .header(AUTHORIZATION, self.endpoint.authorization.clone())
            .header(CONTENT_TYPE, call.content_type.clone())
            .body(Full::new(call.body.clone()))?;
        self.sender.ready().await?;
        let response = self.sender.send_request(request).await?;
        let status = response.status();
        Ok(Reply { status, body: response.into_body().collect().await?.to_bytes() })
    }

    /// The same for an answer that must be a success, parsed.
    pub(crate) async fn json(&mut self, call: &Call) -> Result<Value> {
        let reply = self.exchange(call).await?;
        ensure!(reply.status.is_success(), "{} answered {}: {}", call.path, reply.status, reply.text());
        serde_json::from_slice(&reply.body).with_context(|| format!("{} answered no JSON", call.path))
    }
}

impl Reply {
    /// Whether it is the answer of a preview, or the result of a task, that worked; reads no further than the state, which comes first.
    pub(crate) fn completed(&self) -> bool {
        self.status == StatusCode::OK && self.body.starts_with(br#"{"state":"completed""#)
    }

    /// The id of the task that it shows.
    pub(crate) fn task_id(&self) -> Result<String> {
        let task: Value = serde_json::from_slice(&self.body)?;
        Ok(task.get("id").and_then(Value::as_str).context("a task has no id")?.to_owned())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).chars().take(600).collect()
    }
}
