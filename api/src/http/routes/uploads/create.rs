//! `POST /v1/uploads`: the file itself in a form, or a request for where to PUT it.

use super::{
    super::{
        json,
        objects::{Origin, url_of},
    },
    receive::{Takes, check_texts, receive},
};
use crate::{
    http::{
        Problem,
        auth::Caller,
        body::{self, media_type},
        problem::ProblemBody,
        query::NoQuery,
        router::Api,
        schema::{UploadForm, UploadRequest},
        shown::UploadShown,
    },
    json::{Faults, Fields, Path, Value, check},
};
use axum::{
    extract::{Request, State},
    http::StatusCode,
    response::Response,
};
use mecapy_store::NewUpload;
use std::{sync::Arc, time::Duration};

/// How long the URL for a PUT works.
const URL_LIFETIME: Duration = Duration::from_secs(15 * 60);

/// Sends a file, or asks where to.
///
/// As `multipart/form-data` with one file, the answer is a complete upload. As JSON, it has the `url` to PUT the file to
/// (within 15 minutes, without credentials); then complete the upload.
#[utoipa::path(post, path = "/v1/uploads", tag = "Files",
    request_body(content(
        (UploadForm = "multipart/form-data"),
        (UploadRequest = "application/json")
    )),
    responses(
        (status = 201, body = UploadShown),
        (status = 413, body = ProblemBody, content_type = "application/problem+json", description = "Too large")
    )
)]
pub(in crate::http) async fn create(
    State(api): State<Arc<Api>>,
    caller: Caller,
    _: NoQuery,
    origin: Origin,
    request: Request,
) -> Result<Response, Problem> {
    match media_type(request.headers()).as_deref() {
        Some("multipart/form-data") => {
            let takes = Takes { texts: &[], seeing: &mut |_| () };
            let upload = receive(&api.app, caller.tenant(), request, takes).await?.finish().await?;
            json(StatusCode::CREATED, &UploadShown::new(&upload))
        }
        Some("application/json") => {
            let body = body::json(request, api.app.limits.json_bytes_max).await?;
            let Asked { new, size_bytes } = read(check(&body)?, api.app.limits.upload_bytes_max)?;
            api.app.store.must_have_storage_room(caller.tenant(), size_bytes.unwrap_or(0)).await?;
            let upload = api.app.store.reserve_upload(caller.tenant(), new).await?;
            let link = api.app.store.objects().link_put(&upload, size_bytes, URL_LIFETIME).await?;
            let shown = UploadShown::new(&upload).with_url(url_of(&api.app, &origin, link), upload.bytes_max);
            json(StatusCode::CREATED, &shown)
        }
        _ => Err(Problem::unsupported_media("send multipart/form-data with one file, or application/json")),
    }
}

/// What a JSON body asks for.
#[derive(Debug)]
struct Asked {
    new: NewUpload,
    size_bytes: Option<u64>,
}

fn read(text: &str, upload_bytes_max: u64) -> Result<Asked, Problem> {
    let mut faults = Faults::default();
    let mut new = NewUpload { name: None, content_type: None, bytes_max: upload_bytes_max };
    let mut size_bytes = None;
    if let Some(mut fields) = Fields::open(Value::of(text), Path::Root, &mut faults) {
        let path = fields.path();
        new.name = fields.string("name", &mut faults).map(Into::into);
        new.content_type = fields.string("content_type", &mut faults).map(Into::into);
        size_bytes = fields.integer("size_bytes", 0..=upload_bytes_max, &mut faults);
        new.bytes_max = size_bytes.unwrap_or(upload_bytes_max);
        check_texts(&new, path, &mut faults);
        fields.finish(&mut faults);
    }
    if faults.is_empty() { Ok(Asked { new, size_bytes }) } else { Err(Problem::invalid(faults.into_vec())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_for_a_url_is_read_strictly() {
        let Asked { new, size_bytes } = read(r#"{"name": "mesh.med", "size_bytes": 7}"#, 100).unwrap();
        assert_eq!((new.name.as_deref(), new.bytes_max, size_bytes), (Some("mesh.med"), 7, Some(7)));
        let Asked { new, size_bytes } = read("{}", 100).unwrap();
        assert_eq!((new.bytes_max, size_bytes), (100, None));
        let long = format!(r#"{{"name": "{}"}}"#, "é".repeat(128));
        for (text, pointer) in [
            (long.as_str(), "/name"),
            (r#"{"name": "a\u0000"}"#, "/name"),
            (r#"{"name": "a\u009bb"}"#, "/name"),
            (r#"{"content_type": "text/plain\n"}"#, "/content_type"),
            (r#"{"size_bytes": 101}"#, "/size_bytes"),
            (r#"{"name": 1}"#, "/name"),
            (r#"{"bytes": 1}"#, "/bytes"),
            ("[]", ""),
        ] {
            assert_eq!(read(text, 100).unwrap_err().errors()[0].pointer, pointer, "{text}");
        }
    }
}
