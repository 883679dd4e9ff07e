//! `GET /auth/me`, `/auth/protected` and `/auth/admin`: who is asking.

use super::super::{
    Problem,
    auth::{Caller, Principal},
    query::NoQuery,
    routes::json,
};
use axum::{http::StatusCode, response::Response};
use serde::Serialize;
use utoipa::ToSchema;

/// A person or a machine. A text is empty where nobody told it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct UserInfo<'a> {
    /// The name of the API key, person or machine.
    preferred_username: &'a str,
    email: &'a str,
    given_name: &'a str,
    family_name: &'a str,
    /// One role; it has what those below it have.
    roles: [&'static str; 1],
}

/// A good credential.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ProtectedAccess<'a> {
    message: &'static str,
    user_info: UserInfo<'a>,
    endpoint: &'static str,
}

/// A good credential of an administrator.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AdminAccess {
    message: &'static str,
    admin_access: bool,
    endpoint: &'static str,
}

impl<'a> UserInfo<'a> {
    fn of(caller: &'a Caller) -> Self {
        let person = match caller.principal() {
            Principal::ApiKey(_) => None,
            Principal::AccessToken(identity) => Some(&identity.person),
        };
        let (email, given_name, family_name) = person
            .map(|person| (person.email.as_deref(), person.given_name.as_deref(), person.family_name.as_deref()))
            .unwrap_or_default();
        Self {
            preferred_username: caller.name(),
            email: email.unwrap_or_default(),
            given_name: given_name.unwrap_or_default(),
            family_name: family_name.unwrap_or_default(),
            roles: [caller.role().as_str()],
        }
    }
}

/// Who is asking, for the SDK.
#[utoipa::path(get, path = "/auth/me", tag = "Compatibility", responses((status = 200, body = UserInfo)))]
pub(super) async fn me(caller: Caller, _: NoQuery) -> Result<Response, Problem> {
    json(StatusCode::OK, &UserInfo::of(&caller))
}

/// Whether the credentials are good.
#[utoipa::path(get, path = "/auth/protected", tag = "Compatibility", responses((status = 200, body = ProtectedAccess)))]
pub(super) async fn protected(caller: Caller, _: NoQuery) -> Result<Response, Problem> {
    let user_info = UserInfo::of(&caller);
    let message = "these credentials are good";
    json(StatusCode::OK, &ProtectedAccess { message, user_info, endpoint: "protected" })
}

/// Whether the credentials are an administrator's.
#[utoipa::path(get, path = "/auth/admin", tag = "Compatibility", responses((status = 200, body = AdminAccess)))]
pub(super) async fn admin(caller: Caller, _: NoQuery) -> Result<Response, Problem> {
    caller.must_administer()?;
    let message = "these credentials are an administrator's";
    json(StatusCode::OK, &AdminAccess { message, admin_access: true, endpoint: "admin" })
}
