//! `GET /v1/studies/{id}/table`: all cases of a study as one table.

use super::{super::batches::table_place, STUDY, found};
use crate::{
    http::{Problem, auth::Caller, download::Download, problem::ProblemBody, query::Query, router::Api},
    studies::{PARTS, Rows},
    tables::{Columns, Format, Sheet, SheetError},
};
use axum::{
    extract::{Path, State},
    http::Uri,
    response::Response,
};
use mecapy_store::StoreError;
use std::sync::Arc;

/// How the table is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// One document: `{"rows": […]}`.
    Document,
    Sheet(Format),
}

impl Shape {
    fn of(text: Option<&str>) -> Result<Self, Problem> {
        match text {
            None | Some("" | "json") => Ok(Shape::Document),
            Some(text) => {
                let format = text.parse().map_err(|error: String| Problem::fault("/format", "unknown_value", error))?;
                Ok(Shape::Sheet(format))
            }
        }
    }

    /// Rows of a document are lines of NDJSON with commas between them.
    fn format(self) -> Format {
        match self {
            Shape::Document => Format::Ndjson,
            Shape::Sheet(format) => format,
        }
    }

    fn media_type(self) -> &'static str {
        match self {
            Shape::Document => "application/json",
            Shape::Sheet(format) => format.media_type(),
        }
    }

    fn extension(self) -> &'static str {
        match self {
            Shape::Document => "json",
            Shape::Sheet(format) => format.extension(),
        }
    }
}

/// A row for each task, each workflow run and each item of each batch of a study, newest members first.
///
/// Columns are `kind` (`task`, `workflow_run`, `item`), `id` (of an item its batch's), `index`, `name`, `state`, `labels.*`,
/// `inputs.*`, `result.*` (of tasks and items), `outputs.*` (of runs), `error.*`, `usage.*` and times. The table is written
/// while it is read, and has what had ended when it was begun. One that breaks off breaks the connection.
#[utoipa::path(get, path = "/v1/studies/{id}/table", tag = "Studies",
    params(
        ("id" = uuid::Uuid, Path),
        ("format" = Option<String>, Query, description = "`json` (when absent: all rows in one document), `ndjson`, `csv`, `parquet` or `arrow`")
    ),
    responses(
        (status = 200, content(
            (String = "application/json"),
            (String = "application/x-ndjson"),
            (String = "text/csv"),
            (Vec<u8> = "application/vnd.apache.parquet"),
            (Vec<u8> = "application/vnd.apache.arrow.stream")
        )),
        (status = 422, body = ProblemBody, content_type = "application/problem+json", description = "Also where there are too many different fields for columns")
    )
)]
pub(in crate::http) async fn table(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(id): Path<String>,
    uri: Uri,
) -> Result<Response, Problem> {
    let study = found(&api.app, &caller, &id).await?;
    let mut query = Query::of(&uri, &["format"])?;
    let shape = Shape::of(query.text("format").as_deref())?;
    let place = table_place(&api.app, &caller)?;
    let mut rows = Rows::new(api.app.store.clone(), caller.tenant(), study.id);
    let mut columns = Columns::new(&PARTS);
    if shape.format().needs_columns() {
        rows.remember();
        loop {
            let page = rows.page().await?;
            if page.is_empty() {
                break;
            }
            for row in &page {
                let seen = columns.see(&row.parts());
                seen.map_err(|error| Problem::fault("/format", "too_many_columns", error.to_string()))?;
            }
        }
        rows.again();
    }
    let sheet = Sheet::new(shape.format(), columns).map_err(|error| Problem::internal(&error))?;
    let name = format!("{STUDY}-{}.{}", study.id, shape.extension());
    let (download, response) = Download::open(shape.media_type(), &name);
    tokio::spawn(async move {
        if let Err(error) = send((sheet, shape), rows, &download).await {
            tracing::warn!(error = ?error, "studies.table: a table broke off");
            download.break_off().await;
        }
        drop(place);
    });
    Ok(response)
}

/// Why a table broke off.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Sheet(#[from] SheetError),
}

/// Writes all rows, as fast as they are read.
async fn send((mut sheet, shape): (Sheet, Shape), mut rows: Rows, download: &Download) -> Result<(), Broken> {
    let is_document = shape == Shape::Document;
    let mut between: &[u8] = b"{\"rows\":[";
    loop {
        let page = rows.page().await?;
        if page.is_empty() {
            break;
        }
        let mut piece = Vec::new();
        for row in &page {
            sheet.row(&row.parts())?;
            if is_document {
                piece.extend_from_slice(between);
                piece.extend_from_slice(sheet.take().trim_ascii_end());
                between = b",\n";
            }
        }
        piece.extend(sheet.take());
        if !download.send(piece).await {
            return Ok(());
        }
    }
    let mut piece = sheet.finish()?;
    if is_document {
        let has_rows = between == b",\n";
        piece.extend_from_slice(if has_rows { b"]}" } else { b"{\"rows\":[]}" });
    }
    download.send(piece).await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_a_document_unless_it_is_asked_for_otherwise() {
        for (text, expected) in [
            (None, Some(Shape::Document)),
            (Some(""), Some(Shape::Document)),
            (Some("json"), Some(Shape::Document)),
            (Some("csv"), Some(Shape::Sheet(Format::Csv))),
            (Some("parquet"), Some(Shape::Sheet(Format::Parquet))),
            (Some("xlsx"), None),
        ] {
            assert_eq!(Shape::of(text).ok(), expected, "{text:?}");
        }
    }
}
