//! `GET /v1/audit`

use super::{id, json};
use crate::http::{Problem, auth::Caller, query::Query, router::Api, shown::time};
use axum::{
    extract::State,
    http::{StatusCode, Uri},
    response::Response,
};
use mecapy_store::{AuditEntry, LIST_LIMIT_MAX};
use serde::Serialize;
use serde_json::value::RawValue;
use std::sync::Arc;
use utoipa::ToSchema;

const LIMIT_DEFAULT: u64 = 50;
/// The logs of all tenants.
const ALL: &str = "*";
const TENANT: &str = "tenant";

/// Entries, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct Audit<'a> {
    entries: Vec<EntryShown<'a>>,
    /// Give this as `cursor` to see more; null at the end.
    next_cursor: Option<&'a str>,
}

/// Who changed what.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditEntry)]
pub(in crate::http) struct EntryShown<'a> {
    #[schema(format = DateTime)]
    at: String,
    /// Whose things were changed.
    tenant_id: String,
    /// `api_key:<id>`, `access_token:<subject>`, or `platform`.
    principal: &'a str,
    /// For people.
    principal_name: Option<&'a str>,
    /// As in `api_key.created`.
    action: &'a str,
    /// The id of what was changed.
    target: &'a str,
    /// What else there is to say; never a secret.
    #[schema(value_type = Option<Object>)]
    detail: Option<&'a RawValue>,
    /// The `X-Request-Id` of the request.
    request_id: Option<&'a str>,
}

impl<'a> EntryShown<'a> {
    fn new(entry: &'a AuditEntry) -> Self {
        Self {
            at: time(entry.at),
            tenant_id: entry.tenant.to_string(),
            principal: &entry.principal,
            principal_name: entry.principal_name.as_deref(),
            action: &entry.action,
            target: &entry.target,
            detail: entry.detail.as_deref(),
            request_id: entry.request_id.as_deref(),
        }
    }
}

/// Who changed keys, tenants, quotas and webhooks, and who cancelled and deleted tasks, newest first. An admin key is
/// needed.
#[utoipa::path(get, path = "/v1/audit", tag = "Operations",
    params(
        ("limit" = Option<u32>, Query, description = "1 to 200; 50 when absent"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
        ("tenant" = Option<String>, Query, description = "Another tenant, or `*` for all, for operators")
    ),
    responses((status = 200, body = Audit))
)]
pub(in crate::http) async fn audit(State(api): State<Arc<Api>>, caller: Caller, uri: Uri) -> Result<Response, Problem> {
    caller.must_administer()?;
    let mut query = Query::of(&uri, &["limit", "cursor", "tenant"])?;
    let limit = query.integer("limit", 1..=u64::from(LIST_LIMIT_MAX))?.unwrap_or(LIMIT_DEFAULT);
    let cursor = query.text("cursor").filter(|text| !text.is_empty());
    let store = &api.app.store;
    let tenant = match query.text("tenant").filter(|text| !text.is_empty()) {
        None => Some(caller.tenant()),
        Some(text) if text == ALL => {
            caller.must_operate(store)?;
            None
        }
        Some(text) => {
            let asked = id(&text, TENANT)?;
            let known = store.is_operator(caller.tenant()) && store.tenant(asked).await?.is_some();
            if asked != caller.tenant() && !known {
                return Err(Problem::not_found(TENANT));
            }
            Some(asked)
        }
    };
    let page = store.audit(tenant, u32::try_from(limit).unwrap_or(LIST_LIMIT_MAX), cursor.as_deref()).await?;
    let entries = page.entries.iter().map(EntryShown::new).collect();
    json(StatusCode::OK, &Audit { entries, next_cursor: page.next_cursor.as_deref() })
}
