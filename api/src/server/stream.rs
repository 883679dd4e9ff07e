//! A socket that reports what it does to its connection's watch, and that closes so that the peer sees our last words.

use super::{table::Admitted, watch::Watch};
use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf},
    net::TcpStream,
    runtime::Handle,
};

/// How long a peer that was answered early may go on sending before its connection is cut.
const LINGER_TIMEOUT: Duration = Duration::from_secs(2);
/// How much of it is thrown away, bytes.
const LINGER_BYTES_MAX: u64 = 256 << 20;
const LINGER_BUFFER_BYTES: usize = 64 << 10;

#[derive(Debug)]
pub(super) struct WatchedStream {
    watch: Arc<Watch>,
    /// The socket and its place in the table, until they are dropped together.
    open: Option<(TcpStream, Admitted)>,
}

impl WatchedStream {
    pub(super) fn new(socket: TcpStream, admitted: Admitted) -> Self {
        Self { watch: Arc::clone(&admitted.watch), open: Some((socket, admitted)) }
    }

    fn socket(&mut self) -> io::Result<Pin<&mut TcpStream>> {
        self.open.as_mut().map(|(socket, _)| Pin::new(socket)).ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

/// Closing a socket that has unread bytes resets the connection, and the reset overtakes our answer.
impl Drop for WatchedStream {
    fn drop(&mut self) {
        let Some((socket, admitted)) = self.open.take() else { return };
        if let (true, Ok(runtime)) = (self.watch.is_body_left(), Handle::try_current()) {
            runtime.spawn(async move {
                // Whoever is not done by then is cut off.
                let _ = tokio::time::timeout(LINGER_TIMEOUT, throw_away(socket)).await;
                drop(admitted);
            });
        }
    }
}

async fn throw_away(mut socket: TcpStream) {
    if socket.shutdown().await.is_err() {
        return;
    }
    let mut rest = socket.take(LINGER_BYTES_MAX);
    let mut buffer = vec![0; LINGER_BUFFER_BYTES];
    while rest.read(&mut buffer).await.is_ok_and(|bytes| bytes > 0) {}
}

impl AsyncRead for WatchedStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = self.socket()?.poll_read(cx, buffer);
        if buffer.filled().len() > before {
            self.watch.read();
        }
        polled
    }
}

impl WatchedStream {
    fn note<T>(&self, polled: Poll<T>) -> Poll<T> {
        if polled.is_pending() {
            self.watch.write_blocked();
        } else {
            self.watch.write_done();
        }
        polled
    }
}

impl AsyncWrite for WatchedStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = self.socket()?.poll_write(cx, bytes);
        self.note(polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = self.socket()?.poll_write_vectored(cx, slices);
        self.note(polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.open.as_ref().is_some_and(|(socket, _)| socket.is_write_vectored())
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket()?.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket()?.poll_shutdown(cx)
    }
}
