//! `GET /v1/batches/{id}/plot`

use super::{found, table_place};
use crate::{
    app::App,
    batches::{PARTS, ROWS_PAGE, Rows},
    functions::Call,
    http::{Problem, auth::Caller, drawing, problem::ProblemBody, query::Query, router::Api},
    tables::{Axes, Picture, Plot},
};
use axum::{
    extract::{Path, State},
    http::Uri,
    response::Response,
};
use mecapy_model::{
    Code,
    ports::{Side, Unit},
};
use mecapy_store::StoreError;
use std::sync::Arc;

/// The numbers of a batch against one another, as a picture.
///
/// Columns are named as in the tables of `/results`: `inputs.d`, `result.stress`. 50 000 points and 24 lines at most.
#[utoipa::path(get, path = "/v1/batches/{id}/plot", tag = "Batches",
    params(
        ("id" = uuid::Uuid, Path),
        ("x" = String, Query, description = "The column of the horizontal axis, as in `inputs.d`"),
        ("y" = String, Query, description = "The column of the vertical axis, as in `result.stress`"),
        ("group" = Option<String>, Query, description = "A column: items with the same value are one line"),
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
    let batch = found(&api.app, &caller, &id).await?;
    let mut query = Query::of(&uri, &["x", "y", "group", "format"])?;
    let axes = Axes {
        x: column(&mut query, "x")?,
        y: column(&mut query, "y")?,
        group: query.text("group").filter(|text| !text.is_empty()),
    };
    let picture = query.word::<Picture>("format")?.unwrap_or_default();
    let _place = table_place(&api.app, &caller)?;
    let title = batch.name.clone().unwrap_or_default();
    let call = called(&api.app, &batch.code).await?;
    let mut rows = Rows::open(api.app.store.clone(), batch, false).await?;
    let mut plot = Plot::new(axes, &PARTS);
    loop {
        let page = rows.page(ROWS_PAGE).await?;
        if page.is_empty() {
            break;
        }
        for row in page {
            plot.see(&row.parts()).map_err(|fault| Problem::invalid(vec![fault]))?;
        }
    }
    let label = |column: &str| label(column, call.as_ref());
    let inputs = plot.finish(&title, picture, label).map_err(|fault| Problem::invalid(vec![fault]))?;
    drawing::draw(&api.app, caller.tenant(), inputs, picture).await
}

/// The column that a field of the query names.
pub(in crate::http::routes) fn column(query: &mut Query, name: &str) -> Result<String, Problem> {
    let text = query.text(name).filter(|text| !text.is_empty());
    text.ok_or_else(|| {
        let message = "the name of a column is needed here, as in inputs.d or result.stress";
        Problem::fault(format!("/{name}"), "required", message)
    })
}

async fn called(app: &App, code: &Code) -> Result<Option<Call>, StoreError> {
    match code {
        Code::Function { function, .. } => app.functions.pinned(function).await,
        _ => Ok(None),
    }
}

/// What an axis is called: the input or result, with the unit of its port where it has one.
fn label(column: &str, call: Option<&Call>) -> String {
    let (side, name) = match column.split_once('.') {
        Some(("inputs", name)) => (Side::Input, name),
        Some(("result", name)) => (Side::Output, name),
        _ => return column.to_owned(),
    };
    let function = call.and_then(Call::function);
    let port = function.and_then(|function| function.signature.ports.side(side).get(name));
    match port.and_then(|port| port.unit()) {
        Some(unit) if *unit != Unit::ONE => format!("{name} [{unit}]"),
        _ => name.to_owned(),
    }
}
