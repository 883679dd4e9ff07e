//! Around every request: how long it took, and what happens when a handler panics.

use super::{Problem, router::Api};
use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderValue, Method, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::Arc,
    task::Poll,
    time::Instant,
};

/// Requests that no route answered are counted under this.
const NO_ROUTE: &str = "none";

/// Answers 500 where the handler panics, and counts the request by its route's pattern.
pub(super) async fn observe(State(api): State<Arc<Api>>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let method = method_name(request.method());
    let mut response = caught(next.run(request)).await;
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    let route = route.as_ref().map_or(NO_ROUTE, MatchedPath::as_str);
    api.app.metrics.request(route, method, response.status().as_u16(), started.elapsed());
    response
}

/// The answer of `handling`, or a 500 where it panics: the connection and the process go on.
async fn caught(handling: impl Future<Output = Response>) -> Response {
    let mut handling = pin!(handling);
    std::future::poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| handling.as_mut().poll(cx))) {
        Ok(polled) => polled,
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
            Poll::Ready(Problem::internal(&format_args!("a handler panicked: {text}")).into_response())
        }
    })
    .await
}

/// Methods that nobody defined share one name, so that a peer can't make up labels.
fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::PATCH => "PATCH",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_an_answer_without_details() {
        let response = caught(async { panic!("secret {}", 1) }).await;
        assert_eq!(response.status(), 500);
        let body = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
        assert!(!String::from_utf8_lossy(&body).contains("secret"));
    }
}
