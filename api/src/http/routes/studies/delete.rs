//! `DELETE /v1/studies/{id}`

use super::{STUDY, study_id};
use crate::http::{Problem, auth::Caller, query::NoQuery, router::Api};
use axum::{
    extract::{Path, State},
    http::StatusCode,
};
use std::sync::Arc;

/// Deletes a study. What belonged to it stays, and belongs to none.
#[utoipa::path(delete, path = "/v1/studies/{id}", tag = "Studies", params(("id" = uuid::Uuid, Path)),
    responses((status = 204))
)]
pub(in crate::http) async fn delete(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(id): Path<String>,
    _: NoQuery,
) -> Result<StatusCode, Problem> {
    match api.store_for(&caller).delete_study(caller.tenant(), study_id(&id)?).await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(Problem::not_found(STUDY)),
    }
}
