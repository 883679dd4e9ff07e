//! `GET /v1/batches/{id}/results`: pages in JSON, and everything at once as a table.

use super::{BATCH, found, shown::ItemPageShown, table_place};
use crate::{
    batches::{PARTS, ROWS_PAGE, Rows},
    http::{Problem, auth::Caller, download::Download, problem::ProblemBody, query::Query, router::Api},
    programs::Place,
    tables::{Columns, Format, Sheet, SheetError},
};
use axum::{
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, HeaderValue, Uri, header},
    response::Response,
};
use mecapy_model::TenantId;
use mecapy_store::{BatchRow, ITEMS_PAGE_MAX, StoreError};
use std::sync::Arc;

/// Items of a page when the request says nothing.
const LIMIT_DEFAULT: u64 = 100;
/// The longest page, bytes: the item that passes it is the page's last.
const PAGE_BYTES_MAX: usize = 8 << 20;
/// Media types that clients ask for, and what they get.
const MEDIA_TYPES: [(&str, Answer); 8] = [
    ("application/json", Answer::Page),
    ("application/x-ndjson", Answer::Table(Format::Ndjson)),
    ("application/ndjson", Answer::Table(Format::Ndjson)),
    ("application/jsonl", Answer::Table(Format::Ndjson)),
    ("text/csv", Answer::Table(Format::Csv)),
    ("application/vnd.apache.parquet", Answer::Table(Format::Parquet)),
    ("application/vnd.apache.arrow.stream", Answer::Table(Format::Arrow)),
    ("application/*", Answer::Page),
];

/// How results are answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Page,
    Table(Format),
}

/// The items in their order, those that have not ended among them.
///
/// As JSON they come in pages. By `format`, or by `Accept`, all of them come as one table, written while it is read: each
/// field of inputs and result is a column (`inputs.d`, `result.bolt.stress`), arrays are JSON in a text. Of a batch that
/// runs, a table has what had ended when it was begun. A table that breaks off breaks the connection.
#[utoipa::path(get, path = "/v1/batches/{id}/results", tag = "Batches",
    params(
        ("id" = uuid::Uuid, Path),
        ("only" = Option<String>, Query, description = "`failed`: items that failed, and no others"),
        ("limit" = Option<u32>, Query, description = "Items of a page, 1 to 1000; 100 when absent. A page of long results is shorter"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
        ("format" = Option<String>, Query, description = "`json` (when absent), `ndjson`, `csv`, `parquet` or `arrow`: goes before `Accept`")
    ),
    responses(
        (status = 200, content(
            (ItemPageShown = "application/json"),
            (String = "application/x-ndjson"),
            (String = "text/csv"),
            (Vec<u8> = "application/vnd.apache.parquet"),
            (Vec<u8> = "application/vnd.apache.arrow.stream")
        )),
        (status = 422, body = ProblemBody, content_type = "application/problem+json", description = "Also where results have too many different fields for columns")
    )
)]
pub(in crate::http) async fn results(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(id): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let mut query = Query::of(&uri, &["only", "limit", "cursor", "format"])?;
    let only_failed = match query.text("only").as_deref() {
        None | Some("") => false,
        Some("failed") => true,
        Some(_) => return Err(Problem::fault("/only", "unknown_value", "use failed, or leave it out")),
    };
    let answer = answer(&mut query, &headers)?;
    let limit = query.integer("limit", 1..=u64::from(ITEMS_PAGE_MAX))?;
    let cursor = query.text("cursor").filter(|text| !text.is_empty());
    let batch = found(&api.app, &caller, &id).await?;
    match answer {
        Answer::Page => {
            let (tenant, id) = (caller.tenant(), batch.id);
            let from = match cursor {
                Some(cursor) => api.app.store.read_items_cursor(tenant, id, only_failed, &cursor),
                None => Some(0),
            };
            let bad = "the cursor is not one that this list gave: start without one";
            let from = from.ok_or_else(|| Problem::malformed(bad))?;
            let rows = Rows::open(api.app.store.clone(), batch, only_failed).await?.from(from);
            page(&api, tenant, rows, limit.unwrap_or(LIMIT_DEFAULT)).await
        }
        Answer::Table(format) => {
            for (name, given) in [("limit", limit.is_some()), ("cursor", cursor.is_some())] {
                if given {
                    let message = "a table has all items: leave it out, or ask for format=json";
                    return Err(Problem::fault(format!("/{name}"), "conflict", message));
                }
            }
            let place = table_place(&api.app, &caller)?;
            table(&api, (batch, only_failed), format, place).await
        }
    }
}

/// What the request asks for, in the query or by the first media type of `Accept` that is known.
fn answer(query: &mut Query, headers: &HeaderMap) -> Result<Answer, Problem> {
    match query.text("format").as_deref() {
        Some("json") => return Ok(Answer::Page),
        Some(text) if !text.is_empty() => {
            let format = text.parse().map_err(|error: String| Problem::fault("/format", "unknown_value", error))?;
            return Ok(Answer::Table(format));
        }
        _ => (),
    }
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let mut types = accepted.flat_map(|value| value.split(',')).map(|one| one.split(';').next().unwrap_or_default());
    let known = types.find_map(|one| {
        let one = one.trim().to_ascii_lowercase();
        MEDIA_TYPES.iter().find(|(media, _)| *media == one).map(|(_, answer)| *answer)
    });
    Ok(known.unwrap_or(Answer::Page))
}

async fn page(api: &Api, tenant: TenantId, mut rows: Rows, limit: u64) -> Result<Response, Problem> {
    let (id, total, only_failed) = (rows.batch().id, rows.batch().total, rows.is_only_failed());
    let limit = u32::try_from(limit).unwrap_or(ITEMS_PAGE_MAX);
    let mut sheet = Sheet::new(Format::Ndjson, Columns::new(&PARTS)).map_err(|error| Problem::internal(&error))?;
    let mut body = b"{\"items\":[".to_vec();
    let mut cut_at = None;
    for (count, row) in rows.page(limit).await?.into_iter().enumerate() {
        if body.len() >= PAGE_BYTES_MAX {
            cut_at = Some(row.index);
            break;
        }
        sheet.row(&row.parts()).map_err(|error| Problem::internal(&error))?;
        if count > 0 {
            body.push(b',');
        }
        body.extend_from_slice(sheet.take().trim_ascii_end());
    }
    let next = cut_at.unwrap_or_else(|| rows.next());
    let cursor = (next < total).then(|| api.app.store.items_cursor(tenant, id, only_failed, next));
    body.extend_from_slice(b"],\"next_cursor\":");
    body.extend_from_slice(&serde_json::to_vec(&cursor).map_err(|error| Problem::internal(&error))?);
    body.push(b'}');
    let mut response = Response::new(Body::from(body));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

async fn table(
    api: &Api,
    (batch, only_failed): (BatchRow, bool),
    format: Format,
    place: Place,
) -> Result<Response, Problem> {
    let name = format!("{BATCH}-{}.{}", batch.id, format.extension());
    let mut rows = Rows::open(api.app.store.clone(), batch, only_failed).await?;
    let mut columns = Columns::new(&PARTS);
    if format.needs_columns() {
        rows.remember();
        loop {
            let page = rows.page(ROWS_PAGE).await?;
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
    let sheet = Sheet::new(format, columns).map_err(|error| Problem::internal(&error))?;
    let (download, response) = Download::open(format.media_type(), &name);
    tokio::spawn(async move {
        if let Err(error) = send(sheet, rows, &download).await {
            tracing::warn!(error = ?error, "batches.results: a table broke off");
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
async fn send(mut sheet: Sheet, mut rows: Rows, download: &Download) -> Result<(), Broken> {
    loop {
        let page = rows.page(ROWS_PAGE).await?;
        if page.is_empty() {
            break;
        }
        for row in &page {
            sheet.row(&row.parts())?;
        }
        if !download.send(sheet.take()).await {
            return Ok(());
        }
    }
    download.send(sheet.finish()?).await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_query_goes_before_the_header_and_json_is_what_nobody_asks_for() {
        let rows = [
            ("", None, Some(Answer::Page)),
            ("", Some("*/*"), Some(Answer::Page)),
            ("", Some("text/csv"), Some(Answer::Table(Format::Csv))),
            ("", Some("text/html, Application/X-NDJSON;q=0.9"), Some(Answer::Table(Format::Ndjson))),
            ("", Some("application/vnd.apache.arrow.stream"), Some(Answer::Table(Format::Arrow))),
            ("format=parquet", Some("text/csv"), Some(Answer::Table(Format::Parquet))),
            ("format=json", Some("text/csv"), Some(Answer::Page)),
            ("format=xlsx", None, None),
        ];
        for (query, accept, expected) in rows {
            let mut headers = HeaderMap::new();
            if let Some(accept) = accept {
                headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
            }
            let mut query = Query::of(&format!("/x?{query}").parse().unwrap(), &["format"]).unwrap();
            assert_eq!(answer(&mut query, &headers).ok(), expected, "{accept:?}");
        }
    }
}
