//! `POST /v1/uploads`: the file itself in a form, or a request for where to PUT it.

use super::{
    super::{
        json,
        objects::{Origin, url_of},
    },
    form::{Allowance, FORM_BYTES_MAX, FormBody},
};
use crate::{
    app::App,
    http::{
        Problem,
        auth::Caller,
        body::{self, LimitedBody, media_type},
        problem::ProblemBody,
        query::NoQuery,
        router::Api,
        schema::{UploadForm, UploadRequest},
        shown::UploadShown,
    },
    json::{Faults, Fields, Path, Value, check},
};
use axum::{
    body::Body,
    extract::{FromRequest as _, Multipart, Request, State, multipart::MultipartError},
    http::StatusCode,
    response::Response,
};
use mecapy_model::TenantId;
use mecapy_store::{NewUpload, PendingUpload, Upload};
use std::{sync::Arc, time::Duration};

/// How long the URL for a PUT works.
const URL_LIFETIME: Duration = Duration::from_secs(15 * 60);
/// The longest name or content type, bytes.
const TEXT_BYTES_MAX: usize = 255;

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
            let upload = receive(&api.app, caller.tenant(), request).await?;
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

/// Adds the faults of a name and a content type, wherever they come from.
fn check_texts(new: &NewUpload, path: Path<'_>, faults: &mut Faults) {
    for (name, text) in [("name", &new.name), ("content_type", &new.content_type)] {
        let Some(text) = text else { continue };
        if text.len() > TEXT_BYTES_MAX {
            faults.at(path.key(name), "too_long", format!("{TEXT_BYTES_MAX} bytes are allowed here"));
        }
        if text.chars().any(char::is_control) {
            faults.at(path.key(name), "invalid", "control characters are not allowed here");
        }
    }
}

/// Streams the one file of a form to the store.
async fn receive(app: &App, tenant: TenantId, request: Request) -> Result<Upload, Problem> {
    let bytes_max = app.limits.upload_bytes_max;
    let (parts, body) = request.into_parts();
    // What comes before the file, and what comes after it.
    let whole_max = bytes_max.saturating_add(2 * FORM_BYTES_MAX);
    let limited = LimitedBody::of(Request::from_parts(parts.clone(), body), whole_max)?;
    let (body, allowance) = FormBody::new(limited);
    let request = Request::from_parts(parts, Body::new(body));
    let form = Multipart::from_request(request, &()).await;
    let mut form = form.map_err(|_| Problem::malformed("the form has no boundary that could be used"))?;
    let mut received = None;
    let read = read_form(app, tenant, (&mut form, &allowance), &mut received).await;
    // Only now: of a form that is refused nothing is kept.
    match (read, received) {
        (Ok(()), Some(pending)) => Ok(pending.finish().await?),
        (Ok(()), None) => Err(Problem::fault("/file", "required", "the form has no file")),
        (Err(problem), None) => Err(problem),
        (Err(problem), Some(pending)) => {
            forget(app, pending).await;
            Err(problem)
        }
    }
}

/// Writes the bytes of a form's only field to `received`, which is there once the field has begun.
async fn read_form(
    app: &App,
    tenant: TenantId,
    (form, allowance): (&mut Multipart, &Allowance),
    received: &mut Option<PendingUpload>,
) -> Result<(), Problem> {
    while let Some(mut field) = form.next_field().await.map_err(form_problem)? {
        if received.is_some() || field.file_name().is_none() && field.name() != Some("file") {
            return Err(Problem::fault("", "form", "a form with exactly one field is needed: file"));
        }
        let new = NewUpload {
            name: field.file_name().map(Into::into),
            content_type: field.content_type().map(Into::into),
            bytes_max: app.limits.upload_bytes_max,
        };
        let mut faults = Faults::default();
        check_texts(&new, Path::Root, &mut faults);
        if !faults.is_empty() {
            return Err(Problem::invalid(faults.into_vec()));
        }
        let upload = received.insert(app.store.begin_upload(tenant, new).await?);
        allowance.file();
        while let Some(bytes) = field.chunk().await.map_err(form_problem)? {
            upload.write(&bytes).await?;
        }
        allowance.form();
    }
    Ok(())
}

/// Takes an upload off the tenant's list whose form was refused.
async fn forget(app: &App, pending: PendingUpload) {
    let (tenant, id) = (pending.upload().tenant, pending.upload().id);
    // Its bytes go first.
    drop(pending);
    if let Err(error) = app.store.delete_upload(tenant, id).await {
        tracing::warn!(upload.id = %id, error = ?error, "uploads.create: a refused upload stays until it expires");
    }
}

fn form_problem(error: MultipartError) -> Problem {
    body::fault_in(&error).unwrap_or_else(|| Problem::malformed("the form can't be read"))
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
