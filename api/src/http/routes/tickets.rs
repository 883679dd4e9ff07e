//! `POST /v1/tickets`

use super::{json, no_body};
use crate::http::{Problem, auth::Caller, router::Api, shown::time};
use axum::{
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// What opens an event stream without a header.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct TicketShown {
    /// Give this as the query field `ticket`.
    ticket: String,
    /// It opens nothing from then on. A stream that is open by then goes on for as long as the credential is good that the
    /// ticket was asked for with.
    #[schema(format = DateTime)]
    expires_at: String,
}

/// A ticket for event streams, good for a minute.
///
/// Browsers can't send credentials when they open an event stream, and no key or token should be in a URL. A ticket
/// opens `/v1/events` and `/v1/tasks/{id}/events` of the caller's tenant and nothing else.
#[utoipa::path(post, path = "/v1/tickets", tag = "Events", responses((status = 201, body = TicketShown)))]
pub(in crate::http) async fn create(
    State(api): State<Arc<Api>>,
    caller: Caller,
    request: Request,
) -> Result<Response, Problem> {
    no_body(request).await?;
    let store = &api.app.store;
    let ticket = caller.ticket(store.clock().now());
    let shown = TicketShown { ticket: store.signer().ticket(&ticket), expires_at: time(ticket.expires_at) };
    let mut response = json(StatusCode::CREATED, &shown)?;
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}
