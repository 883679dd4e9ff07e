//! HTTP as bytes on a socket, for requests that no well-behaved client would send.

use anyhow::{Context, Result};
use std::{net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// An answer of a raw exchange is read up to this many bytes.
const RESPONSE_BYTES_MAX: usize = 1 << 20;

/// What came back before the deadline or the close.
#[derive(Debug, Clone)]
pub struct RawResponse {
    pub bytes: Vec<u8>,
    /// Whether the server closed the connection within the deadline.
    pub closed: bool,
}

impl RawResponse {
    /// The status of the first answer, where there is one.
    pub fn status(&self) -> Option<u16> {
        let text = String::from_utf8_lossy(&self.bytes);
        text.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()
    }
}

/// Sends `request` and reads until the server closes, or for `deadline`.
pub async fn raw_exchange(address: SocketAddr, request: &[u8], deadline: Duration) -> Result<RawResponse> {
    let mut socket = TcpStream::connect(address).await?;
    // The server may refuse and close before it has read everything: the answer still counts.
    let _ = socket.write_all(request).await;
    read_answer(&mut socket, deadline).await
}

/// Sends a request line, then `lines` one by one, then reads; for requests that are too large to hold.
pub async fn raw_exchange_lines(
    address: SocketAddr,
    head: &[u8],
    lines: impl Iterator<Item = Vec<u8>> + Send,
    deadline: Duration,
) -> Result<RawResponse> {
    let mut socket = TcpStream::connect(address).await?;
    socket.write_all(head).await.context("the request line was not taken")?;
    let (mut reader, mut writer) = socket.split();
    let sending = async {
        for line in lines {
            if writer.write_all(&line).await.is_err() {
                return;
            }
        }
    };
    let reading = read_half(&mut reader, deadline);
    // Both at once: a server that answers early stops reading, and a client that only writes would hang.
    tokio::pin!(sending, reading);
    tokio::select! {
        answer = &mut reading => answer,
        () = &mut sending => reading.await,
    }
}

async fn read_answer(socket: &mut TcpStream, deadline: Duration) -> Result<RawResponse> {
    let (mut reader, _writer) = socket.split();
    read_half(&mut reader, deadline).await
}

async fn read_half(reader: &mut (impl AsyncReadExt + Unpin), deadline: Duration) -> Result<RawResponse> {
    let mut bytes = Vec::new();
    let mut chunk = vec![0; 16 << 10];
    let end = tokio::time::Instant::now() + deadline;
    while bytes.len() < RESPONSE_BYTES_MAX {
        let left = end.saturating_duration_since(tokio::time::Instant::now());
        match timeout(left, reader.read(&mut chunk)).await {
            Ok(Ok(0) | Err(_)) => return Ok(RawResponse { bytes, closed: true }),
            Ok(Ok(count)) => bytes.extend(chunk.iter().take(count)),
            Err(_) => break,
        }
    }
    Ok(RawResponse { bytes, closed: false })
}
