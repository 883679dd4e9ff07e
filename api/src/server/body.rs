//! A response body that tells its connection's watch when the request is over.

use super::watch::Watch;
use axum::body::{Body, Bytes};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
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
