//! What the OpenAPI document says beside its routes.

use super::problem::ProblemBody;
use utoipa::{
    Modify, OpenApi,
    openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
};

/// The document's head; routes add themselves.
pub(super) fn document() -> utoipa::openapi::OpenApi {
    Head::openapi()
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
        (name = "Files", description = "Input files and WASI modules."),
        (name = "Operations", description = "The state of the platform, and keys."),
        (name = "Not available yet", description = "Named in the contract; answers 422 `not_available`.")
    )
)]
struct Head;

struct Credentials;

impl Modify for Credentials {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let description = "An API key. The first start of a server writes an admin key to `<data dir>/admin.key`.";
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(description)).build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("api_key", SecurityScheme::Http(scheme));
    }
}
