//! `POST /packages/{package_id}/functions/{function}/execute`: a call, as a task.

use super::{
    super::{
        Problem,
        auth::Caller,
        body,
        problem::ProblemBody,
        query::NoQuery,
        router::Api,
        routes::{json, tasks},
        schema::ExecuteRequest,
    },
    call,
};
use crate::{
    app::App,
    functions::Call,
    intake::FILES_MAX,
    json::{Faults, Fields, Path as Pointer, Value, check},
};
use axum::{
    extract::{Path, Request, State},
    http::StatusCode,
    response::Response,
};
use mecapy_model::{
    TaskId, TenantId, UploadId,
    ports::{Port, PortType},
};
use mecapy_store::UploadState;
use serde::Serialize;
use std::{borrow::Cow, collections::BTreeMap, sync::Arc};
use utoipa::ToSchema;

/// The longest ending that is taken from the name of an upload, in characters.
const ENDING_CHARS_MAX: usize = 16;
/// The longest name of a file's port, in characters.
const PORT_CHARS_MAX: usize = 64;
const NO_UPLOAD: &str = "there is no such upload: send the file to the function's uploads first";

/// The task that makes the call.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct JobStarted {
    /// Of `GET /jobs/{id}/result`, and of `/v1/tasks/{id}` too.
    #[schema(value_type = uuid::Uuid)]
    job_id: TaskId,
}

/// Calls a function; what comes of it is at `GET /jobs/{id}/result`.
#[utoipa::path(post, path = "/packages/{package_id}/functions/{function}/execute", tag = "Compatibility",
    params(
        ("package_id" = String, Path, description = "As `GET /registry/lookup/package` answered it"),
        ("function" = String, Path)
    ),
    request_body = ExecuteRequest,
    responses(
        (status = 200, body = JobStarted),
        (status = 404, body = ProblemBody, content_type = "application/problem+json", description = "There is no such function"),
        (status = 422, body = ProblemBody, content_type = "application/problem+json", description = "Inputs that don't fit, each fault with its pointer")
    )
)]
pub(super) async fn execute(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path((package_id, function)): Path<(String, String)>,
    _: NoQuery,
    request: Request,
) -> Result<Response, Problem> {
    let app = &api.app;
    let call = call(&api, &caller, &package_id, &function).await?;
    let body = body::json(request, app.limits.json_bytes_max).await?;
    let asked = Asked::read(check(&body)?)?;
    let names = file_names(app, caller.tenant(), &call, &asked).await?;
    // What is wrong with the task is told as what is wrong with the call.
    let own = |problem: Problem| problem.relocated(|pointer| own_pointer(pointer, &names));
    let text = asked.task(&call, &names).ok_or_else(|| Problem::not_found(super::FUNCTION))?;
    let accepted = app.intake(caller.viewer()).task(&text).await.map_err(|rejected| own(rejected.into()))?;
    let submitted = tasks::stored(app, &caller, accepted, None).await.map_err(own)?;
    json(StatusCode::OK, &JobStarted { job_id: submitted.task.id })
}

/// What each file of the call is called in the work folder. An upload that is not there is told as that, and not as a
/// file without its ending.
async fn file_names<'a>(
    app: &App,
    tenant: TenantId,
    call: &Call,
    asked: &'a Asked<'_>,
) -> Result<BTreeMap<&'a str, String>, Problem> {
    let (mut names, mut faults) = (BTreeMap::new(), Faults::default());
    for (port, id) in &asked.files {
        let upload = app.store.upload(tenant, *id).await?.filter(|upload| upload.state == UploadState::Complete);
        match upload {
            Some(upload) => {
                names.insert(port.as_str(), file_name(call, port, upload.name.as_deref().unwrap_or_default()));
            }
            None => {
                let root = Pointer::Root;
                faults.at(root.key("file_inputs").key(port), "unknown_upload", NO_UPLOAD);
            }
        }
    }
    if faults.is_empty() { Ok(names) } else { Err(Problem::invalid(faults.into_vec())) }
}

/// A body that was read.
struct Asked<'a> {
    payload: Vec<(Cow<'a, str>, Value<'a>)>,
    files: BTreeMap<String, UploadId>,
}

impl<'a> Asked<'a> {
    fn read(text: &'a str) -> Result<Self, Problem> {
        let mut faults = Faults::default();
        let (mut payload, mut files) = (Vec::new(), BTreeMap::new());
        if let Some(mut fields) = Fields::open(Value::of(text), Pointer::Root, &mut faults) {
            let path = fields.path();
            if let Some(value) = fields.require("payload", &mut faults) {
                match value.members() {
                    Some(members) => payload = members,
                    None => faults.wrong_kind(path.key("payload"), "an object", value),
                }
            }
            fields.each("file_inputs", &mut faults, |port, value, path, faults| match (is_port(port), upload(value)) {
                (false, _) => faults.at(path, "invalid_name", "the name of a port is needed: letters, digits and _"),
                (true, Some(upload)) => {
                    files.insert(port.to_owned(), upload);
                }
                (true, None) => {
                    faults.at(path, "unknown_upload", "the upload_id of a file that was sent is needed here");
                }
            });
            if files.len() > FILES_MAX {
                faults.at(path.key("file_inputs"), "too_many", format!("{FILES_MAX} files are allowed here"));
            }
            fields.finish(&mut faults);
        }
        if faults.is_empty() { Ok(Self { payload, files }) } else { Err(Problem::invalid(faults.into_vec())) }
    }

    /// The task that makes the call, as a request of `POST /v1/tasks` writes it. Values stay the caller's own text.
    fn task(&self, call: &Call, names: &BTreeMap<&str, String>) -> Option<String> {
        let function = call.published().reference(call.function()?);
        let given = self.payload.iter().filter(|(name, _)| !self.files.contains_key(name.as_ref()));
        let given = given.map(|(name, value)| format!("{}:{}", quoted(name), value.text()));
        let named = names.iter().map(|(port, name)| format!("{}:{}", quoted(port), quoted(name)));
        let inputs: Vec<String> = given.chain(named).collect();
        let file = |(port, upload): (&String, &UploadId)| {
            Some(format!("{}:{}", quoted(names.get(port.as_str())?), quoted(&upload.to_string())))
        };
        let files: Vec<String> = self.files.iter().filter_map(file).collect();
        Some(format!(
            r#"{{"code":{{"function":{}}},"inputs":{{{}}},"files":{{{}}}}}"#,
            quoted(&function),
            inputs.join(","),
            files.join(",")
        ))
    }
}

fn upload(value: Value<'_>) -> Option<UploadId> {
    value.string()?.parse().ok()
}

/// A text as JSON writes it.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Whether a text can be the name of a port, and so the beginning of a file's name.
fn is_port(text: &str) -> bool {
    (1..=PORT_CHARS_MAX).contains(&text.chars().count()) && text.chars().all(|c| c.is_alphanumeric() || c == '_')
}

/// What the file of a port is called in the work folder: the port's name, with the ending of what was uploaded.
fn file_name(call: &Call, port: &str, uploaded: &str) -> String {
    let inputs = call.function().and_then(|function| function.signature.inputs());
    let extensions = match inputs.and_then(|inputs| inputs.get(port)).map(Port::ty) {
        Some(PortType::File(extensions)) => extensions.as_slice(),
        _ => &[],
    };
    format!("{port}{}", ending(uploaded, extensions))
}

/// The ending of a file's name with its dot: the longest of `extensions` that fits, else what is after the last dot.
fn ending(name: &str, extensions: &[String]) -> String {
    let lower = name.to_ascii_lowercase();
    let fits = |extension: &&String| lower.ends_with(&format!(".{}", extension.to_ascii_lowercase()));
    if let Some(extension) = extensions.iter().filter(fits).max_by_key(|extension| extension.len()) {
        return format!(".{extension}");
    }
    let plain = |text: &&str| {
        (1..=ENDING_CHARS_MAX).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    let last = name.rsplit_once('.').map(|(_, last)| last).filter(plain);
    last.map_or(String::new(), |last| format!(".{last}"))
}

/// Where in the call is what a fault of its task points to.
fn own_pointer(pointer: &str, names: &BTreeMap<&str, String>) -> String {
    let root = Pointer::Root;
    for (port, name) in names {
        let (files, inputs) = (root.key("files"), root.key("inputs"));
        if pointer == files.key(name).to_string() || pointer == inputs.key(port).to_string() {
            return root.key("file_inputs").key(port).to_string();
        }
    }
    match pointer.strip_prefix("/inputs") {
        Some(rest) => format!("/payload{rest}"),
        None => pointer.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UPLOAD: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

    fn faults(text: &str) -> Vec<(String, String)> {
        let problem = Asked::read(text).err().unwrap();
        problem.errors().iter().map(|fault| (fault.pointer.clone(), fault.code.clone())).collect()
    }

    #[test]
    fn a_call_is_read_and_every_fault_is_pointed_at() {
        let text = format!(r#"{{"payload": {{"d": 1e400}}, "file_inputs": {{"mesh": "{UPLOAD}"}}}}"#);
        let asked = Asked::read(&text).unwrap();
        assert_eq!(asked.payload.first().map(|(name, value)| (name.as_ref(), value.text())), Some(("d", "1e400")));
        assert_eq!(asked.files.keys().collect::<Vec<_>>(), ["mesh"]);
        assert!(Asked::read(r#"{"payload": {}, "file_inputs": null}"#).unwrap().files.is_empty());
        let rows = [
            ("{}", "/payload", "required"),
            (r#"{"payload": []}"#, "/payload", "wrong_type"),
            (r#"{"payload": {}, "file_inputs": {"mesh": "x"}}"#, "/file_inputs/mesh", "unknown_upload"),
            (r#"{"payload": {}, "file_inputs": {"mesh": 7}}"#, "/file_inputs/mesh", "unknown_upload"),
            (r#"{"payload": {}, "file_inputs": {"../x": "x"}}"#, "/file_inputs/..~1x", "invalid_name"),
            (r#"{"payload": {}, "file_inputs": []}"#, "/file_inputs", "wrong_type"),
            (r#"{"payload": {}, "inputs": {}}"#, "/inputs", "unknown_field"),
            ("[]", "", "wrong_type"),
        ];
        for (text, pointer, code) in rows {
            assert_eq!(faults(text), [(pointer.to_owned(), code.to_owned())], "{text}");
        }
    }

    #[test]
    fn a_file_keeps_the_ending_of_what_was_uploaded() {
        let extensions = ["gz", "tar.gz", "med"].map(str::to_owned);
        let rows = [
            ("Bracket v2.MED", ".med"),
            ("results.tar.gz", ".tar.gz"),
            ("loads.csv", ".csv"),
            ("loads", ""),
            ("", ""),
            (".", ""),
            ("x.a b", ""),
            ("x.../../etc", ""),
            ("C:\\mesh.msh", ".msh"),
            ("x.aaaaaaaaaaaaaaaaa", ""),
        ];
        for (name, expected) in rows {
            assert_eq!(ending(name, &extensions), expected, "{name}");
        }
        assert_eq!(ending("mesh.MED", &[]), ".MED");
    }

    #[test]
    fn faults_of_the_task_are_told_where_they_are_in_the_call() {
        let names = BTreeMap::from([("mesh", "mesh.med".to_owned())]);
        let rows = [
            ("/inputs/loads/axial", "/payload/loads/axial"),
            ("/inputs", "/payload"),
            ("/inputs/mesh", "/file_inputs/mesh"),
            ("/files/mesh.med", "/file_inputs/mesh"),
            ("/code/function", "/code/function"),
        ];
        for (pointer, expected) in rows {
            assert_eq!(own_pointer(pointer, &names), expected);
        }
    }
}
