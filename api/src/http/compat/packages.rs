//! `GET /packages` and `POST /packages/from-zip`: the packages that there are, and one more.

use super::{
    super::{
        Problem,
        auth::Caller,
        body::{LimitedBody, media_type},
        problem::ProblemBody,
        query::{NoQuery, Query},
        router::Api,
        routes::{
            json,
            packages::{
                VersionShown,
                create::{owner, publish},
            },
            uploads::receive::receive_in_memory,
        },
        schema::UploadForm,
    },
    package_id,
};
use crate::{
    functions::newest,
    packages::{Bounds, Visibility},
};
use axum::{
    extract::{Request, State},
    http::{StatusCode, Uri},
    response::Response,
};
use mecapy_store::{LIST_LIMIT_MAX, PackageSummary, Store, StoreError, Viewer};
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

const PER_PAGE_DEFAULT: u64 = 20;
const PER_PAGE_MAX: u64 = 100;
/// As far as pages go: each is found by reading those before it.
const PACKAGES_MAX: u64 = 2_000;

/// Packages by owner and name.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PackagePage {
    packages: Vec<PackageOfPage>,
    page: u64,
    per_page: u64,
    /// Whether there is another page.
    has_next: bool,
}

/// A package that the caller may see, in its newest version.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PackageOfPage {
    /// Null where every version is yanked.
    package_id: Option<String>,
    owner: String,
    name: String,
    version: Option<String>,
    #[schema(value_type = String)]
    visibility: Visibility,
    description: String,
}

/// A version that was published.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PackagePublished {
    package_id: String,
    #[serde(flatten)]
    version: VersionShown,
}

/// A page of the packages that the caller may see.
#[utoipa::path(get, path = "/packages", tag = "Compatibility",
    params(
        ("page" = Option<u64>, Query, description = "From 1, which it is when absent"),
        ("per_page" = Option<u64>, Query, description = "1 to 100; 20 when absent")
    ),
    responses((status = 200, body = PackagePage))
)]
pub(super) async fn list(State(api): State<Arc<Api>>, caller: Caller, uri: Uri) -> Result<Response, Problem> {
    let mut query = Query::of(&uri, &["page", "per_page"])?;
    let per_page = query.integer("per_page", 1..=PER_PAGE_MAX)?.unwrap_or(PER_PAGE_DEFAULT);
    // The list with a cursor has no end.
    let page = query.integer("page", 1..=PACKAGES_MAX / per_page)?.unwrap_or(1);
    let mut found = packages_from(&api.app.store, caller.viewer(), (page - 1) * per_page, per_page + 1).await?;
    let has_next = found.len() as u64 > per_page;
    found.truncate(usize::try_from(per_page).unwrap_or(usize::MAX));
    let packages = found.into_iter().map(PackageOfPage::of).collect();
    json(StatusCode::OK, &PackagePage { packages, page, per_page, has_next })
}

/// So many packages after the first `skipped`.
async fn packages_from(
    store: &Store,
    viewer: Viewer,
    mut skipped: u64,
    wanted: u64,
) -> Result<Vec<PackageSummary>, StoreError> {
    let mut after = None;
    while skipped > 0 {
        let step = skipped.min(u64::from(LIST_LIMIT_MAX));
        let found = store.packages(viewer, None, after, u32::try_from(step).unwrap_or(LIST_LIMIT_MAX)).await?;
        match found.into_iter().nth(usize::try_from(step - 1).unwrap_or(usize::MAX)) {
            Some(last) => after = Some((last.owner, last.name)),
            None => return Ok(Vec::new()),
        }
        skipped -= step;
    }
    store.packages(viewer, None, after, u32::try_from(wanted).unwrap_or(LIST_LIMIT_MAX)).await
}

impl PackageOfPage {
    fn of(package: PackageSummary) -> Self {
        let version = newest(&package).map(|version| version.version.clone());
        let PackageSummary { owner, name, visibility, description, .. } = package;
        let package_id = version.as_deref().map(|version| package_id::of_parts(&owner, &name, version));
        Self { package_id, owner, name, version, visibility, description }
    }
}

/// Publishes a version of a package under the name of the caller's tenant, as `POST /v1/packages` does: a zip with
/// `mecapy.yml` at its root, in a form or by itself.
#[utoipa::path(post, path = "/packages/from-zip", tag = "Compatibility",
    request_body(content(
        (UploadForm = "multipart/form-data"),
        (Vec<u8> = "application/zip")
    )),
    responses(
        (status = 201, body = PackagePublished),
        (status = 409, body = ProblemBody, content_type = "application/problem+json", description = "The version exists"),
        (status = 415, body = ProblemBody, content_type = "application/problem+json", description = "Neither a form nor a zip"),
        (status = 422, body = ProblemBody, content_type = "application/problem+json", description = "The package has faults, or a test case failed")
    )
)]
pub(super) async fn from_zip(
    State(api): State<Arc<Api>>,
    caller: Caller,
    _: NoQuery,
    request: Request,
) -> Result<Response, Problem> {
    let bytes_max = Bounds::PACKAGE.archive_bytes_max;
    let owner = owner(&api, &caller, None).await?;
    let is_form = match media_type(request.headers()).as_deref() {
        Some("multipart/form-data") => true,
        Some("application/zip" | "application/x-zip-compressed") => false,
        _ => return Err(Problem::unsupported_media("send multipart/form-data with one file, or application/zip")),
    };
    let zip = async {
        if is_form {
            return receive_in_memory(request, bytes_max).await;
        }
        Ok(LimitedBody::of(request, bytes_max)?.whole().await?.to_vec())
    };
    let published = publish(&api, &caller, owner, false, zip).await?;
    let package_id = package_id::of_version(&published.published.row);
    let version = VersionShown::of(published).map_err(|error| Problem::internal(&error))?;
    json(StatusCode::CREATED, &PackagePublished { package_id, version })
}
