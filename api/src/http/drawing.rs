//! Pictures of numbers, drawn in a sandbox as a preview of the caller.

use super::{
    Problem,
    routes::{not_built, preview},
};
use crate::{
    app::App,
    intake::Preview,
    programs::NotLoaded,
    tables::{PLOT_SOURCE, Picture},
};
use axum::{
    body::Body,
    http::{HeaderValue, header},
    response::Response,
};
use mecapy_model::{Code, ErrorKind, Kernels, Lane, LimitsRequest, NonFinite, TenantId};
use std::{sync::Arc, time::Duration};

/// When to come back where the interpreter is not loaded yet.
const RETRY_AFTER: Duration = Duration::from_secs(5);
/// The same picture for the same numbers.
const SEED: u64 = 0;

/// Draws what [`Plot::finish`](crate::tables::Plot::finish) gave.
pub(super) async fn draw(
    app: &Arc<App>,
    tenant: TenantId,
    inputs: String,
    picture: Picture,
) -> Result<Response, Problem> {
    if let Some(over) = app.store.over_fuel(tenant).await? {
        return Err(over.into());
    }
    let programs = app.programs().ok_or_else(not_built)?;
    let analysis = programs.analyse(PLOT_SOURCE, None).await.map_err(|error| Problem::internal(&error))?;
    let code = Code::Python { source: PLOT_SOURCE.to_owned(), entry: None };
    let program = match programs.load_soon(tenant, &code, Some(Arc::clone(&analysis))).await {
        Ok(program) => program,
        Err(NotLoaded::Busy) => return Err(Problem::not_ready("what draws is being loaded", RETRY_AFTER)),
        Err(NotLoaded::Failed(error)) => return Err(Problem::internal(&error)),
    };
    let limits = LimitsRequest::default().resolve(Lane::HighPriority).map_err(|error| Problem::internal(&error))?;
    let preview = Preview {
        code,
        failed: None,
        compile_ms: None,
        inputs: inputs.into(),
        files: Vec::new(),
        file_places: None,
        limits,
        seed: SEED,
        non_finite: NonFinite::Reject,
        kernels: Kernels::default(),
        analysis: Some(analysis),
        call: None,
        warnings: Vec::new(),
    };
    let mut outcome = preview::run(app, tenant, program, preview).await?;
    let name = format!("plot.{}", picture.as_str());
    let place = outcome.artifacts.iter().position(|artifact| artifact.name.as_str() == name);
    match (outcome.error_kind(), place) {
        (None, Some(place)) => {
            let drawn = outcome.artifacts.swap_remove(place);
            let mut response = Response::new(Body::from(drawn.bytes));
            response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(picture.media_type()));
            Ok(response)
        }
        (Some(ErrorKind::Timeout | ErrorKind::OutOfFuel | ErrorKind::OutOfMemory), _) => {
            let message = "the picture has too many points to be drawn in time: ask for the table and draw it yourself";
            Err(Problem::fault("/x", "too_many", message))
        }
        (Some(ErrorKind::Quota), _) => Err(Problem::not_ready("there is no memory to draw in just now", RETRY_AFTER)),
        _ => Err(Problem::internal(&outcome.result)),
    }
}
