//! `POST /packages/{package_id}/functions/{function}/uploads`: a file for a call.

use super::{
    super::{
        Problem,
        auth::Caller,
        problem::ProblemBody,
        query::NoQuery,
        router::Api,
        routes::{
            json,
            uploads::receive::{Takes, receive},
        },
        schema::FunctionUploadForm,
    },
    call,
};
use crate::functions::Call;
use axum::{
    extract::{Path, Request, State},
    http::StatusCode,
    response::Response,
};
use mecapy_model::{UploadId, ports::PortType};
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

const VAR_NAME: &str = "var_name";

/// A file that was kept.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct FunctionUpload {
    /// For `file_inputs` of the call, and for `files` of any task of the tenant.
    #[schema(value_type = uuid::Uuid)]
    upload_id: UploadId,
    size_bytes: u64,
}

/// Sends a file for an input of a function.
#[utoipa::path(post, path = "/packages/{package_id}/functions/{function}/uploads", tag = "Compatibility",
    params(
        ("package_id" = String, Path, description = "As `GET /registry/lookup/package` answered it"),
        ("function" = String, Path)
    ),
    request_body(content = FunctionUploadForm, content_type = "multipart/form-data"),
    responses(
        (status = 201, body = FunctionUpload),
        (status = 404, body = ProblemBody, content_type = "application/problem+json", description = "There is no such function"),
        (status = 413, body = ProblemBody, content_type = "application/problem+json", description = "Too large"),
        (status = 422, body = ProblemBody, content_type = "application/problem+json", description = "The function has no such input, or it takes no file")
    )
)]
pub(super) async fn upload(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path((package_id, function)): Path<(String, String)>,
    _: NoQuery,
    request: Request,
) -> Result<Response, Problem> {
    let call = call(&api, &caller, &package_id, &function).await?;
    let takes = Takes { texts: &[VAR_NAME], seeing: &mut |_| () };
    let form = receive(&api.app, caller.tenant(), request, takes).await?;
    if let Err(problem) = check_port(&call, form.text(VAR_NAME)) {
        form.forget(&api.app).await;
        return Err(problem);
    }
    let upload = form.finish().await?;
    json(StatusCode::CREATED, &FunctionUpload { upload_id: upload.id, size_bytes: upload.size_bytes })
}

/// Refuses what is no input of the function that takes a file. A function that declares no inputs takes any.
fn check_port(call: &Call, name: Option<&str>) -> Result<(), Problem> {
    let fault = |code, message: String| Err(Problem::fault("/var_name", code, message));
    let Some(name) = name else { return fault("required", "the name of an input is needed here".to_owned()) };
    let Some(inputs) = call.function().and_then(|function| function.signature.inputs()) else { return Ok(()) };
    let port = inputs.get(name);
    if port.is_some_and(|port| matches!(port.ty(), PortType::File(_))) {
        return Ok(());
    }
    let files = inputs.iter().filter(|(_, port)| matches!(port.ty(), PortType::File(_)));
    let files: Vec<&str> = files.map(|(name, _)| name.as_str()).collect();
    let has = match files.as_slice() {
        [] => "no input of the function takes a file".to_owned(),
        files => format!("files are taken by {}", files.join(", ")),
    };
    let shown: String = name.chars().take(64).collect();
    match port {
        Some(port) => fault("wrong_type", format!("the input {shown:?} is a {}, not a file: {has}", port.ty())),
        None => fault("unknown_field", format!("there is no input {shown:?}: {has}")),
    }
}
