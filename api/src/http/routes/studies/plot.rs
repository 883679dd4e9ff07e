//! `GET /v1/studies/{id}/plot`

use super::{
    super::batches::{plot::column, table_place},
    found,
};
use crate::{
    http::{Problem, auth::Caller, drawing, problem::ProblemBody, query::Query, router::Api},
    studies::{PARTS, Rows},
    tables::{Axes, Picture, Plot},
};
use axum::{
    extract::{Path, State},
    http::Uri,
    response::Response,
};
use std::sync::Arc;

/// The numbers of a study's cases against one another, as a picture.
///
/// Columns are named as in `/table`: `inputs.d`, `result.stress`, `outputs.margin`. 50 000 points and 24 lines at most.
#[utoipa::path(get, path = "/v1/studies/{id}/plot", tag = "Studies",
    params(
        ("id" = uuid::Uuid, Path),
        ("x" = String, Query, description = "The column of the horizontal axis, as in `inputs.d`"),
        ("y" = String, Query, description = "The column of the vertical axis, as in `result.stress`"),
        ("group" = Option<String>, Query, description = "A column: cases with the same value are one line"),
        ("format" = Option<String>, Query, description = "`png` (when absent, 1152 by 720 pixels) or `svg`")
    ),
    responses(
        (status = 200, body = Vec<u8>, content_type = "image/png"),
        (status = 422, body = ProblemBody, content_type = "application/problem+json", description = "A column that is not there (those that are, are named), or too many points")
    )
)]
pub(in crate::http) async fn plot(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(id): Path<String>,
    uri: Uri,
) -> Result<Response, Problem> {
    let study = found(&api.app, &caller, &id).await?;
    let mut query = Query::of(&uri, &["x", "y", "group", "format"])?;
    let axes = Axes {
        x: column(&mut query, "x")?,
        y: column(&mut query, "y")?,
        group: query.text("group").filter(|text| !text.is_empty()),
    };
    let picture = query.word::<Picture>("format")?.unwrap_or_default();
    let _place = table_place(&api.app, &caller)?;
    let mut rows = Rows::new(api.app.store.clone(), caller.tenant(), study.id);
    let mut plot = Plot::new(axes, &PARTS);
    loop {
        let page = rows.page().await?;
        if page.is_empty() {
            break;
        }
        for row in &page {
            plot.see(&row.parts()).map_err(|fault| Problem::invalid(vec![fault]))?;
        }
    }
    // Cases come from many computations, whose units nothing holds together.
    let inputs = plot.finish(&study.name, picture, str::to_owned).map_err(|fault| Problem::invalid(vec![fault]))?;
    drawing::draw(&api.app, caller.tenant(), inputs, picture).await
}
