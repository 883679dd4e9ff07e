//! `GET /types/catalog` and `POST /types/check-connection`: what ports can be, and which of them fit together.

use super::super::{
    Problem,
    auth::Caller,
    body,
    query::NoQuery,
    router::Api,
    routes::{self, functions::types::Types, json},
    schema::ConnectionRequest,
};
use crate::json::{Faults, Fields, Path, Value, check};
use axum::{
    extract::{Request, State},
    http::StatusCode,
    response::Response,
};
use mecapy_model::ports::{Connection, Port, Signature, SignatureParts};
use serde_json::value::RawValue;
use std::sync::Arc;

const ENDS: [&str; 2] = ["source", "target"];

/// The types that ports can have, quantities with their units: those of `GET /v1/types`.
#[utoipa::path(get, path = "/types/catalog", tag = "Compatibility", responses((status = 200, body = Types)))]
pub(super) async fn catalog(caller: Caller, query: NoQuery) -> Result<Response, Problem> {
    routes::functions::types::types(caller, query).await
}

/// Whether what one port gives is what another takes.
#[utoipa::path(post, path = "/types/check-connection", tag = "Compatibility", request_body = ConnectionRequest,
    responses((status = 200, body = Connection)))]
pub(super) async fn check_connection(
    State(api): State<Arc<Api>>,
    _: Caller,
    _: NoQuery,
    request: Request,
) -> Result<Response, Problem> {
    let body = body::json(request, api.app.limits.json_bytes_max).await?;
    let [source, target] = read(check(&body)?)?;
    json(StatusCode::OK, &source.connect(&target))
}

fn read(text: &str) -> Result<[Port; 2], Problem> {
    let mut faults = Faults::default();
    let mut ports = Vec::with_capacity(ENDS.len());
    if let Some(mut fields) = Fields::open(Value::of(text), Path::Root, &mut faults) {
        for end in ENDS {
            ports.extend(fields.require(end, &mut faults).and_then(|value| port(end, value, &mut faults)));
        }
        fields.finish(&mut faults);
    }
    match (<[Port; 2]>::try_from(ports), faults.is_empty()) {
        (Ok(ports), true) => Ok(ports),
        _ => Err(Problem::invalid(faults.into_vec())),
    }
}

/// The port that stands in the field `end`, read as an input of a manifest: outputs may have fewer types.
fn port(end: &str, value: Value<'_>, faults: &mut Faults) -> Option<Port> {
    let inputs = RawValue::from_string(format!("{{\"{end}\":{}}}", value.text())).ok()?;
    match Signature::read(SignatureParts { inputs: Some(&inputs), ..SignatureParts::default() }, "") {
        Ok(signature) => signature.inputs().get(end).cloned(),
        Err(found) => {
            for mut fault in found {
                fault.pointer = fault.pointer.strip_prefix("/inputs").unwrap_or_default().to_owned();
                faults.add(fault);
            }
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_ports_are_compared() {
        let rows = [
            (r#"{"source":"Length","target":"Length"}"#, r#""exact""#),
            (r#"{"source":{"type":"Length","unit":"mm"},"target":"Length"}"#, r#""convertible""#),
            (r#"{"source":"Length","target":"Mass"}"#, r#""incompatible""#),
            (r#"{"source":"Object","target":"Object"}"#, r#""exact""#),
        ];
        for (text, expected) in rows {
            let [source, target] = read(text).unwrap();
            let found = serde_json::to_string(&source.connect(&target).compatibility).unwrap();
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_port_is_pointed_at() {
        let rows = [
            ("{}", "/source"),
            (r#"{"source":"Length"}"#, "/target"),
            (r#"{"source":"Lenght","target":"Length"}"#, "/source/type"),
            (r#"{"source":"Length","target":{"type":"Length","unit":"kg"}}"#, "/target/unit"),
            (r#"{"source":"Length","target":7}"#, "/target"),
            (r#"{"source":"Length","target":"Length","via":"x"}"#, "/via"),
            ("[]", ""),
        ];
        for (text, pointer) in rows {
            assert_eq!(read(text).unwrap_err().errors()[0].pointer, pointer, "{text}");
        }
    }
}
