//! `PUT /v1/tenants/{id}/quota`

use super::{super::json, QuotaShown, TENANT, seen};
use crate::{
    http::{Problem, auth::Caller, body, query::NoQuery, router::Api, schema::QuotaRequest},
    json::{self, Faults, Fields, Value, check},
};
use axum::{
    extract::{Path, Request, State},
    http::StatusCode,
    response::Response,
};
use mecapy_store::{Found, Quota, Tenant};
use std::sync::Arc;

/// What the database counts up to.
const COUNT_MAX: u64 = i64::MAX as u64;

/// Sets a tenant's own limits, all of them: what is left out is the server's from now on. For operators.
///
/// What runs and waits stays, also where it is more than that.
#[utoipa::path(put, path = "/v1/tenants/{id}/quota", tag = "Operations", params(("id" = uuid::Uuid, Path)),
    request_body = QuotaRequest, responses((status = 200, body = QuotaShown))
)]
pub(in crate::http) async fn set_quota(
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
    let quota = read(check(&body)?)?;
    match api.store_for(&caller).set_quota(tenant.id, quota).await? {
        Found::Yes => json(StatusCode::OK, &QuotaShown::of(&api, &Tenant { quota, ..tenant }).await?),
        Found::No => Err(Problem::not_found(TENANT)),
    }
}

fn read(text: &str) -> Result<Quota, Problem> {
    let mut faults = Faults::default();
    let mut quota = Quota::default();
    if let Some(mut fields) = Fields::open(Value::of(text), json::Path::Root, &mut faults) {
        let mut count = |name, least, most| fields.integer(name, least..=most, &mut faults);
        let small = |number: Option<u64>| number.and_then(|number| u32::try_from(number).ok());
        quota = Quota {
            running_max: small(count("running_max", 0, u64::from(u32::MAX))),
            queued_max: small(count("queued_max", 0, u64::from(u32::MAX))),
            fuel_per_day_max: count("fuel_per_day_max", 0, COUNT_MAX),
            storage_bytes_max: count("storage_bytes_max", 0, COUNT_MAX),
            // With none nobody could ask for more.
            requests_per_second_max: small(count("requests_per_second_max", 1, u64::from(u32::MAX))),
        };
        fields.finish(&mut faults);
    }
    if faults.is_empty() { Ok(quota) } else { Err(Problem::invalid(faults.into_vec())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_is_whole_numbers_and_what_is_left_out_is_the_servers() {
        let quota = read(r#"{"running_max": 0, "fuel_per_day_max": 9223372036854775807, "queued_max": null}"#).unwrap();
        let expected = Quota { running_max: Some(0), fuel_per_day_max: Some(COUNT_MAX), ..Quota::default() };
        assert_eq!(quota, expected);
        assert_eq!(read("{}").unwrap(), Quota::default());
    }

    #[test]
    fn security_38_numbers_that_are_no_counts_are_refused() {
        for (field, value) in [
            ("running_max", "-1"),
            ("running_max", "4294967296"),
            ("queued_max", "1.5"),
            ("queued_max", "\"7\""),
            ("fuel_per_day_max", "9223372036854775808"),
            ("fuel_per_day_max", "1e400"),
            ("storage_bytes_max", "-0.0"),
            ("requests_per_second_max", "0"),
            ("tasks_max", "1"),
        ] {
            let text = format!(r#"{{"{field}": {value}}}"#);
            assert_eq!(read(&text).unwrap_err().errors()[0].pointer, format!("/{field}"), "{text}");
        }
    }
}
