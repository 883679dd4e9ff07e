//! Bodies that tell their connection's watch: a request's whether it was read, a response's when the request is over.

use super::watch::Watch;
use axum::body::{Body, Bytes};
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

/// A longer piece of an HTTP/2 answer is handed over in parts, bytes: the connection takes a piece whole and then lets go
/// of its body, so that of the last one nobody knows whether it is read.
const HTTP2_PIECE_BYTES_MAX: usize = 64 << 10;

/// Ends the request in the watch on drop, whether or not the response was sent.
#[derive(Debug)]
pub(super) struct RequestInUse {
    watch: Arc<Watch>,
    version: hyper::Version,
}

impl RequestInUse {
    pub(super) fn start(watch: &Arc<Watch>, version: hyper::Version) -> Self {
        watch.request_started(version);
        Self { watch: Arc::clone(watch), version }
    }
}

impl Drop for RequestInUse {
    fn drop(&mut self) {
        self.watch.request_ended();
    }
}

/// A request's body.
#[derive(Debug)]
pub(super) struct RequestBody {
    body: Incoming,
    watch: Arc<Watch>,
    ended: bool,
}

impl RequestBody {
    pub(super) fn new(body: Incoming, watch: Arc<Watch>) -> Self {
        Self { body, watch, ended: false }
    }
}

impl HttpBody for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        self.ended |= matches!(polled, Poll::Ready(None));
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        if !(self.ended || self.body.is_end_stream()) {
            self.watch.leave_body(self.body.size_hint().upper());
        }
    }
}

/// A response's body.
#[derive(Debug)]
pub(super) struct WatchedBody {
    body: Body,
    in_use: RequestInUse,
    /// Its number, where it is an HTTP/2 stream.
    stream: Option<u64>,
    /// What is left of an HTTP/2 stream's piece that is too long to be handed over at once.
    rest: Bytes,
    /// Whether the watch was told of a piece that is not taken yet.
    held: bool,
}

impl WatchedBody {
    pub(super) fn new(body: Body, in_use: RequestInUse) -> Self {
        let stream = (in_use.version == hyper::Version::HTTP_2).then(|| in_use.watch.new_stream());
        Self { body, in_use, stream, rest: Bytes::new(), held: false }
    }

    /// What was handed over is taken.
    fn take_back(&mut self) {
        if let Some(stream) = self.stream
            && std::mem::take(&mut self.held)
        {
            self.in_use.watch.piece_taken(stream);
        }
    }
}

impl Drop for WatchedBody {
    fn drop(&mut self) {
        self.take_back();
    }
}

impl HttpBody for WatchedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.take_back();
        let this = self.as_mut().get_mut();
        let rest = std::mem::take(&mut this.rest);
        let polled = if rest.is_empty() {
            Pin::new(&mut this.body).poll_frame(cx)
        } else {
            Poll::Ready(Some(Ok(Frame::data(rest))))
        };
        let Some(stream) = this.stream else { return polled };
        polled.map_ok(|frame| {
            this.in_use.watch.piece_handed(stream);
            this.held = true;
            frame.map_data(|mut piece| {
                if piece.len() > HTTP2_PIECE_BYTES_MAX {
                    this.rest = piece.split_off(HTTP2_PIECE_BYTES_MAX);
                }
                piece
            })
        })
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (mut hint, rest) = (self.body.size_hint(), self.rest.len() as u64);
        if let Some(upper) = hint.upper() {
            hint.set_upper(upper.saturating_add(rest));
        }
        hint.set_lower(hint.lower().saturating_add(rest));
        hint
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::ConnectionLimits;
    use http_body_util::BodyExt as _;

    fn answered(version: hyper::Version) -> (Arc<Watch>, WatchedBody) {
        let watch = Arc::new(Watch::new());
        let in_use = RequestInUse::start(&watch, version);
        let body = Body::from_stream(tokio_stream::iter(["one", "two"].map(Ok::<_, std::convert::Infallible>)));
        (watch, WatchedBody::new(body, in_use))
    }

    #[tokio::test]
    async fn a_piece_is_watched_until_the_next_is_asked_for() {
        let limits = ConnectionLimits::default();
        let (watch, mut body) = answered(hyper::Version::HTTP_2);
        assert_eq!(watch.deadline(&limits), None);
        assert!(body.frame().await.unwrap().is_ok());
        assert!(watch.deadline(&limits).is_some());
        assert!(body.frame().await.unwrap().is_ok());
        assert!(body.frame().await.is_none());
        assert_eq!(watch.deadline(&limits), None);
    }

    #[tokio::test]
    async fn one_long_piece_is_watched_until_its_last_part() {
        let limits = ConnectionLimits::default();
        let bytes: Vec<u8> = (0..2 * HTTP2_PIECE_BYTES_MAX + 1).map(|at| (at % 251) as u8).collect();
        let watch = Arc::new(Watch::new());
        let in_use = RequestInUse::start(&watch, hyper::Version::HTTP_2);
        let mut body = WatchedBody::new(Body::from(bytes.clone()), in_use);
        let mut received = Vec::new();
        for length in [HTTP2_PIECE_BYTES_MAX, HTTP2_PIECE_BYTES_MAX, 1] {
            assert!(!body.is_end_stream());
            assert_eq!(body.size_hint().exact(), Some((bytes.len() - received.len()) as u64));
            let piece = body.frame().await.unwrap().unwrap().into_data().unwrap();
            assert_eq!(piece.len(), length);
            assert!(watch.deadline(&limits).is_some());
            received.extend_from_slice(&piece);
        }
        assert!(body.is_end_stream() && received == bytes);
    }

    #[tokio::test]
    async fn a_body_that_is_dropped_is_not_waited_for() {
        let limits = ConnectionLimits::default();
        let (watch, mut body) = answered(hyper::Version::HTTP_2);
        let _other = RequestInUse::start(&watch, hyper::Version::HTTP_2);
        assert!(body.frame().await.unwrap().is_ok());
        drop(body);
        assert_eq!(watch.deadline(&limits), None);
    }

    #[tokio::test]
    async fn of_http1_the_socket_tells() {
        let limits = ConnectionLimits::default();
        let (watch, mut body) = answered(hyper::Version::HTTP_11);
        assert!(body.frame().await.unwrap().is_ok());
        assert_eq!(watch.deadline(&limits), None);
        let in_use = RequestInUse::start(&watch, hyper::Version::HTTP_11);
        let mut whole = WatchedBody::new(Body::from(vec![7; 2 * HTTP2_PIECE_BYTES_MAX]), in_use);
        let piece = whole.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(piece.len(), 2 * HTTP2_PIECE_BYTES_MAX);
    }
}
