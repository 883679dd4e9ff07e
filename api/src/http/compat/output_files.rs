//! Files that a function gave, in its result.

use super::{super::Problem, result::not_now};
use crate::{app::App, functions::Call, json::Value};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use mecapy_model::{Code, TaskId, TenantId, ports::PortType};
use mecapy_store::StoredArtifact;
use serde_json::value::RawValue;

/// What all files of a result may have together, bytes: they are in memory, a third larger as Base64.
const BYTES_MAX: u64 = 16 << 20;
/// The field that holds them, by the names of their outputs.
const FIELD: &str = "_output_files";

/// The result of a task with the files that it names, where it is a function's that declares outputs of type File.
pub(super) async fn with_files(
    app: &App,
    tenant: TenantId,
    id: TaskId,
    result: Box<RawValue>,
) -> Result<Box<RawValue>, Problem> {
    let Some(task) = app.store.task_shown(tenant, id).await.map_err(not_now)? else { return Ok(result) };
    let Code::Function { function, .. } = &task.code else { return Ok(result) };
    let Some(call) = app.functions.pinned(function).await.map_err(not_now)? else { return Ok(result) };
    let named = named(&call, &result);
    if named.is_empty() {
        return Ok(result);
    }
    let artifacts = app.store.artifacts(tenant, id).await.map_err(not_now)?.unwrap_or_default();
    let found = |(port, name): (String, String)| {
        let artifact = artifacts.iter().find(|artifact| artifact.name.as_str() == name)?;
        Some((port, artifact))
    };
    let files: Vec<_> = named.into_iter().filter_map(found).collect();
    let bytes = files.iter().fold(0, |sum: u64, (_, artifact)| sum.saturating_add(artifact.size_bytes));
    if bytes > BYTES_MAX {
        return Err(too_large(bytes, id));
    }
    let _place = app.file_answers.enter(tenant).await;
    with(app, &result, &files).await
}

/// The outputs of type File, each with the name of its file.
fn named(call: &Call, result: &RawValue) -> Vec<(String, String)> {
    let outputs = call.function().and_then(|function| function.signature.outputs());
    let (Some(outputs), Some(members)) = (outputs, Value::of(result.get()).members()) else { return Vec::new() };
    let is_file = |port: &str| outputs.get(port).is_some_and(|port| matches!(port.ty(), PortType::File(_)));
    let named = members.into_iter().filter(|(port, _)| is_file(port));
    named.filter_map(|(port, value)| Some((port.into_owned(), value.string()?.into_owned()))).collect()
}

async fn with(app: &App, result: &RawValue, files: &[(String, &StoredArtifact)]) -> Result<Box<RawValue>, Problem> {
    // The result names files, so it is an object with members.
    let members = result.get().trim_end().strip_suffix('}').unwrap_or_default();
    let mut text = format!("{members},\"{FIELD}\":{{");
    for (at, (port, artifact)) in files.iter().enumerate() {
        let read = app.store.objects().read(&artifact.key).await.map_err(not_now)?;
        let bytes =
            read.ok_or_else(|| Problem::internal(&format_args!("{} of a task is gone", artifact.key.as_str())))?;
        if at > 0 {
            text.push(',');
        }
        text.push_str(&serde_json::Value::from(port.as_str()).to_string());
        text.push_str(":\"");
        STANDARD.encode_string(bytes, &mut text);
        text.push('"');
    }
    text.push_str("}}");
    RawValue::from_string(text).map_err(|error| Problem::internal(&error))
}

fn too_large(bytes: u64, id: TaskId) -> Problem {
    let message = format!(
        "the job is completed, and its output files have {bytes} bytes, of which {BYTES_MAX} can be answered here: get them \
         by the URLs of GET /v1/tasks/{id}/artifacts, and the rest of the result with GET /v1/tasks/{id}/result"
    );
    Problem::fault("", "output_files_too_large", message)
}
