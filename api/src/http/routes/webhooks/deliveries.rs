//! `GET /v1/webhooks/{id}/deliveries`

use super::{
    super::{json, next_cursor},
    WEBHOOK,
    shown::DeliveryShown,
    webhook_id,
};
use crate::http::{Problem, auth::Caller, query::Query, router::Api};
use axum::{
    extract::{Path, State},
    http::{StatusCode, Uri},
    response::Response,
};
use mecapy_model::DeliveryId;
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

const LIMIT_DEFAULT: u64 = 50;
const LIMIT_MAX: u64 = 200;

/// Deliveries, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct Deliveries {
    deliveries: Vec<DeliveryShown>,
    /// Give this as `cursor` to see more; null at the end.
    next_cursor: Option<String>,
}

/// What was sent to a webhook and how it went, newest first; kept for 30 days. An admin key is needed.
#[utoipa::path(get, path = "/v1/webhooks/{id}/deliveries", tag = "Events",
    params(
        ("id" = uuid::Uuid, Path),
        ("limit" = Option<u32>, Query, description = "1 to 200; 50 when absent"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before")
    ),
    responses((status = 200, body = Deliveries))
)]
pub(in crate::http) async fn list(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(id): Path<String>,
    uri: Uri,
) -> Result<Response, Problem> {
    let id = webhook_id(&id)?;
    let mut query = Query::of(&uri, &["limit", "cursor"])?;
    let limit = query.integer("limit", 1..=LIMIT_MAX)?.unwrap_or(LIMIT_DEFAULT);
    let before = query.cursor(|text| text.parse::<DeliveryId>().ok())?;
    // One more than asked for says whether there is another page.
    let wanted = u32::try_from(limit + 1).unwrap_or(u32::MAX);
    let found = api.app.store.deliveries(caller.tenant(), id, before, wanted).await?;
    let mut found = found.ok_or_else(|| Problem::not_found(WEBHOOK))?;
    let next_cursor = next_cursor(&mut found, limit, |delivery| delivery.id.to_string());
    json(StatusCode::OK, &Deliveries { deliveries: found.iter().map(DeliveryShown::new).collect(), next_cursor })
}
