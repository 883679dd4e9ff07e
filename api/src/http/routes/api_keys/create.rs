//! `POST /v1/api-keys`

use super::super::json;
use crate::{
    http::{
        Problem,
        auth::{Caller, Principal},
        body,
        query::NoQuery,
        router::Api,
        schema::ApiKeyRequest,
        shown::ApiKeyShown,
    },
    json::{Faults, Fields, Path, Value, check},
};
use axum::{
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use mecapy_model::TenantId;
use mecapy_store::{NewApiKey, Role, Scope, Scopes};
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

/// What a key's maker may pass on.
#[derive(Debug, Clone, Copy)]
struct Most {
    scopes: Scopes,
    expires_at: Option<OffsetDateTime>,
}

/// Makes a key of the caller's tenant, which may do and last no more than its maker. An admin key is needed.
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
    NewKey::make(&api, &caller, caller.tenant(), request).await
}

impl NewKey {
    /// Answers a request for a key of `tenant`.
    pub(in crate::http) async fn make(
        api: &Api,
        caller: &Caller,
        tenant: TenantId,
        request: Request,
    ) -> Result<Response, Problem> {
        let body = body::json(request, api.app.limits.json_bytes_max).await?;
        let asked = read(check(&body)?, tenant, api.app.store.clock().now())?;
        let new = limited(asked, Most::of(caller))?;
        let created = api.store_for(caller).create_api_key(new).await?;
        let shown = NewKey { key: created.secret.expose().to_owned(), shown: ApiKeyShown::new(&created.key) };
        let mut response = json(StatusCode::CREATED, &shown)?;
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        Ok(response)
    }
}

impl Most {
    fn of(caller: &Caller) -> Self {
        let expires_at = match caller.principal() {
            Principal::ApiKey(key) => key.expires_at,
            // A token ends within minutes, and who it is of goes on.
            Principal::AccessToken(_) => None,
        };
        Self { scopes: caller.scopes(), expires_at }
    }
}

/// What was asked for, as far as its maker's own rights go; 403 where more was named.
fn limited(asked: NewApiKey, most: Most) -> Result<NewApiKey, Problem> {
    let of_role = Scopes::of(asked.role);
    let named = asked.scopes.unwrap_or_default();
    let scopes = asked.scopes.unwrap_or(of_role).narrowed_to(most.scopes);
    if named.narrowed_to(most.scopes) != named || scopes == Scopes::default() {
        return Err(Problem::forbidden("a key can't have a scope that its maker does not have"));
    }
    let expires_at = match (asked.expires_at, most.expires_at) {
        (Some(asked), Some(most)) if asked > most => {
            return Err(Problem::forbidden("a key can't outlive the key that makes it"));
        }
        (asked, most) => asked.or(most),
    };
    Ok(NewApiKey { scopes: (scopes != of_role).then_some(scopes), expires_at, ..asked })
}

fn read(text: &str, tenant: TenantId, now: OffsetDateTime) -> Result<NewApiKey, Problem> {
    let mut faults = Faults::default();
    let mut new = NewApiKey { tenant, name: String::new(), role: Role::Engineer, scopes: None, expires_at: None };
    if let Some(mut fields) = Fields::open(Value::of(text), Path::Root, &mut faults) {
        let path = fields.path();
        new.name = fields.string("name", &mut faults).unwrap_or_default().into_owned();
        if !(1..=NAME_CHARS_MAX).contains(&new.name.chars().count()) || new.name.contains('\0') {
            let message = format!("a name of 1 to {NAME_CHARS_MAX} characters other than U+0000 is needed");
            faults.at(path.key("name"), "invalid", message);
        }
        new.role = fields.one_of("role", &ROLES, &mut faults).unwrap_or(Role::Engineer);
        new.scopes = scopes(&mut fields, new.role, &mut faults);
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

fn scopes(fields: &mut Fields<'_, '_>, role: Role, faults: &mut Faults) -> Option<Scopes> {
    let value = fields.take("scopes")?;
    let path = fields.path();
    let path = path.key("scopes");
    let Ok(names) = serde_json::from_str::<Vec<String>>(value.text()) else {
        faults.wrong_kind(path, "a list of strings", value);
        return None;
    };
    let read: Result<Scopes, String> = names.iter().map(|name| name.parse::<Scope>()).collect();
    match read {
        Ok(scopes) if scopes == Scopes::default() => {
            faults.at(path, "invalid", "one scope at least is needed: leave the field out for all of the role's");
        }
        Ok(scopes) if scopes.narrowed_to(Scopes::of(role)) != scopes => {
            faults.at(path, "invalid", format!("the role {} does not have all of these scopes", role.as_str()));
        }
        Ok(scopes) => return Some(scopes),
        Err(unknown) => faults.at(path, "unknown_value", unknown),
    }
    None
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
            (r#"{"name": "a\u0000b"}"#, "/name"),
            (r#"{"name": "x", "scopes": "read"}"#, "/scopes"),
            (r#"{"name": "x", "scopes": [1]}"#, "/scopes"),
            (r#"{"name": "x", "scopes": []}"#, "/scopes"),
            (r#"{"name": "x", "scopes": ["write"]}"#, "/scopes"),
            (r#"{"name": "x", "role": "viewer", "scopes": ["compute"]}"#, "/scopes"),
        ] {
            assert_eq!(read(text, tenant, now).unwrap_err().errors()[0].pointer, pointer, "{text}");
        }
    }

    fn scopes_of(names: &[Scope]) -> Scopes {
        names.iter().copied().collect()
    }

    #[test]
    fn a_key_is_never_more_than_its_maker() {
        let now = datetime!(2026-06-01 00:00 UTC);
        let made = |text: &str, most: Most| limited(read(text, TenantId::from_parts(1, &[1; 10]), now).unwrap(), most);
        let all = Most { scopes: Scopes::of(Role::Admin), expires_at: None };
        let narrow =
            Most { scopes: scopes_of(&[Scope::Read, Scope::Admin]), expires_at: Some(now + time::Duration::DAY) };
        // As it was asked for.
        assert_eq!(made(r#"{"name": "x", "role": "admin"}"#, all).unwrap().scopes, None);
        let read_only = made(r#"{"name": "x", "scopes": ["read", "read"]}"#, all).unwrap();
        assert_eq!((read_only.scopes, read_only.expires_at), (Some(scopes_of(&[Scope::Read])), None));
        // As far as the maker's rights go, where nothing more is named.
        let less = made(r#"{"name": "x"}"#, narrow).unwrap();
        assert_eq!((less.scopes, less.expires_at), (Some(scopes_of(&[Scope::Read])), narrow.expires_at));
        for text in [
            r#"{"name": "x", "scopes": ["compute"]}"#,
            r#"{"name": "x", "scopes": ["read", "compute"]}"#,
            r#"{"name": "x", "expires_at": "2026-06-03T00:00:00Z"}"#,
        ] {
            assert_eq!(made(text, narrow).unwrap_err().status(), 403, "{text}");
        }
    }
}
