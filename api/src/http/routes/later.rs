//! Routes that the contract names and that are not built yet: 422 `not_available`, never a pretence.

use crate::http::{Problem, router::Api};
use axum::{Router, routing::any};
use std::sync::Arc;
use utoipa_axum::router::OpenApiRouter;

/// Each path with what is under it; `*` takes the rest of a path.
const LATER: [&str; 2] = ["/console", "/console/{*rest}"];

pub(in crate::http) fn later() -> OpenApiRouter<Arc<Api>> {
    let plain = LATER.into_iter().fold(Router::new(), |router, path| router.route(path, any(not_available)));
    OpenApiRouter::from(plain)
}

async fn not_available() -> Problem {
    Problem::not_available("")
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::response::IntoResponse as _;

    #[tokio::test]
    async fn what_is_not_built_says_so() {
        let response = not_available().await.into_response();
        assert_eq!(response.status(), 422);
        let body = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["errors"][0]["code"], "not_available");
    }
}
