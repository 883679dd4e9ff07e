//! Bodies that tell their connection's watch: a request's whether it was read, a response's when the request is over.

use super::watch::Watch;
use axum::body::{Body, Bytes};
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

/// Ends the request in the watch on drop, whether or not the response was sent.
#[derive(Debug)]
pub(super) struct RequestInUse(Arc<Watch>);

impl RequestInUse {
    pub(super) fn start(watch: &Arc<Watch>, version: hyper::Version) -> Self {
        watch.request_started(version);
        Self(Arc::clone(watch))
    }
}

impl Drop for RequestInUse {
    fn drop(&mut self) {
        self.0.request_ended();
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
            self.watch.leave_body();
        }
    }
}

/// A response's body.
#[derive(Debug)]
pub(super) struct WatchedBody {
    body: Body,
    _in_use: RequestInUse,
}

impl WatchedBody {
    pub(super) fn new(body: Body, in_use: RequestInUse) -> Self {
        Self { body, _in_use: in_use }
    }
}

impl HttpBody for WatchedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
