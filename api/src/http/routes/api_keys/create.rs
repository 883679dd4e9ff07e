//! `POST /v1/api-keys`

use super::super::json;
use crate::{
    http::{Problem, auth::Caller, body, query::NoQuery, router::Api, schema::ApiKeyRequest, shown::ApiKeyShown},
    json::{Faults, Fields, Path, Value, check},
};
use axum::{
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use mecapy_model::TenantId;
use mecapy_store::{NewApiKey, Role};
use serde::Serialize;
use std::sync::Arc;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use utoipa::ToSchema;

/// The longest name of a key, in characters.
const NAME_CHARS_MAX: usize = 100;
const ROLES: [(&str, Role); 4] = [
    (Role::Admin.as_str(), Role::Admin),
    (Role::Author.as_str(), Role::Author),
    (Role::Engineer.as_str(), Role::Engineer),
    (Role::Viewer.as_str(), Role::Viewer),
];

/// A new key.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct NewKey {
    /// The secret: shown here, and never again.
    key: String,
    #[serde(flatten)]
    shown: ApiKeyShown,
}

/// Makes a key of the caller's tenant. An admin key is needed.
#[utoipa::path(post, path = "/v1/api-keys", tag = "Operations", request_body = ApiKeyRequest, responses(
    (status = 201, body = NewKey)
))]
pub(in crate::http) async fn create(
    State(api): State<Arc<Api>>,
    caller: Caller,
    _: NoQuery,
    request: Request,
) -> Result<Response, Problem> {
    caller.must_administer()?;
    let body = body::json(request, api.app.limits.json_bytes_max).await?;
    let new = read(check(&body)?, caller.tenant(), api.app.store.clock().now())?;
    let created = api.app.store.create_api_key(new).await?;
    let shown = NewKey { key: created.secret.expose().to_owned(), shown: ApiKeyShown::new(&created.key) };
    let mut response = json(StatusCode::CREATED, &shown)?;
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

fn read(text: &str, tenant: TenantId, now: OffsetDateTime) -> Result<NewApiKey, Problem> {
    let mut faults = Faults::default();
    let mut new = NewApiKey { tenant, name: String::new(), role: Role::Engineer, expires_at: None };
    if let Some(mut fields) = Fields::open(Value::of(text), Path::Root, &mut faults) {
        let path = fields.path();
        new.name = fields.string("name", &mut faults).unwrap_or_default().into_owned();
        if !(1..=NAME_CHARS_MAX).contains(&new.name.chars().count()) {
            faults.at(path.key("name"), "invalid", format!("a name of 1 to {NAME_CHARS_MAX} characters is needed"));
        }
        new.role = fields.one_of("role", &ROLES, &mut faults).unwrap_or(Role::Engineer);
        if let Some(text) = fields.string("expires_at", &mut faults) {
            new.expires_at = OffsetDateTime::parse(&text, &Rfc3339).ok().filter(|at| *at > now);
            if new.expires_at.is_none() {
                faults.at(
                    path.key("expires_at"),
                    "invalid",
                    "a time to come is needed, as in \"2027-01-01T00:00:00Z\"",
                );
            }
        }
        fields.finish(&mut faults);
    }
    if faults.is_empty() { Ok(new) } else { Err(Problem::invalid(faults.into_vec())) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn a_key_is_an_engineers_unless_it_says_otherwise() {
        let tenant = TenantId::from_parts(1, &[1; 10]);
        let now = datetime!(2026-06-01 00:00 UTC);
        let new = read(r#"{"name": "ci"}"#, tenant, now).unwrap();
        assert_eq!((new.role, new.expires_at, new.tenant), (Role::Engineer, None, tenant));
        for (text, pointer) in [
            ("{}", "/name"),
            (r#"{"name": ""}"#, "/name"),
            (r#"{"name": "x", "role": "root"}"#, "/role"),
            (r#"{"name": "x", "expires_at": "2025-01-01T00:00:00Z"}"#, "/expires_at"),
            (r#"{"name": "x", "tenant": "y"}"#, "/tenant"),
        ] {
            assert_eq!(read(text, tenant, now).unwrap_err().errors()[0].pointer, pointer, "{text}");
        }
    }
}
