//! Who is asking. Runs before a route under `/v1` sees anything of the request; deny by default.

use super::{Problem, router::Api};
use axum::{
    extract::{FromRequestParts, Request, State},
    http::{HeaderMap, Method, header, request::Parts},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use mecapy_model::TenantId;
use mecapy_store::ApiKey;
use std::sync::Arc;

/// The longest credential that is looked at, bytes.
const CREDENTIAL_BYTES_MAX: usize = 512;

/// An authenticated caller.
#[derive(Debug, Clone)]
pub(super) struct Caller(pub(super) Arc<ApiKey>);

impl Caller {
    pub(super) fn tenant(&self) -> TenantId {
        self.0.tenant
    }

    /// 403 unless the key administers its tenant.
    pub(super) fn must_administer(&self) -> Result<(), Problem> {
        match self.0.role.may_administer() {
            true => Ok(()),
            false => Err(Problem::forbidden("an admin key is needed for this")),
        }
    }
}

/// Lets a request with a valid key through, as often as its rate allows; only keys that may write may do more than read.
pub(super) async fn authenticate(State(api): State<Arc<Api>>, mut request: Request, next: Next) -> Response {
    match admit(&api, request.method(), request.headers()) {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    }
}

fn admit(api: &Api, method: &Method, headers: &HeaderMap) -> Result<Caller, Problem> {
    let key =
        bearer(headers).and_then(|secret| api.app.store.authenticate(secret)).ok_or_else(Problem::unauthorized)?;
    if let Err(wait) = api.rates.count(key.id, api.app.store.clock().monotonic()) {
        return Err(Problem::too_many("this key asks more often than it may", wait));
    }
    if !(method.is_safe() || key.role.may_write()) {
        return Err(Problem::forbidden("this key may only read"));
    }
    Ok(Caller(key))
}

/// The bearer token, where there is one `Authorization` header and it holds one.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(only), None) = (all.next(), all.next()) else { return None };
    let (scheme, secret) = only.to_str().ok()?.split_once(' ')?;
    (scheme.eq_ignore_ascii_case("bearer") && secret.len() <= CREDENTIAL_BYTES_MAX).then(|| secret.trim())
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Caller>().cloned().ok_or_else(Problem::unauthorized)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_well_formed_header_counts() {
        let rows: [(&[&str], Option<&str>); 7] = [
            (&["Bearer abc"], Some("abc")),
            (&["bearer  abc "], Some("abc")),
            (&[], None),
            (&["Basic abc"], None),
            (&["Bearer"], None),
            (&["Bearer abc", "Bearer abc"], None),
            (&["Bearer \u{e9}"], None),
        ];
        for (values, expected) in rows {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::AUTHORIZATION, axum::http::HeaderValue::from_bytes(value.as_bytes()).unwrap());
            }
            assert_eq!(bearer(&headers), expected, "{values:?}");
        }
    }
}
