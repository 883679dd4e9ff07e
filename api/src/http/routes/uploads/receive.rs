//! A form with one file: its bytes go to the store as they come, or to memory.

use super::form::{Allowance, FORM_BYTES_MAX, FormBody};
use crate::{
    app::App,
    http::{
        Problem,
        body::{self, LimitedBody},
    },
    json::{Faults, Path},
};
use axum::{
    body::Body,
    extract::{
        FromRequest as _, Multipart, Request,
        multipart::{Field, MultipartError},
    },
};
use mecapy_model::TenantId;
use mecapy_store::{NewUpload, PendingUpload, Upload};

/// The longest name or content type, bytes.
const TEXT_BYTES_MAX: usize = 255;
/// What a form's file is called where it has no name of its own.
const FILE: &str = "file";

/// What a route takes of a form.
pub(in crate::http) struct Takes<'a> {
    /// Fields with texts that stand beside the file, before it or after it.
    pub(in crate::http) texts: &'static [&'static str],
    /// Sees the file's bytes as they come.
    pub(in crate::http) seeing: &'a mut (dyn FnMut(&[u8]) + Send),
}

/// A form that was read whole, and of which nothing is kept yet.
pub(in crate::http) struct Form {
    pending: PendingUpload,
    texts: Vec<(&'static str, String)>,
}

impl Form {
    /// The file's name, where the client gave one.
    pub(in crate::http) fn file_name(&self) -> Option<&str> {
        self.pending.upload().name.as_deref()
    }

    pub(in crate::http) fn text(&self, name: &str) -> Option<&str> {
        self.texts.iter().find(|(known, _)| *known == name).map(|(_, text)| text.as_str())
    }

    /// Keeps the file.
    pub(in crate::http) async fn finish(self) -> Result<Upload, Problem> {
        Ok(self.pending.finish().await?)
    }

    /// Keeps nothing.
    pub(in crate::http) async fn forget(self, app: &App) {
        forget(app, self.pending).await;
    }
}

/// What of a form has been read.
#[derive(Default)]
struct Received {
    pending: Option<PendingUpload>,
    texts: Vec<(&'static str, String)>,
}

/// Streams the one file of a form to the store.
pub(in crate::http) async fn receive(
    app: &App,
    tenant: TenantId,
    request: Request,
    takes: Takes<'_>,
) -> Result<Form, Problem> {
    let (mut form, allowance) = open(request, app.limits.upload_bytes_max).await?;
    let mut received = Received::default();
    let read = read_form((app, tenant), (&mut form, &allowance), takes, &mut received).await;
    match (read, received.pending) {
        (Ok(()), Some(pending)) => Ok(Form { pending, texts: received.texts }),
        (Ok(()), None) => Err(no_file()),
        (Err(problem), None) => Err(problem),
        (Err(problem), Some(pending)) => {
            forget(app, pending).await;
            Err(problem)
        }
    }
}

/// The one file of a form, in memory.
pub(in crate::http) async fn receive_in_memory(request: Request, bytes_max: u64) -> Result<Vec<u8>, Problem> {
    let (mut form, allowance) = open(request, bytes_max).await?;
    let mut file = None;
    while let Some(mut field) = form.next_field().await.map_err(form_problem)? {
        if file.is_some() || !is_file(&field) {
            return Err(other_fields(&[]));
        }
        let bytes = file.insert(Vec::new());
        allowance.file();
        while let Some(piece) = field.chunk().await.map_err(form_problem)? {
            if (bytes.len() + piece.len()) as u64 > bytes_max {
                return Err(Problem::too_large(bytes_max));
            }
            bytes.extend_from_slice(&piece);
        }
        allowance.form();
    }
    file.ok_or_else(no_file)
}

/// The form whose file has `bytes_max` at most.
async fn open(request: Request, bytes_max: u64) -> Result<(Multipart, Allowance), Problem> {
    let (parts, body) = request.into_parts();
    // What comes before the file, and what comes after it.
    let whole_max = bytes_max.saturating_add(2 * FORM_BYTES_MAX);
    let limited = LimitedBody::of(Request::from_parts(parts.clone(), body), whole_max)?;
    let (body, allowance) = FormBody::new(limited);
    let form = Multipart::from_request(Request::from_parts(parts, Body::new(body)), &()).await;
    Ok((form.map_err(|_| Problem::malformed("the form has no boundary that could be used"))?, allowance))
}

/// Writes the bytes of the form's file to `received`, which has it once it has begun.
async fn read_form(
    (app, tenant): (&App, TenantId),
    (form, allowance): (&mut Multipart, &Allowance),
    takes: Takes<'_>,
    received: &mut Received,
) -> Result<(), Problem> {
    while let Some(mut field) = form.next_field().await.map_err(form_problem)? {
        let text = field.name().and_then(|name| takes.texts.iter().find(|known| **known == name)).copied();
        if let Some(name) = text.filter(|_| field.file_name().is_none()) {
            if received.texts.iter().any(|(known, _)| *known == name) {
                return Err(Problem::fault(format!("/{name}"), "duplicate", "give this field once"));
            }
            let bytes = field.bytes().await.map_err(form_problem)?;
            let text = String::from_utf8(bytes.into());
            let text = text.map_err(|_| Problem::fault(format!("/{name}"), "invalid", "a text in UTF-8 is needed"))?;
            received.texts.push((name, text));
            continue;
        }
        if received.pending.is_some() || !is_file(&field) {
            return Err(other_fields(takes.texts));
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
        let upload = received.pending.insert(app.store.begin_upload(tenant, new).await?);
        allowance.file();
        while let Some(bytes) = field.chunk().await.map_err(form_problem)? {
            (takes.seeing)(&bytes);
            upload.write(&bytes).await?;
        }
        allowance.form();
    }
    Ok(())
}

/// Adds the faults of a name and a content type, wherever they come from.
pub(super) fn check_texts(new: &NewUpload, path: Path<'_>, faults: &mut Faults) {
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

/// Takes an upload off the tenant's list whose form was refused.
async fn forget(app: &App, pending: PendingUpload) {
    let (tenant, id) = (pending.upload().tenant, pending.upload().id);
    // Its bytes go first.
    drop(pending);
    if let Err(error) = app.store.delete_upload(tenant, id).await {
        tracing::warn!(upload.id = %id, error = ?error, "uploads.receive: a refused upload stays until it expires");
    }
}

fn is_file(field: &Field<'_>) -> bool {
    field.file_name().is_some() || field.name() == Some(FILE)
}

fn no_file() -> Problem {
    Problem::fault("/file", "required", "the form has no file")
}

fn other_fields(texts: &[&str]) -> Problem {
    let message = match texts {
        [] => "a form with exactly one field is needed: file".to_owned(),
        texts => format!("a form with one file is needed, in the field file, and beside it {}", texts.join(", ")),
    };
    Problem::fault("", "form", message)
}

fn form_problem(error: MultipartError) -> Problem {
    body::fault_in(&error).unwrap_or_else(|| Problem::malformed("the form can't be read"))
}
