//! `PATCH /v1/tenants/{id}`

use super::{super::json, TENANT, TenantShown, seen};
use crate::{
    http::{Problem, auth::Caller, body, problem::ProblemBody, query::NoQuery, router::Api, schema::TenantChange},
    json::{self, Faults, Fields, Value, check},
};
use axum::{
    extract::{Path, Request, State},
    http::StatusCode,
    response::Response,
};
use mecapy_store::{Access, Found, Tenant};
use std::sync::Arc;

const ACCESS: [(&str, Access); 2] =
    [(Access::Enabled.as_str(), Access::Enabled), (Access::Disabled.as_str(), Access::Disabled)];

/// Disables a tenant, or enables it again. For operators.
///
/// While it is disabled its credentials let nobody in, and nothing that it has queued starts; what runs goes on.
#[utoipa::path(patch, path = "/v1/tenants/{id}", tag = "Operations", params(("id" = uuid::Uuid, Path)),
    request_body = TenantChange,
    responses(
        (status = 200, body = TenantShown),
        (status = 409, body = ProblemBody, content_type = "application/problem+json", description = "It is the operators' own")
    )
)]
pub(in crate::http) async fn change(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(text): Path<String>,
    _: NoQuery,
    request: Request,
) -> Result<Response, Problem> {
    caller.must_administer()?;
    let tenant = seen(&api, &caller, &text).await?;
    caller.must_operate(&api.app.store)?;
    let body = body::json(request, api.app.limits.json_bytes_max).await?;
    let access = read(check(&body)?)?;
    if access == Access::Disabled && api.app.store.is_operator(tenant.id) {
        return Err(Problem::conflict("the operators' own tenant can't be disabled"));
    }
    match api.store_for(&caller).set_tenant_access(tenant.id, access).await? {
        Found::Yes => json(StatusCode::OK, &TenantShown::new(&Tenant { access, ..tenant })),
        Found::No => Err(Problem::not_found(TENANT)),
    }
}

fn read(text: &str) -> Result<Access, Problem> {
    let mut faults = Faults::default();
    let mut access = None;
    if let Some(mut fields) = Fields::open(Value::of(text), json::Path::Root, &mut faults) {
        if !fields.has("access") {
            faults.at(fields.path().key("access"), "required", "the field \"access\" is needed");
        }
        access = fields.one_of("access", &ACCESS, &mut faults);
        fields.finish(&mut faults);
    }
    match access {
        Some(access) if faults.is_empty() => Ok(access),
        _ if faults.is_empty() => Err(Problem::fault("/access", "wrong_type", "a string is needed here, not null")),
        _ => Err(Problem::invalid(faults.into_vec())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn access_is_one_of_two_words() {
        assert_eq!(read(r#"{"access": "disabled"}"#).unwrap(), Access::Disabled);
        for (text, pointer) in [
            ("{}", "/access"),
            (r#"{"access": null}"#, "/access"),
            (r#"{"access": "off"}"#, "/access"),
            (r#"{"access": true}"#, "/access"),
            (r#"{"access": "enabled", "name": "x"}"#, "/name"),
        ] {
            assert_eq!(read(text).unwrap_err().errors()[0].pointer, pointer, "{text}");
        }
    }
}
