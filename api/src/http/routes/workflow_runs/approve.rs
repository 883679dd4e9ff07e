//! `POST /v1/workflow-runs/{id}/nodes/{key}/approve`

use super::{found, must_look, must_run, node::NODE, run_id, send, shown::RunShown};
use crate::{
    http::{
        Problem, auth::Caller, body, problem::ProblemBody, query::NoQuery, router::Api,
        schema::workflow::ApprovalRequest,
    },
    json::{Faults, Fields, Path as Pointer, Value, check},
};
use axum::{
    extract::{Path, Request, State},
    response::Response,
};
use mecapy_workflow::Signal;
use std::sync::Arc;

/// The longest comment, in characters.
const COMMENT_CHARS_MAX: usize = 2_000;

/// Answers a node that waits for a person. Who answered what stands in the run's log.
#[utoipa::path(post, path = "/v1/workflow-runs/{id}/nodes/{key}/approve", tag = "Workflows",
    request_body = ApprovalRequest, params(("id" = uuid::Uuid, Path), ("key" = String, Path)),
    responses(
        (status = 202, body = RunShown),
        (status = 409, body = ProblemBody, content_type = "application/problem+json", description = "The node waits for nobody")
    )
)]
pub(in crate::http) async fn approve(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path((id, key)): Path<(String, String)>,
    _: NoQuery,
    request: Request,
) -> Result<Response, Problem> {
    let id = run_id(&id)?;
    let body = body::json(request, api.app.limits.json_bytes_max).await?;
    let (approved, comment) = read(check(&body)?)?;
    let row = found(&api.app, &caller, id).await?;
    must_run(&row)?;
    let looked = must_look(&api.app, &row).await?;
    if looked.run.instances(&key, 0, 1).is_none() {
        return Err(Problem::not_found(NODE));
    }
    if !looked.run.awaits_approval(&key) {
        return Err(Problem::conflict(format!("the node {key} waits for nobody's approval now")));
    }
    let by = caller.signature();
    let signal = match approved {
        true => Signal::Approve { key, by, comment },
        false => Signal::Reject { key, by, comment },
    };
    send(&api.app, &caller, id, &signal).await
}

fn read(text: &str) -> Result<(bool, Option<String>), Problem> {
    let mut faults = Faults::default();
    let mut asked = (false, None);
    if let Some(mut fields) = Fields::open(Value::of(text), Pointer::Root, &mut faults) {
        let path = fields.path();
        match fields.require("approved", &mut faults).map(|value| (value, value.text())) {
            Some((_, "true")) => asked.0 = true,
            Some((_, "false")) | None => {}
            Some((value, _)) => faults.wrong_kind(path.key("approved"), "true or false", value),
        }
        asked.1 = fields.string("comment", &mut faults).map(|text| text.into_owned());
        let comment = asked.1.as_deref().unwrap_or_default();
        if comment.chars().count() > COMMENT_CHARS_MAX {
            let message = format!("a comment may have {COMMENT_CHARS_MAX} characters at most");
            faults.at(path.key("comment"), "too_long", message);
        }
        if comment.contains('\0') {
            faults.at(path.key("comment"), "invalid", "a comment can't hold the character U+0000");
        }
        fields.finish(&mut faults);
    }
    if faults.is_empty() { Ok(asked) } else { Err(Problem::invalid(faults.into_vec())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_yes_or_no() {
        assert_eq!(read(r#"{"approved": true}"#).unwrap(), (true, None));
        assert_eq!(
            read(r#"{"approved": false, "comment": "too thin"}"#).unwrap(),
            (false, Some("too thin".to_owned()))
        );
        let long = format!(r#"{{"approved": true, "comment": "{}"}}"#, "x".repeat(COMMENT_CHARS_MAX + 1));
        let rows = [
            ("{}", "/approved"),
            (r#"{"approved": "yes"}"#, "/approved"),
            (r#"{"approved": true, "by": "me"}"#, "/by"),
            (r#"{"approved": true, "comment": 7}"#, "/comment"),
            (r#"{"approved": true, "comment": "\u0000"}"#, "/comment"),
            (&long, "/comment"),
        ];
        for (text, pointer) in rows {
            let problem = read(text).unwrap_err();
            let found: Vec<_> = problem.errors().iter().map(|fault| fault.pointer.as_str()).collect();
            assert_eq!(found, [pointer], "{text}");
        }
    }
}
