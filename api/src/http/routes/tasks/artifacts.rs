//! `GET /v1/tasks/{id}/artifacts`

use super::{super::json, TASK, task_id};
use crate::app::App;
use crate::http::{
    Problem,
    auth::Caller,
    query::NoQuery,
    router::Api,
    routes::objects::{Origin, url_of},
    shown::{ArtifactShown, time},
};
use ::time::OffsetDateTime;
use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};
use mecapy_store::{Download, StoredArtifact};
use std::{sync::Arc, time::Duration};

/// How long a URL works.
pub(in crate::http) const URL_LIFETIME: Duration = Duration::from_secs(3600);

/// The files that a task produced, each with a URL that works for an hour.
#[utoipa::path(get, path = "/v1/tasks/{id}/artifacts", tag = "Tasks", params(("id" = uuid::Uuid, Path)), responses(
    (status = 200, body = Vec<ArtifactShown>)
))]
pub(in crate::http) async fn artifacts(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(id): Path<String>,
    _: NoQuery,
    origin: Origin,
) -> Result<Response, Problem> {
    let store = &api.app.store;
    let found = store.artifacts(caller.tenant(), task_id(&id)?).await?;
    let artifacts = found.ok_or_else(|| Problem::not_found(TASK))?;
    let expires_at = store.clock().now() + URL_LIFETIME;
    let mut shown = Vec::with_capacity(artifacts.len());
    for artifact in artifacts {
        shown.push(self::shown(&api.app, &origin, artifact, expires_at).await?);
    }
    json(StatusCode::OK, &shown)
}

/// An artifact with a URL that works until `expires_at`.
pub(in crate::http) async fn shown(
    app: &App,
    origin: &Origin,
    artifact: StoredArtifact,
    expires_at: OffsetDateTime,
) -> Result<ArtifactShown, Problem> {
    let download = Download { name: artifact.name.as_str(), content_type: &artifact.content_type };
    let link = app.store.objects().link_get(&artifact.key, download, URL_LIFETIME).await?;
    Ok(ArtifactShown {
        name: artifact.name.as_str().to_owned(),
        size_bytes: artifact.size_bytes,
        sha256: artifact.sha256.to_string(),
        url: url_of(app, origin, link),
        content_type: artifact.content_type,
        expires_at: time(expires_at),
    })
}
