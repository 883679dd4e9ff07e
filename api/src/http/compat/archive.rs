//! `POST /upload/archive`: a zip that is kept as an upload of the tenant.

use super::super::{
    Problem,
    auth::Caller,
    problem::ProblemBody,
    query::NoQuery,
    router::Api,
    routes::{
        json,
        uploads::receive::{Takes, receive},
    },
    schema::UploadForm,
};
use axum::{
    extract::{Request, State},
    http::StatusCode,
    response::Response,
};
use md5::{Digest as _, Md5};
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// What a zip begins with: an entry, or the end of one that has none.
const BEGINNINGS: [&[u8; 4]; 2] = [b"PK\x03\x04", b"PK\x05\x06"];
const ENDING: &str = ".zip";

/// An archive that was kept.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ArchiveUploaded {
    message: &'static str,
    original_filename: String,
    /// The id of the upload, and `.zip`.
    uploaded_filename: String,
    /// Of the bytes, hexadecimal; for comparison, not for trust.
    md5: String,
    /// Bytes.
    size: u64,
    upload_id: String,
}

/// Sends a zip; it is an upload of the tenant, which tasks can name.
#[utoipa::path(post, path = "/upload/archive", tag = "Compatibility",
    request_body(content = UploadForm, content_type = "multipart/form-data"),
    responses(
        (status = 200, body = ArchiveUploaded),
        (status = 413, body = ProblemBody, content_type = "application/problem+json", description = "Too large"),
        (status = 422, body = ProblemBody, content_type = "application/problem+json", description = "No zip")
    )
)]
pub(super) async fn upload(
    State(api): State<Arc<Api>>,
    caller: Caller,
    _: NoQuery,
    request: Request,
) -> Result<Response, Problem> {
    let (mut md5, mut beginning) = (Md5::new(), Vec::new());
    let mut seeing = |bytes: &[u8]| {
        md5.update(bytes);
        let wanted = 4_usize.saturating_sub(beginning.len());
        beginning.extend(bytes.iter().take(wanted));
    };
    let takes = Takes { texts: &[], seeing: &mut seeing };
    let form = receive(&api.app, caller.tenant(), request, takes).await?;
    let name = form.file_name().unwrap_or_default().to_owned();
    if let Err(problem) = check_zip(&name, &beginning) {
        form.forget(&api.app).await;
        return Err(problem);
    }
    let upload = form.finish().await?;
    let shown = ArchiveUploaded {
        message: "the archive is kept",
        original_filename: name,
        uploaded_filename: format!("{}{ENDING}", upload.id),
        md5: md5.finalize().iter().map(|byte| format!("{byte:02x}")).collect(),
        size: upload.size_bytes,
        upload_id: upload.id.to_string(),
    };
    json(StatusCode::OK, &shown)
}

fn check_zip(name: &str, beginning: &[u8]) -> Result<(), Problem> {
    if !name.to_ascii_lowercase().ends_with(ENDING) {
        let shown: String = name.chars().take(64).collect();
        let message = format!("a file whose name ends in .zip is needed here, not {shown:?}");
        return Err(Problem::fault("/file", "wrong_extension", message));
    }
    if !BEGINNINGS.iter().any(|known| known.as_slice() == beginning) {
        return Err(Problem::fault("/file", "no_zip", "the file's content is no zip"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zip_has_its_name_and_its_beginning() {
        assert!(check_zip("a.ZIP", b"PK\x03\x04").is_ok() && check_zip("empty.zip", b"PK\x05\x06").is_ok());
        for (name, beginning, code) in [
            ("a.tar", b"PK\x03\x04".as_slice(), "wrong_extension"),
            ("", b"PK\x03\x04", "wrong_extension"),
            ("a.zip", b"", "no_zip"),
            ("a.zip", b"PK\x03", "no_zip"),
            ("a.zip", b"\x7fELF", "no_zip"),
        ] {
            assert_eq!(check_zip(name, beginning).unwrap_err().errors()[0].code, code, "{name}");
        }
    }
}
