//! `POST /v1/packages`

use super::{
    super::{json, not_built},
    VersionShown,
};
use crate::{
    functions::{Publication, Publisher},
    http::{
        Problem,
        auth::Caller,
        body::{LimitedBody, media_type},
        problem::ProblemBody,
        query::Query,
        router::Api,
    },
    packages::{Bounds, PackageName},
    programs::{Place, Room},
};
use axum::{
    extract::{Request, State},
    http::StatusCode,
    response::Response,
};
use std::{sync::Arc, time::Duration};

/// How long a package waits for those before it.
const ROOM_TIMEOUT: Duration = Duration::from_secs(30);
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// Publishes a version of a package: a zip with `mecapy.yml` at its root.
///
/// The manifest, the source and the wheels are checked, and the package's own test cases run in sandboxes; every fault
/// is answered with its place, and nothing is kept then. A version never changes: the same one again is 409.
#[utoipa::path(post, path = "/v1/packages", tag = "Functions",
    params(
        ("owner" = Option<String>, Query, description = "Under whose name; the tenant's own when absent"),
        ("check" = Option<bool>, Query, description = "`true`: everything but keeping it, answered with 200")
    ),
    request_body(content = Vec<u8>, content_type = "application/zip"),
    responses(
        (status = 201, body = VersionShown),
        (status = 200, body = VersionShown, description = "Checked alone"),
        (status = 409, body = ProblemBody, content_type = "application/problem+json", description = "The version exists"),
        (status = 415, body = ProblemBody, content_type = "application/problem+json", description = "Not sent as a zip"),
        (status = 422, body = ProblemBody, content_type = "application/problem+json", description = "The package has faults, or a test case failed")
    )
)]
pub(in crate::http) async fn create(
    State(api): State<Arc<Api>>,
    caller: Caller,
    request: Request,
) -> Result<Response, Problem> {
    let mut query = Query::of(request.uri(), &["owner", "check"])?;
    let check_only = match query.text("check").as_deref() {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => return Err(Problem::fault("/check", "invalid", "true or false is needed here")),
    };
    let owner = owner(&api, &caller, query.text("owner")).await?;
    if !matches!(media_type(request.headers()).as_deref(), Some("application/zip" | "application/x-zip-compressed")) {
        return Err(Problem::unsupported_media("send the package as `Content-Type: application/zip`"));
    }
    let zip = async { Ok(LimitedBody::of(request, Bounds::PACKAGE.archive_bytes_max)?.whole().await?.into()) };
    let published = publish(&api, &caller, owner, check_only, zip).await?;
    let shown = VersionShown::of(published).map_err(|error| Problem::internal(&error))?;
    json(if check_only { StatusCode::OK } else { StatusCode::CREATED }, &shown)
}

/// Publishes the package that `zip` reads, once there is room for it in memory.
pub(in crate::http) async fn publish(
    api: &Api,
    caller: &Caller,
    owner: PackageName,
    check_only: bool,
    zip: impl Future<Output = Result<Vec<u8>, Problem>>,
) -> Result<Publication, Problem> {
    let app = &api.app;
    let programs = app.programs().ok_or_else(not_built)?;
    if let Some(over) = app.store.over_fuel(caller.tenant()).await? {
        return Err(over.into());
    }
    // Before the first byte: what waits does so in the client, not in memory.
    let _in_memory = place(&app.package_bodies, caller).await?;
    let zip = zip.await?;
    let place = Arc::new(place(&app.package_room, caller).await?);
    let store = api.store_for(caller);
    let publisher = Publisher {
        store: &store,
        functions: &app.functions,
        library: programs.library(),
        sandboxes: &app.sandboxes,
        viewer: caller.viewer(),
        publisher_name: caller.name(),
        place,
    };
    Ok(publisher.publish(owner, zip, check_only).await?)
}

async fn place(room: &Room, caller: &Caller) -> Result<Place, Problem> {
    let entered = tokio::time::timeout(ROOM_TIMEOUT, room.enter(caller.tenant())).await;
    let busy = || Problem::too_many("other packages are being tested: try again in a moment", RETRY_AFTER);
    entered.map_err(|_| busy())
}

/// The owner that is named, or the one that the tenant's name gives.
pub(in crate::http) async fn owner(api: &Api, caller: &Caller, named: Option<String>) -> Result<PackageName, Problem> {
    if let Some(named) = named {
        return named
            .parse()
            .map_err(|error: crate::packages::Invalid| Problem::fault("/owner", "invalid", error.to_string()));
    }
    let tenant = api.app.store.tenant(caller.tenant()).await?.ok_or_else(|| Problem::not_found("tenant"))?;
    let slug: String =
        tenant.name.to_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    slug.trim_matches('-').parse().map_err(|_| {
        let message = format!("no owner's name can be made of the tenant's name {:?}: give one", tenant.name);
        Problem::fault("/owner", "required", message)
    })
}
