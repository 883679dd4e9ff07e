//! `POST /v1/tenants`

use super::{super::json, TENANT, TenantShown};
use crate::{
    http::{Problem, auth::Caller, body, problem::ProblemBody, query::NoQuery, router::Api, schema::TenantRequest},
    json::{Faults, Fields, Path, Value, check},
};
use axum::{
    extract::{Request, State},
    http::StatusCode,
    response::Response,
};
use std::sync::Arc;

/// The longest name of a tenant, in characters.
const NAME_CHARS_MAX: usize = 100;

/// Makes a tenant. For operators.
///
/// Access tokens name it by this name; `POST /v1/tenants/{id}/api-keys` makes its first API key.
#[utoipa::path(post, path = "/v1/tenants", tag = "Operations", request_body = TenantRequest, responses(
    (status = 201, body = TenantShown),
    (status = 409, body = ProblemBody, content_type = "application/problem+json", description = "The name is taken")
))]
pub(in crate::http) async fn create(
    State(api): State<Arc<Api>>,
    caller: Caller,
    _: NoQuery,
    request: Request,
) -> Result<Response, Problem> {
    caller.must_operate(&api.app.store)?;
    let body = body::json(request, api.app.limits.json_bytes_max).await?;
    let name = read(check(&body)?)?;
    let id = api.store_for(&caller).create_tenant(&name).await?;
    let tenant = api.app.store.tenant(id).await?.ok_or_else(|| Problem::not_found(TENANT))?;
    json(StatusCode::CREATED, &TenantShown::new(&tenant))
}

fn read(text: &str) -> Result<String, Problem> {
    let mut faults = Faults::default();
    let mut name = String::new();
    if let Some(mut fields) = Fields::open(Value::of(text), Path::Root, &mut faults) {
        let path = fields.path();
        name = fields.string("name", &mut faults).unwrap_or_default().into_owned();
        let fits = (1..=NAME_CHARS_MAX).contains(&name.chars().count());
        if !fits || name.trim() != name || name.contains(char::is_control) {
            let message = format!(
                "a name of 1 to {NAME_CHARS_MAX} characters is needed, without control characters or spaces around"
            );
            faults.at(path.key("name"), "invalid", message);
        }
        fields.finish(&mut faults);
    }
    if faults.is_empty() { Ok(name) } else { Err(Problem::invalid(faults.into_vec())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_line_that_people_can_read() {
        assert_eq!(read(r#"{"name": "Dupont & Fils"}"#).unwrap(), "Dupont & Fils");
        let long = format!(r#"{{"name": "{}"}}"#, "x".repeat(101));
        for text in
            ["{}", r#"{"name": ""}"#, r#"{"name": " a"}"#, r#"{"name": "a\u0000"}"#, r#"{"name": "a\n"}"#, &long]
        {
            assert_eq!(read(text).unwrap_err().errors()[0].pointer, "/name", "{text}");
        }
        assert_eq!(read(r#"{"name": "a", "id": 1}"#).unwrap_err().errors()[0].pointer, "/id");
    }
}
