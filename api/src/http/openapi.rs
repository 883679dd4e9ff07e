//! What the OpenAPI document says beside its routes.

use super::problem::ProblemBody;
use axum::{
    body::{Body, Bytes},
    http::{HeaderValue, header},
};
use std::future::{Ready, ready};
use utoipa::{
    Modify, OpenApi,
    openapi::{
        ContentBuilder, PathItem, Ref, RefOr, Response, ResponseBuilder,
        path::Operation,
        security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};

/// Where the document is.
pub(super) const PATH: &str = "/openapi.json";

/// The document's head; routes add themselves.
pub(super) fn document() -> utoipa::openapi::OpenApi {
    Head::openapi()
}

/// Adds to every route what every route may answer.
pub(super) fn finish(document: &mut utoipa::openapi::OpenApi) {
    for operation in document.paths.paths.values_mut().flat_map(operations) {
        let guarded = operation.security.is_none();
        let responses = &mut operation.responses.responses;
        let mut add = |status: &str, description: &str| {
            responses.entry(status.to_owned()).or_insert_with(|| RefOr::T(problem(description)));
        };
        add("default", "Any other problem");
        if guarded {
            add("401", "No credentials, or bad ones");
            add("403", "These credentials do not allow that");
            add("429", "Too much at once: see Retry-After");
            add("503", "Not ready: see Retry-After");
        }
    }
}

/// A handler that answers with the document. All answers share its bytes, so that readers who take their time, which
/// needs no credentials, cost no memory.
pub(super) fn serve(
    document: &utoipa::openapi::OpenApi,
) -> impl Fn() -> Ready<axum::response::Response> + Clone + use<> {
    let bytes = Bytes::from(serde_json::to_vec(document).unwrap_or_default());
    move || {
        let mut response = axum::response::Response::new(Body::from(bytes.clone()));
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        ready(response)
    }
}

fn operations(path: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut path.get, &mut path.post, &mut path.put, &mut path.patch, &mut path.delete].into_iter().flatten()
}

fn problem(description: &str) -> Response {
    let body = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    ResponseBuilder::new().description(description).content("application/problem+json", body).build()
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "MecaPy",
        description = "Computations over REST: each in a fresh sandbox, at once (previews) or queued (tasks).\n\n\
            Errors are RFC 9457 problem details, with a JSON pointer for each fault. Unknown fields are faults. \
            429 and 503 say when to come back in `Retry-After`. Times are RFC 3339 UTC, ids are UUIDv7.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    components(schemas(ProblemBody)),
    security(("api_key" = [])),
    modifiers(&Credentials),
    tags(
        (name = "Previews", description = "Run now, answer in the response; nothing is kept but the usage."),
        (name = "Tasks", description = "Queue, watch, fetch."),
        (name = "Batches", description = "One computation for many inputs: explicit items or a sweep; tables, statistics and pictures of what came out."),
        (name = "Workflows", description = "Graphs of tasks, approvals and nested workflows; their runs, which advance by themselves."),
        (name = "Studies", description = "What belongs to one engineering question: as one table, as a picture, two cases side by side."),
        (name = "Schedules", description = "Tasks and workflow runs that are started at the times of a cron pattern."),
        (name = "Functions", description = "Packages of functions that are called by name, with checked inputs and units."),
        (name = "Events", description = "Hear of what ended: a stream, and webhooks."),
        (name = "Files", description = "Input files and WASI modules."),
        (name = "Operations", description = "The state of the platform, keys, tenants, usage and the audit log."),
        (name = "Compatibility", description = "What the public MecaPy SDK asks, with its names and shapes."),
        (name = "Not available yet", description = "Named in the contract; answers 422 `not_available`.")
    )
)]
struct Head;

struct Credentials;

impl Modify for Credentials {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let description = "An API key (the first start of a server writes an admin key to `<data dir>/admin.key`), or an \
            access token of the OpenID Connect issuer that the server trusts.";
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(description)).build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("api_key", SecurityScheme::Http(scheme));
    }
}
