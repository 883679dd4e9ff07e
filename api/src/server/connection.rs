//! One connection, from its first byte to its last.

use super::{
    ConnectionLimits, HEADER_BYTES_MAX, HEADERS_MAX, HTTP2_PENDING_RESETS_MAX, HTTP2_STREAMS_MAX,
    body::{RequestBody, RequestInUse, WatchedBody},
    stream::WatchedStream,
    table::Admitted,
    watch::Watch,
};
use axum::{
    Router,
    body::Body,
    http::{HeaderValue, Request, header},
    response::Response,
};
use hyper::{body::Incoming, service::Service};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use std::{
    convert::Infallible,
    pin::{Pin, pin},
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{net::TcpStream, sync::watch};
use tower::Service as _;

/// How often an HTTP/2 peer is asked whether it is there, and how long it may take to say so.
const HTTP2_PING_INTERVAL: Duration = Duration::from_secs(20);
const HTTP2_PING_TIMEOUT: Duration = Duration::from_secs(20);
/// What one HTTP/2 stream may buffer of its response, bytes.
const HTTP2_SEND_BUFFER_BYTES_MAX: usize = 64 << 10;
/// A connection's limits are looked at least this often.
const CHECK_INTERVAL: Duration = Duration::from_secs(5);
/// And no more often than this.
const CHECK_INTERVAL_MIN: Duration = Duration::from_millis(10);

/// Whether the server goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Serving,
    /// No new request on any connection; those under way end.
    Draining,
    /// Everything closes now.
    Closing,
}

/// What every connection of a listener shares.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) protocol: Arc<auto::Builder<TokioExecutor>>,
    pub(super) router: Router,
    pub(super) limits: ConnectionLimits,
    pub(super) stage: watch::Receiver<Stage>,
}

/// HTTP/1.1 and HTTP/2 with every limit set.
pub(super) fn protocol() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(None)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEADER_BYTES_MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(HTTP2_STREAMS_MAX)
        .max_pending_accept_reset_streams(HTTP2_PENDING_RESETS_MAX)
        .max_local_error_reset_streams(HTTP2_PENDING_RESETS_MAX)
        .max_header_list_size(u32::try_from(HEADER_BYTES_MAX).unwrap_or(u32::MAX))
        .max_send_buf_size(HTTP2_SEND_BUFFER_BYTES_MAX)
        .keep_alive_interval(HTTP2_PING_INTERVAL)
        .keep_alive_timeout(HTTP2_PING_TIMEOUT);
    builder
}

/// Serves one connection until it ends, breaks a limit, or has to go.
pub(super) async fn serve(shared: Shared, socket: TcpStream, admitted: Admitted) {
    let watch = Arc::clone(&admitted.watch);
    let stream = WatchedStream::new(socket, admitted);
    let requests = Requests { router: shared.router, watch: Arc::clone(&watch) };
    let mut stage = shared.stage;
    let mut connection = pin!(shared.protocol.serve_connection(TokioIo::new(stream), requests));
    let mut limits = pin!(past_deadline(&watch, &shared.limits));
    loop {
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(error = %error, "connection ended");
                }
                return;
            }
            () = limits.as_mut() => return,
            () = watch.evicted() => return,
            changed = stage.changed() => {
                if changed.is_err() || *stage.borrow() == Stage::Closing {
                    return;
                }
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}

/// Ends once the connection has passed its deadline.
async fn past_deadline(watch: &Watch, limits: &ConnectionLimits) {
    loop {
        let now = Instant::now();
        let wait = match watch.deadline(limits) {
            Some(deadline) if deadline <= now => return,
            Some(deadline) => (deadline - now).min(CHECK_INTERVAL),
            None => CHECK_INTERVAL.min(limits.header_timeout).min(limits.write_timeout),
        };
        tokio::time::sleep(wait.max(CHECK_INTERVAL_MIN)).await;
    }
}

/// Hands a connection's requests to the router.
#[derive(Clone)]
struct Requests {
    router: Router,
    watch: Arc<Watch>,
}

impl Service<Request<Incoming>> for Requests {
    type Response = Response<WatchedBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let in_use = RequestInUse::start(&self.watch, request.version());
        let watched = |body| Body::new(RequestBody::new(body, Arc::clone(&self.watch)));
        let answering = self.router.clone().call(request.map(watched));
        let watch = Arc::clone(&self.watch);
        Box::pin(async move {
            let mut response = answering.await?;
            if watch.is_long_body_left() {
                // The connection ends after this answer: a client that doesn't know may send its next request into it.
                response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            Ok(response.map(|body| WatchedBody::new(body, in_use)))
        })
    }
}
