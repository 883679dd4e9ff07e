//! An answer that is written piece by piece while it is read: tables, which are never in memory as a whole.

use axum::{
    body::{Body, Bytes},
    http::{HeaderValue, header},
    response::Response,
};
use std::{io, time::Duration};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

/// Pieces that wait for a reader.
const PIECES_WAITING_MAX: usize = 2;
/// A client that leaves what was written unread for so long is given up.
const READER_TIMEOUT: Duration = Duration::from_secs(60);

/// Where an open download is written to. One that is dropped has ended well.
#[derive(Debug)]
pub(super) struct Download(mpsc::Sender<io::Result<Bytes>>);

impl Download {
    /// A download, and the answer that carries it.
    pub(super) fn open(media_type: &'static str, file_name: &str) -> (Self, Response) {
        let (sender, pieces) = mpsc::channel(PIECES_WAITING_MAX);
        let mut response = Response::new(Body::from_stream(ReceiverStream::new(pieces)));
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
        if let Ok(value) = HeaderValue::from_str(&format!("attachment; filename=\"{file_name}\"")) {
            headers.insert(header::CONTENT_DISPOSITION, value);
        }
        (Self(sender), response)
    }

    /// Hands a piece to the reader; says whether there still is one.
    pub(super) async fn send(&self, piece: Vec<u8>) -> bool {
        if piece.is_empty() {
            return !self.0.is_closed();
        }
        matches!(tokio::time::timeout(READER_TIMEOUT, self.0.send(Ok(piece.into()))).await, Ok(Ok(())))
    }

    /// Breaks the answer off, so that nobody takes what there is for all of it.
    pub(super) async fn break_off(self) {
        let broken = Err(io::Error::other("the table broke off"));
        let _ = tokio::time::timeout(READER_TIMEOUT, self.0.send(broken)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_breaks_off_is_no_whole_answer() {
        let (download, response) = Download::open("text/csv", "a.csv");
        tokio::spawn(async move {
            assert!(download.send(b"a,b\r\n".to_vec()).await);
            download.break_off().await;
        });
        assert_eq!(response.headers()["content-disposition"], "attachment; filename=\"a.csv\"");
        assert!(axum::body::to_bytes(response.into_body(), 1_000).await.is_err());
        let (download, response) = Download::open("text/csv", "a.csv");
        drop(response);
        assert!(!download.send(b"x".to_vec()).await);
    }
}
