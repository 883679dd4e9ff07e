//! The body of a form. Its reader keeps in memory what comes before a field's data, however much that is, and searches
//! all of it again whenever more has come: so little may come there, and it is looked at piece by piece.

use crate::http::body::{BodyFault, LimitedBody};
use axum::body::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

/// What a form may have before its file, and after it, bytes.
pub(super) const FORM_BYTES_MAX: u64 = 64 << 10;
/// The file's own bytes are counted elsewhere.
const UNCOUNTED: u64 = u64::MAX;

/// How many bytes may come until the reader gets on.
#[derive(Debug, Clone)]
pub(super) struct Allowance(Arc<AtomicU64>);

impl Allowance {
    /// What comes from now on is the form's, [`FORM_BYTES_MAX`] of it.
    pub(super) fn form(&self) {
        self.0.store(FORM_BYTES_MAX, Ordering::Relaxed);
    }

    /// What comes from now on is the file's.
    pub(super) fn file(&self) {
        self.0.store(UNCOUNTED, Ordering::Relaxed);
    }
}

/// A limited body that ends in a fault where the form takes too much beside its file.
pub(super) struct FormBody {
    body: LimitedBody,
    allowance: Allowance,
    /// The reader has looked at what came before.
    looked_at: bool,
}

impl FormBody {
    pub(super) fn new(body: LimitedBody) -> (Self, Allowance) {
        let allowance = Allowance(Arc::new(AtomicU64::new(FORM_BYTES_MAX)));
        (Self { body, allowance: allowance.clone(), looked_at: true }, allowance)
    }
}

impl HttpBody for FormBody {
    type Data = Bytes;
    type Error = BodyFault;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyFault>>> {
        // The reader would take all that is there before it looks at any.
        if !std::mem::replace(&mut self.looked_at, true) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let left = self.allowance.0.load(Ordering::Relaxed);
        if left == 0 {
            return Poll::Ready(Some(Err(BodyFault::FormTooLarge { bytes_max: FORM_BYTES_MAX })));
        }
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            self.looked_at = false;
            if left != UNCOUNTED {
                // A piece that passes the limit is let through: the file may begin in it.
                let bytes = u64::try_from(frame.data_ref().map_or(0, Bytes::len)).unwrap_or(u64::MAX);
                self.allowance.0.store(left.saturating_sub(bytes), Ordering::Relaxed);
            }
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::body;
    use axum::{
        body::Body,
        extract::{FromRequest as _, Multipart, Request},
    };

    const HEAD: &str = "--x\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n";

    /// The file's bytes, or the status of the refusal and how much of the body was taken.
    async fn read(text: String, piece_bytes: usize) -> Result<usize, (u16, u64)> {
        let pieces: Vec<_> = text.into_bytes().chunks(piece_bytes).map(Bytes::copy_from_slice).collect();
        let taken = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&taken);
        let pieces = pieces.into_iter().map(move |piece| {
            count.fetch_add(u64::try_from(piece.len()).unwrap(), Ordering::Relaxed);
            Ok::<_, std::io::Error>(piece)
        });
        let request = Request::builder().header("content-type", "multipart/form-data; boundary=x");
        let request = request.body(Body::from_stream(tokio_stream::iter(pieces))).unwrap();
        let (parts, body) = request.into_parts();
        let limited = LimitedBody::of(Request::new(body), 1 << 30).unwrap();
        let (body, allowance) = FormBody::new(limited);
        let mut form = Multipart::from_request(Request::from_parts(parts, Body::new(body)), &()).await.unwrap();
        let mut received = 0;
        loop {
            let refused = |error: axum::extract::multipart::MultipartError| {
                let status = body::fault_in(&error).map_or(400, |problem| problem.status().as_u16());
                (status, taken.load(Ordering::Relaxed))
            };
            let Some(mut field) = form.next_field().await.map_err(refused)? else { return Ok(received) };
            allowance.file();
            while let Some(bytes) = field.chunk().await.map_err(refused)? {
                received += bytes.len();
            }
            allowance.form();
        }
    }

    #[tokio::test]
    async fn a_file_is_read_in_pieces_of_any_size() {
        let file = "0123456789".repeat(100_000);
        for piece_bytes in [1000, 16 << 10, 1 << 30] {
            let text = format!("{HEAD}{file}\r\n--x--\r\n");
            assert_eq!(read(text, piece_bytes).await, Ok(file.len()), "{piece_bytes}");
        }
        let begins_late = format!("{}\r\n{HEAD}{file}\r\n--x--\r\n", "x".repeat(60 << 10));
        assert_eq!(read(begins_late, 16 << 10).await, Ok(file.len()));
    }

    #[tokio::test]
    async fn security_33_what_is_no_file_is_cut() {
        let long = "y".repeat(1 << 20);
        for text in [
            format!("{long}\r\n{HEAD}1\r\n--x--\r\n"),
            format!("--x\r\nx-long: {long}\r\n\r\n1\r\n--x--\r\n"),
            format!("{HEAD}1\r\n--x{}\r\n", " ".repeat(1 << 20)),
            format!("{HEAD}1\r\n--x\r\nx-long: {long}\r\n\r\n1\r\n--x--\r\n"),
        ] {
            let (status, taken) = read(text.clone(), 4 << 10).await.unwrap_err();
            // Beside what may come, the pieces that were under way.
            assert!(status == 413 && taken <= 2 * FORM_BYTES_MAX, "{status} {taken}: {}", &text[..80]);
        }
    }
}
