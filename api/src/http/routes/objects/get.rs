//! `GET /v1/objects/{key}`

use super::granted;
use crate::http::{Problem, problem::ProblemBody, router::Api};
use axum::{
    body::{Body, Bytes},
    extract::State,
    http::{HeaderValue, Uri, header},
    response::Response,
};
use mecapy_model::{Artifact, ArtifactName};
use mecapy_store::{Method, ObjectReader, StoreError};
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

/// Pieces that wait for a reader.
const PIECES_WAITING_MAX: usize = 2;

/// A file, to whoever holds its signed URL. Always a download, never a page.
#[utoipa::path(get, path = "/v1/objects/{*key}", tag = "Files", security(()),
    params(("key" = String, Path, description = "As in a signed URL, with its query")),
    responses(
        (status = 200, body = Vec<u8>, content_type = "application/octet-stream"),
        (status = 403, body = ProblemBody, content_type = "application/problem+json", description = "Not signed so, or no longer")
    )
)]
pub(in crate::http) async fn get(State(api): State<Arc<Api>>, uri: Uri) -> Result<Response, Problem> {
    let store = &api.app.store;
    let grant = granted(store.signer(), Method::Get, &uri, store.clock().now())?;
    let reader = store.objects().open(&grant.key).await?.ok_or_else(|| Problem::not_found("object"))?;
    let encoded_name = file_name(grant.key.as_str());
    let content_type = content_type(encoded_name);
    let size_bytes = reader.size_bytes();
    let (sender, pieces) = mpsc::channel(PIECES_WAITING_MAX);
    tokio::spawn(read_all(reader, sender));
    let mut response = Response::new(Body::from_stream(ReceiverStream::new(pieces)));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(size_bytes));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    let disposition = format!("attachment; filename*=UTF-8''{encoded_name}");
    if let Ok(disposition) = HeaderValue::from_str(&disposition) {
        headers.insert(header::CONTENT_DISPOSITION, disposition);
    }
    // Whatever a browser makes of it, it may do nothing.
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox; default-src 'none'"));
    Ok(response)
}

async fn read_all(mut reader: ObjectReader, sender: mpsc::Sender<Result<Bytes, StoreError>>) {
    loop {
        let piece = match reader.chunk().await {
            Ok(Some(bytes)) => Ok(Bytes::from(bytes)),
            Ok(None) => return,
            Err(error) => {
                tracing::error!(error = ?error, "objects.get: reading failed");
                Err(error)
            }
        };
        let last = piece.is_err();
        if sender.send(piece).await.is_err() || last {
            return;
        }
    }
}

/// The file's own name, still percent-encoded: an artifact's key ends in its whole path.
fn file_name(key: &str) -> &str {
    let name = key.rsplit('/').next().unwrap_or(key);
    name.rsplit("%2F").next().unwrap_or(name)
}

/// By the extension; never a type that a browser would run.
fn content_type(encoded_name: &str) -> &'static str {
    ArtifactName::parse(encoded_name)
        .map_or("application/octet-stream", |name| Artifact::new(name, Vec::new()).content_type)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_and_type_of_a_file_follow_from_its_key() {
        let rows = [
            ("artifacts/t/i/3/figure-1.png", "figure-1.png", "image/png"),
            ("artifacts/t/i/3/out%2F%C3%A9t%C3%A9.csv", "%C3%A9t%C3%A9.csv", "text/csv; charset=utf-8"),
            ("artifacts/t/i/3/page.html", "page.html", "application/octet-stream"),
            ("uploads/t/0190", "0190", "application/octet-stream"),
        ];
        for (key, name, media) in rows {
            assert_eq!((file_name(key), content_type(file_name(key))), (name, media));
        }
    }
}
