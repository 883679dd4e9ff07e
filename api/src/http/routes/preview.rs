//! `POST /v1/preview`: the fast path. Nothing here touches the disk but the usage row, which is written behind.

use super::not_built;
use crate::{
    app::App,
    http::{Problem, auth::Caller, body, problem::ProblemBody, query::NoQuery, router::Api, schema::PreviewRequest},
    intake::Preview,
    json,
    programs::NotLoaded,
};
use axum::{
    body::Body,
    extract::{Request, State},
    http::{HeaderValue, header},
    response::Response,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use mecapy_model::{Artifact, ErrorKind, Lane, Outcome, TaskError, TaskState, TenantId, Usage, Warning};
use mecapy_runtime::{Attempt, Cancel, Job, Program, StopOnDrop};
use mecapy_store::PreviewUsage;
use serde::Serialize;
use serde_json::value::RawValue;
use std::{sync::Arc, time::Duration};
use tokio::sync::oneshot;
use utoipa::ToSchema;

/// Artifacts of one answer, bytes in all before their encoding.
const ARTIFACT_BYTES_MAX: usize = 1 << 20;
/// When to come back for a module that is being loaded.
const RETRY_AFTER_MODULE: Duration = Duration::from_secs(5);
/// Room for an answer without artifacts and of ordinary size, bytes.
const ANSWER_BYTES_USUAL: usize = 1 << 10;

/// How a preview ended. A computation that fails is an answer too.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PreviewAnswer)]
pub(in crate::http) struct Answer<'a> {
    state: TaskState,
    /// Always an object where there is one; numbers as the computation wrote them.
    #[schema(value_type = Option<Object>)]
    result: Option<&'a RawValue>,
    error: Option<&'a TaskError>,
    warnings: &'a [Warning],
    seed: u64,
    stdout: &'a str,
    stderr: &'a str,
    stdout_truncated: bool,
    stderr_truncated: bool,
    usage: &'a Usage,
    artifacts: Vec<ArtifactAnswer<'a>>,
}

/// A file that the computation produced.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PreviewArtifact)]
pub(in crate::http) struct ArtifactAnswer<'a> {
    name: &'a str,
    content_type: &'static str,
    base64: String,
}

/// Runs a computation in a fresh sandbox and answers with its outcome.
///
/// At most 5 s, for a source in C or Rust that was not compiled before up to 15 s more: where its compiler needs longer,
/// the answer is 503 with `Retry-After`. A client that goes away stops its computation.
#[utoipa::path(post, path = "/v1/preview", tag = "Previews", request_body = PreviewRequest, responses(
    (status = 200, body = Answer, description = "The computation has ended, well or not: see `state` and `error`"),
    (status = 422, body = ProblemBody, content_type = "application/problem+json", description = "The code can't be accepted")
))]
pub(in crate::http) async fn preview(
    State(api): State<Arc<Api>>,
    caller: Caller,
    _: NoQuery,
    request: Request,
) -> Result<Response, Problem> {
    let app = &api.app;
    let tenant = caller.tenant();
    if let Some(over) = app.store.over_fuel(tenant).await? {
        return Err(over.into());
    }
    let mut asked = {
        // Kept no longer than it is read: everything of it is in `asked`.
        let body = body::json(request, app.limits.json_bytes_max).await?;
        app.intake(caller.viewer()).preview(json::check(&body)?).await?
    };
    let programs = app.programs().ok_or_else(not_built)?;
    let (seed, mut warnings) = (asked.seed, std::mem::take(&mut asked.warnings));
    let (failed, compile_ms) = (asked.failed.take(), asked.compile_ms);
    let loading = async {
        match (failed, &asked.call) {
            (Some(error), _) => Err(NotLoaded::Failed(error)),
            (None, Some(call)) => programs.function_soon(tenant, call).await,
            (None, None) => programs.load_soon(tenant, &asked.code, asked.analysis.take()).await,
        }
    };
    let mut outcome = match loading.await {
        Ok(program) => run(app, tenant, program, asked).await?,
        Err(NotLoaded::Failed(error)) => Outcome::failed(error),
        Err(NotLoaded::Busy) => {
            let detail =
                "the module or the package is being made ready, or waits for others that are: try again in a moment";
            return Err(Problem::not_ready(detail, RETRY_AFTER_MODULE));
        }
    };
    warnings.append(&mut outcome.warnings);
    outcome.usage.compile_ms = compile_ms;
    answer(&outcome, seed, warnings)
}

/// Runs the attempt to its end, or stops it when this future is dropped.
pub(in crate::http) async fn run(
    app: &Arc<App>,
    tenant: TenantId,
    program: Program,
    asked: Preview,
) -> Result<Outcome, Problem> {
    let cancel = Cancel::new();
    let mut stop = StopOnDrop::of(&cancel);
    let (tell, told) = oneshot::channel();
    let counted = Arc::clone(app);
    let file_places = asked.file_places;
    let (call, inputs, non_finite) = (asked.call, Arc::clone(&asked.inputs), asked.non_finite);
    let job = Job {
        program,
        attempt: Attempt {
            inputs: asked.inputs,
            files: asked.files,
            limits: asked.limits,
            seed: asked.seed,
            non_finite: asked.non_finite,
            kernels: asked.kernels,
            wall_clock: app.store.clock().now(),
        },
        lane: Lane::HighPriority,
        tenant,
        cancel,
        observer: None,
        done: Box::new(move |outcome: Outcome| {
            let outcome = match call {
                Some(call) => call.finish(outcome, &inputs, non_finite),
                None => outcome,
            };
            let (error_kind, usage) = (outcome.error_kind(), outcome.usage);
            // The caller first: counting can wait.
            drop(tell.send(outcome));
            drop(file_places);
            counted.metrics.preview(state_of(error_kind), error_kind, &usage);
            counted.store.record_preview_usage(PreviewUsage { tenant, error_kind, usage });
        }),
    };
    app.sandboxes.submit(job)?;
    let outcome = told.await;
    stop.disarm();
    Ok(outcome.unwrap_or_else(|_| {
        tracing::error!("preview.run: a sandbox ended without an outcome");
        Outcome::failed(TaskError::new(ErrorKind::Executor, "the platform lost the computation"))
    }))
}

fn state_of(error_kind: Option<ErrorKind>) -> TaskState {
    match error_kind {
        None => TaskState::Completed,
        Some(ErrorKind::Cancelled) => TaskState::Cancelled,
        Some(_) => TaskState::Failed,
    }
}

fn answer(outcome: &Outcome, seed: u64, mut warnings: Vec<Warning>) -> Result<Response, Problem> {
    let artifacts = artifacts(&outcome.artifacts, &mut warnings);
    let answer = Answer {
        state: state_of(outcome.error_kind()),
        result: outcome.result.as_ref().ok().map(AsRef::as_ref),
        error: outcome.result.as_ref().err(),
        warnings: &warnings,
        seed,
        stdout: &outcome.stdout,
        stderr: &outcome.stderr,
        stdout_truncated: outcome.stdout_truncated,
        stderr_truncated: outcome.stderr_truncated,
        usage: &outcome.usage,
        artifacts,
    };
    let mut bytes = Vec::with_capacity(ANSWER_BYTES_USUAL);
    serde_json::to_writer(&mut bytes, &answer).map_err(|error| Problem::internal(&error))?;
    let mut response = Response::new(Body::from(bytes));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

/// The artifacts for which there is room in the answer, and a warning for each of the others.
fn artifacts<'a>(artifacts: &'a [Artifact], warnings: &mut Vec<Warning>) -> Vec<ArtifactAnswer<'a>> {
    let mut room = ARTIFACT_BYTES_MAX;
    let mut shown = Vec::with_capacity(artifacts.len());
    for artifact in artifacts {
        let (name, bytes) = (artifact.name.as_str(), artifact.bytes.len());
        if let Some(left) = room.checked_sub(bytes) {
            room = left;
            let base64 = STANDARD.encode(&artifact.bytes);
            shown.push(ArtifactAnswer { name, content_type: artifact.content_type, base64 });
        } else {
            let message =
                format!("{name} ({bytes} bytes) is too large for a preview's answer: submit a task to get it");
            warnings.push(Warning { code: "artifact_left_out".to_owned(), message, line: None, pointer: None });
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use mecapy_model::ArtifactName;

    async fn shown(outcome: &Outcome) -> String {
        let response = answer(outcome, 42, Vec::new()).unwrap();
        assert_eq!(response.headers()["content-type"], "application/json");
        let bytes = axum::body::to_bytes(response.into_body(), 10 << 20).await.unwrap();
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[tokio::test]
    async fn the_result_is_the_guests_own_text() {
        let result =
            RawValue::from_string(r#"{"x":1.0,"big":123456789012345678901234567890,"e":1e400}"#.to_owned()).unwrap();
        let outcome = Outcome { result: Ok(result), ..Outcome::failed(TaskError::new(ErrorKind::Executor, "")) };
        let text = shown(&outcome).await;
        let expected = concat!(
            r#"{"state":"completed","result":{"x":1.0,"big":123456789012345678901234567890,"e":1e400},"error":null,"#,
            r#""warnings":[],"seed":42,"stdout":"","stderr":"","stdout_truncated":false,"stderr_truncated":false,"#,
        );
        assert!(text.starts_with(expected), "{text}");
    }

    #[tokio::test]
    async fn artifacts_that_do_not_fit_are_named_and_warned_of() {
        let artifact = |name: &str, bytes: usize| Artifact::new(ArtifactName::parse(name).unwrap(), vec![7; bytes]);
        let mut outcome = Outcome::failed(TaskError::new(ErrorKind::Timeout, "too long"));
        outcome.artifacts = vec![artifact("a.bin", 600 << 10), artifact("b.bin", 600 << 10), artifact("c.bin", 3)];
        let body: serde_json::Value = serde_json::from_str(&shown(&outcome).await).unwrap();
        assert_eq!((&body["artifacts"][0]["name"], &body["artifacts"][1]["base64"]), (&"a.bin".into(), &"BwcH".into()));
        assert_eq!(body["warnings"][0]["code"], "artifact_left_out");
        assert_eq!((&body["state"], &body["error"]["kind"]), (&"failed".into(), &"timeout".into()));
    }

    #[test]
    fn a_dropped_run_is_stopped_and_an_ended_one_is_not() {
        let cancel = Cancel::new();
        drop(StopOnDrop::of(&cancel));
        assert!(cancel.is_cancelled());
    }
}
