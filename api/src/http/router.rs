//! All routes, and what stands around them.

use super::{Problem, auth, compat, observe, openapi, rate::Rates, routes, streams::Streams};
use crate::app::App;
use axum::{Router, extract::DefaultBodyLimit, middleware, routing::get};
use std::sync::Arc;
use utoipa_axum::{router::OpenApiRouter, routes};
use utoipa_swagger_ui::{Config, SwaggerUi};

/// What handlers share.
pub(super) struct Api {
    pub(super) app: Arc<App>,
    pub(super) rates: Rates,
    pub(super) streams: Arc<Streams>,
    pub(super) waits: Arc<Streams>,
}

/// The whole API of `app`.
pub fn router(app: Arc<App>) -> Router {
    let api = api(app);
    let guarded = guarded().layer(middleware::from_fn_with_state(Arc::clone(&api), auth::authenticate));
    let all = OpenApiRouter::with_openapi(openapi::document()).merge(open()).merge(guarded);
    let (router, mut document) = all.split_for_parts();
    openapi::finish(&mut document);
    router
        .route(openapi::PATH, get(openapi::serve(&document)))
        .merge(SwaggerUi::new("/docs").config(Config::from(openapi::PATH)))
        .fallback(|| async { Problem::not_found("route") })
        .method_not_allowed_fallback(|| async { Problem::method_not_allowed() })
        // Every route counts its own bytes.
        .layer(DefaultBodyLimit::disable())
        .layer(middleware::from_fn_with_state(Arc::clone(&api), observe::observe))
        .with_state(api)
}

/// What a process without an API answers of itself: its health, its readiness and its metrics.
pub fn operations(app: Arc<App>) -> Router {
    Router::new()
        .route("/health", get(routes::health::health))
        .route("/ready", get(routes::ready::ready))
        .route("/metrics", get(routes::metrics::metrics))
        .fallback(|| async { Problem::not_found("route") })
        .method_not_allowed_fallback(|| async { Problem::method_not_allowed() })
        .with_state(api(app))
}

fn api(app: Arc<App>) -> Arc<Api> {
    let (streams, waits) = (Streams::of_events(&app.limits), Streams::of_waits(&app.limits));
    Arc::new(Api { app, rates: Rates::default(), streams, waits })
}

/// Routes that need no credentials; `/openapi.json` and `/docs` are added above.
fn open() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(routes::root::root))
        .routes(routes!(routes::health::health))
        .routes(routes!(routes::ready::ready))
        .routes(routes!(routes::metrics::metrics))
        .routes(routes!(routes::objects::get::get, routes::objects::put::put))
}

/// Routes that need credentials.
fn guarded() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(routes::preview::preview))
        .routes(routes!(routes::tasks::submit::submit, routes::tasks::list::list))
        .routes(routes!(routes::tasks::get::get, routes::tasks::delete::delete))
        .routes(routes!(routes::tasks::result::result))
        .routes(routes!(routes::tasks::logs::logs))
        .routes(routes!(routes::tasks::events::events))
        .routes(routes!(routes::tasks::artifacts::artifacts))
        .routes(routes!(routes::tasks::cache::cache))
        .routes(routes!(routes::cache::invalidate))
        .routes(routes!(routes::tasks::cancel::cancel))
        .routes(routes!(routes::tasks::retry::retry))
        .routes(routes!(routes::batches::create::create, routes::batches::list::list))
        .routes(routes!(routes::batches::get::get, routes::batches::delete::delete))
        .routes(routes!(routes::batches::results::results))
        .routes(routes!(routes::batches::summary::summary))
        .routes(routes!(routes::batches::plot::plot))
        .routes(routes!(routes::batches::events::events))
        .routes(routes!(routes::batches::cancel::cancel))
        .routes(routes!(routes::batches::retry::retry))
        .merge(workflows())
        .merge(studies())
        .merge(schedules())
        .routes(routes!(routes::uploads::create::create, routes::uploads::list::list))
        .routes(routes!(routes::uploads::get::get, routes::uploads::delete::delete))
        .routes(routes!(routes::uploads::complete::complete))
        .routes(routes!(routes::modules::create::create, routes::modules::list::list))
        .routes(routes!(routes::modules::get::get, routes::modules::delete::delete))
        .routes(routes!(routes::packages::create::create, routes::packages::list::list))
        .routes(routes!(routes::packages::get::get))
        .routes(routes!(routes::packages::maintainers::set))
        .routes(routes!(routes::packages::version::version))
        .routes(routes!(routes::packages::archive::archive))
        .routes(routes!(routes::packages::yank::yank))
        .routes(routes!(routes::packages::yank::unyank))
        .routes(routes!(routes::functions::list::list))
        .routes(routes!(routes::functions::get::get))
        .routes(routes!(routes::functions::types::types))
        .routes(routes!(routes::api_keys::create::create, routes::api_keys::list::list))
        .routes(routes!(routes::api_keys::get::get, routes::api_keys::revoke::revoke))
        .routes(routes!(routes::events::events))
        .routes(routes!(routes::tickets::create))
        .routes(routes!(routes::webhooks::create::create, routes::webhooks::list::list))
        .routes(routes!(routes::webhooks::get::get, routes::webhooks::update::update, routes::webhooks::delete::delete))
        .routes(routes!(routes::webhooks::rotate_secret::rotate))
        .routes(routes!(routes::webhooks::task_secret::rotate))
        .routes(routes!(routes::webhooks::test::test))
        .routes(routes!(routes::webhooks::deliveries::list))
        .routes(routes!(routes::webhooks::replay::replay))
        .routes(routes!(routes::tenants::create::create, routes::tenants::list::list))
        .routes(routes!(routes::tenants::get::get, routes::tenants::change::change))
        .routes(routes!(routes::tenants::quota::quota, routes::tenants::set_quota::set_quota))
        .routes(routes!(routes::tenants::new_key::new_key))
        .routes(routes!(routes::usage::usage))
        .routes(routes!(routes::audit::audit))
        .routes(routes!(routes::me::me))
        .routes(routes!(routes::lanes::lanes))
        .routes(routes!(routes::workers::workers))
        .routes(routes!(routes::solvers::solvers))
        .routes(routes!(routes::compilers::compilers))
        .merge(compat::compat())
        .merge(routes::later::later())
}

/// Workflows and their runs.
fn workflows() -> OpenApiRouter<Arc<Api>> {
    use routes::{workflow_runs as runs, workflows};
    OpenApiRouter::new()
        .routes(routes!(workflows::save::save, workflows::list::list))
        .routes(routes!(workflows::get::get, workflows::delete::delete))
        .routes(routes!(workflows::versions::versions))
        .routes(routes!(workflows::versions::version))
        .routes(routes!(workflows::start::start))
        .routes(routes!(runs::list::list))
        .routes(routes!(runs::get::get, runs::delete::delete))
        .routes(routes!(runs::events::events))
        .routes(routes!(runs::timeline::timeline))
        .routes(routes!(runs::artifacts::artifacts))
        .routes(routes!(runs::cancel::cancel))
        .routes(routes!(runs::restart::restart))
        .routes(routes!(runs::node::node))
        .routes(routes!(runs::approve::approve))
}

/// Studies: what belongs to one question.
fn studies() -> OpenApiRouter<Arc<Api>> {
    use routes::studies;
    OpenApiRouter::new()
        .routes(routes!(studies::create::create, studies::list::list))
        .routes(routes!(studies::get::get, studies::change::change, studies::delete::delete))
        .routes(routes!(studies::table::table))
        .routes(routes!(studies::plot::plot))
        .routes(routes!(studies::compare::compare))
}

/// Schedules: what is started at which times.
fn schedules() -> OpenApiRouter<Arc<Api>> {
    use routes::schedules;
    OpenApiRouter::new()
        .routes(routes!(schedules::create::create, schedules::list::list))
        .routes(routes!(schedules::get::get, schedules::change::change, schedules::delete::delete))
        .routes(routes!(schedules::run::run))
        .routes(routes!(schedules::firings::firings))
}
