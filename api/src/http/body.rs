//! Request bodies: no more bytes than a route takes, no slower than a person's line, no encodings.

use super::Problem;
use axum::{
    body::{Body, Bytes},
    extract::Request,
    http::{HeaderMap, header},
};
use http_body_util::BodyExt as _;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use std::{
    error::Error,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::{Instant, Sleep, sleep_until};

/// A body may take this long whatever its size.
const PATIENCE_BASE: Duration = Duration::from_secs(20);
/// And this much longer for what has come in, bytes a second.
const PATIENCE_BYTES_PER_SECOND: u64 = 16 << 10;

/// Why a body could not be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum BodyFault {
    #[error("the body is larger than {bytes_max} bytes")]
    TooLarge { bytes_max: u64 },
    #[error("the form has more than {bytes_max} bytes beside its file")]
    FormTooLarge { bytes_max: u64 },
    #[error("the body did not arrive in time")]
    TooSlow,
    #[error("the body broke off")]
    Broken(#[source] axum::Error),
}

/// A body that gives up when it gets too large or too slow.
pub(super) struct LimitedBody {
    body: Body,
    bytes_max: u64,
    received_bytes: u64,
    started: Instant,
    patience_base: Duration,
    /// Only once the peer has kept us waiting.
    patience: Option<Pin<Box<Sleep>>>,
}

impl From<BodyFault> for Problem {
    fn from(fault: BodyFault) -> Self {
        Problem::from(&fault)
    }
}

impl From<&BodyFault> for Problem {
    fn from(fault: &BodyFault) -> Self {
        match fault {
            BodyFault::TooLarge { bytes_max } => Problem::too_large(*bytes_max),
            BodyFault::FormTooLarge { bytes_max } => Problem::form_too_large(*bytes_max),
            BodyFault::TooSlow => Problem::too_slow(),
            BodyFault::Broken(_) => Problem::malformed("the body broke off before its end"),
        }
    }
}

impl LimitedBody {
    /// The body of `request`; 413 at once where its declared length is too much, 415 where it is encoded.
    pub(super) fn of(request: Request, bytes_max: u64) -> Result<Self, Problem> {
        refuse_encodings(request.headers())?;
        let declared = request.body().size_hint().lower();
        if declared > bytes_max {
            return Err(Problem::too_large(bytes_max));
        }
        Ok(Self {
            body: request.into_body(),
            bytes_max,
            received_bytes: 0,
            started: Instant::now(),
            patience_base: PATIENCE_BASE,
            patience: None,
        })
    }

    /// The next piece; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, BodyFault> {
        while let Some(frame) = self.frame().await {
            if let Ok(bytes) = frame?.into_data() {
                return Ok(Some(bytes));
            }
        }
        Ok(None)
    }

    /// All of it, in memory.
    pub(super) async fn whole(mut self) -> Result<Bytes, BodyFault> {
        let Some(first) = self.next().await? else { return Ok(Bytes::new()) };
        let Some(second) = self.next().await? else { return Ok(first) };
        // What is declared to come is within the limit, or the body was refused.
        let to_come = self.body.size_hint().lower().min(self.bytes_max);
        let mut whole = Vec::with_capacity(first.len() + second.len() + usize::try_from(to_come).unwrap_or(0));
        whole.extend_from_slice(&first);
        whole.extend_from_slice(&second);
        while let Some(more) = self.next().await? {
            whole.extend_from_slice(&more);
        }
        Ok(whole.into())
    }

    fn deadline(&self) -> Instant {
        self.started + self.patience_base + Duration::from_secs(self.received_bytes / PATIENCE_BYTES_PER_SECOND)
    }
}

impl HttpBody for LimitedBody {
    type Data = Bytes;
    type Error = BodyFault;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyFault>>> {
        match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                let bytes = frame.data_ref().map_or(0, Bytes::len);
                self.received_bytes = self.received_bytes.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
                if self.received_bytes > self.bytes_max {
                    return Poll::Ready(Some(Err(BodyFault::TooLarge { bytes_max: self.bytes_max })));
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(BodyFault::Broken(error)))),
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => {
                let deadline = self.deadline();
                let patience = self.patience.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
                if patience.deadline() != deadline {
                    patience.as_mut().reset(deadline);
                }
                patience.as_mut().poll(cx).map(|()| Some(Err(BodyFault::TooSlow)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The body of a request that must be JSON, not parsed yet.
pub(super) async fn json(request: Request, bytes_max: u64) -> Result<Bytes, Problem> {
    if !is_json(request.headers()) {
        return Err(Problem::unsupported_media("send the body as `Content-Type: application/json`"));
    }
    Ok(LimitedBody::of(request, bytes_max)?.whole().await?)
}

/// The fault at the bottom of an error that a body caused, for readers that wrap it.
pub(super) fn fault_in(error: &(dyn Error + 'static)) -> Option<Problem> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(fault) = error.downcast_ref::<BodyFault>() {
            return Some(fault.into());
        }
        cause = error.source();
    }
    None
}

/// The media type without its parameters.
pub(super) fn media_type(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    Some(text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
}

fn is_json(headers: &HeaderMap) -> bool {
    let exact = headers.get(header::CONTENT_TYPE).is_some_and(|value| value.as_bytes() == b"application/json");
    exact || media_type(headers).is_some_and(|media| media == "application/json")
}

fn refuse_encodings(headers: &HeaderMap) -> Result<(), Problem> {
    let encoded = headers.get_all(header::CONTENT_ENCODING).iter().any(|value| value.as_bytes() != b"identity");
    if encoded {
        return Err(Problem::unsupported_media("send the body as it is, without a Content-Encoding"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio_stream::StreamExt as _;

    fn request(content_type: &str, body: Body) -> Request {
        Request::builder().header("content-type", content_type).body(body).unwrap()
    }

    #[tokio::test]
    async fn json_must_say_so_and_be_plain() {
        for (content_type, status) in [
            ("application/json", None),
            ("Application/JSON; charset=utf-8", None),
            ("text/plain", Some(415)),
            ("", Some(415)),
        ] {
            let read = json(request(content_type, Body::from("{}")), 100).await;
            assert_eq!(read.err().map(|problem| problem.status().as_u16()), status, "{content_type}");
        }
        let mut gzip = request("application/json", Body::from("x"));
        gzip.headers_mut().insert("content-encoding", "gzip".parse().unwrap());
        assert_eq!(json(gzip, 100).await.unwrap_err().status(), 415);
    }

    fn chunked(pieces: usize) -> Request {
        let pieces = (0..pieces).map(|_| Ok::<_, std::io::Error>(Bytes::from_static(b"0123456789")));
        request("application/json", Body::from_stream(tokio_stream::iter(pieces)))
    }

    #[tokio::test]
    async fn declared_and_undeclared_bytes_are_counted() {
        let declared = request("application/json", Body::from(vec![b' '; 101]));
        assert_eq!(json(declared, 100).await.unwrap_err().status(), 413);
        assert_eq!(json(chunked(11), 100).await.unwrap_err().status(), 413);
        assert_eq!(json(chunked(10), 100).await.unwrap().len(), 100);
    }

    #[tokio::test]
    async fn a_body_that_stalls_is_given_up() {
        let begins = tokio_stream::once(Ok::<_, std::io::Error>(Bytes::from_static(b"{")));
        let stalls = request("application/json", Body::from_stream(begins.chain(tokio_stream::pending())));
        let mut body = LimitedBody::of(stalls, 100).unwrap();
        body.patience_base = Duration::from_millis(50);
        let started = Instant::now();
        assert!(matches!(body.whole().await, Err(BodyFault::TooSlow)));
        assert!(started.elapsed() >= Duration::from_millis(50));
    }
}
