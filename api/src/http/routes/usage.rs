//! `GET /v1/usage`: the ledger, added up.

use super::{id, json};
use crate::http::{Problem, auth::Caller, query::Query, router::Api, shown::time};
use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, Uri, header},
    response::Response,
};
use mecapy_model::TenantId;
use mecapy_store::{UsageBy, UsageTotals};
use serde::Serialize;
use std::{collections::BTreeMap, fmt::Write as _, sync::Arc};
use time::{Date, Duration, OffsetDateTime, format_description::well_known::Rfc3339, macros::format_description};
use utoipa::ToSchema;

/// What is added up when the request says nothing, days.
const DAYS_DEFAULT: i64 = 30;
/// The longest time that is added up, days.
const DAYS_MAX: i64 = 366;
const TENANT: &str = "tenant";

/// Usage by day, lane or kind.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UsageReport)]
pub(in crate::http) struct UsageShown {
    /// What ended from this time on …
    #[schema(format = DateTime)]
    from: String,
    /// … and before this one.
    #[schema(format = DateTime)]
    to: String,
    by: &'static str,
    /// In the order of their names; those without usage are left out.
    buckets: Vec<Bucket>,
    total: Totals,
}

/// What tasks and previews used together.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UsageBucket)]
pub(in crate::http) struct Bucket {
    /// A day, a lane, or the kind of an error (`completed` where there was none).
    bucket: String,
    #[serde(flatten)]
    totals: Totals,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UsageTotals)]
pub(in crate::http) struct Totals {
    tasks: u64,
    previews: u64,
    /// Of both; what was cancelled did not fail.
    failed: u64,
    fuel: u64,
    cpu_ms: f64,
    /// The most that one of them used.
    memory_peak_bytes: u64,
    execute_ms: f64,
    queued_ms: f64,
}

/// What the tenant's tasks and previews used, by the time of their end. Usage outlives tasks that are deleted.
///
/// `Accept: text/csv` gives the buckets as a table.
#[utoipa::path(get, path = "/v1/usage", tag = "Operations",
    params(
        ("from" = Option<String>, Query, description = "A time, or a date for its start (UTC); 30 days before `to` when absent"),
        ("to" = Option<String>, Query, description = "Before this time, or the start of this date; now when absent"),
        ("by" = Option<String>, Query, description = "`day` (when absent), `lane` (previews count as `high_priority`) or `kind` (of the error)"),
        ("tenant" = Option<uuid::Uuid>, Query, description = "Another tenant, for operators")
    ),
    responses((status = 200, content((UsageShown = "application/json"), (String = "text/csv"))))
)]
pub(in crate::http) async fn usage(
    State(api): State<Arc<Api>>,
    caller: Caller,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    let mut query = Query::of(&uri, &["from", "to", "by", "tenant"])?;
    let by = query.word("by")?.unwrap_or(UsageBy::Day);
    let (from, to) = period(&mut query, api.app.store.now())?;
    let tenant = asked_tenant(&api, &caller, query.text("tenant")).await?;
    let found = api.app.store.usage(tenant, from, to, by).await?;
    if wants_csv(&headers) {
        return Ok(csv(by, &found));
    }
    let total = found.values().fold(UsageTotals::default(), |sum, totals| sum.with(totals));
    let buckets =
        found.iter().map(|(bucket, totals)| Bucket { bucket: bucket.clone(), totals: Totals::new(totals) }).collect();
    let shown = UsageShown { from: time(from), to: time(to), by: by.as_str(), buckets, total: Totals::new(&total) };
    json(StatusCode::OK, &shown)
}

impl Totals {
    fn new(totals: &UsageTotals) -> Self {
        Self {
            tasks: totals.tasks,
            previews: totals.previews,
            failed: totals.failed,
            fuel: totals.fuel,
            cpu_ms: to_microseconds(totals.cpu_ms),
            memory_peak_bytes: totals.memory_peak_bytes,
            execute_ms: to_microseconds(totals.execute_ms),
            queued_ms: to_microseconds(totals.queued_ms),
        }
    }
}

/// Sums of many numbers have digits that say nothing.
fn to_microseconds(ms: f64) -> f64 {
    (ms * 1e3).round() / 1e3
}

/// Whose usage is asked for. Of others than their own tenant only operators know.
async fn asked_tenant(api: &Api, caller: &Caller, text: Option<String>) -> Result<TenantId, Problem> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(caller.tenant()) };
    let asked: TenantId = id(&text, TENANT)?;
    if asked == caller.tenant() {
        return Ok(asked);
    }
    let store = &api.app.store;
    let known = caller.must_operate(store).is_ok() && store.tenant(asked).await?.is_some();
    if known { Ok(asked) } else { Err(Problem::not_found(TENANT)) }
}

fn period(query: &mut Query, now: OffsetDateTime) -> Result<(OffsetDateTime, OffsetDateTime), Problem> {
    let to = moment(query, "to")?.unwrap_or(now);
    let from = match moment(query, "from")? {
        Some(from) => from,
        None => to.checked_sub(Duration::days(DAYS_DEFAULT)).unwrap_or(to),
    };
    if from >= to {
        return Err(Problem::fault("/from", "out_of_range", "a time before `to` is needed here"));
    }
    if to - from > Duration::days(DAYS_MAX) {
        let message = format!("{DAYS_MAX} days can be added up at most: ask for less");
        return Err(Problem::fault("/from", "out_of_range", message));
    }
    Ok((from, to))
}

/// A time, or the start of a date, UTC.
fn moment(query: &mut Query, name: &str) -> Result<Option<OffsetDateTime>, Problem> {
    let Some(text) = query.text(name).filter(|text| !text.is_empty()) else { return Ok(None) };
    let date = || Date::parse(&text, format_description!("[year]-[month]-[day]")).ok();
    let read = OffsetDateTime::parse(&text, &Rfc3339).ok().or_else(|| Some(date()?.midnight().assume_utc()));
    let message = "a time is needed here, as in 2026-12-01T06:00:00Z, or a date, as in 2026-12-01";
    read.map(Some).ok_or_else(|| Problem::fault(format!("/{name}"), "invalid", message))
}

/// Whether the client names CSV before what else it takes.
fn wants_csv(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let mut types = accepted.flat_map(|value| value.split(',')).map(|one| one.split(';').next().unwrap_or("").trim());
    types.find(|one| ["text/csv", "application/json", "*/*"].contains(one)) == Some("text/csv")
}

/// The buckets as RFC 4180 has it. No field holds a comma, a quote or an end of line.
fn csv(by: UsageBy, buckets: &BTreeMap<String, UsageTotals>) -> Response {
    let mut text =
        format!("{},tasks,previews,failed,fuel,cpu_ms,memory_peak_bytes,execute_ms,queued_ms\r\n", by.as_str());
    for (bucket, totals) in buckets {
        let Totals { tasks, previews, failed, fuel, cpu_ms, memory_peak_bytes, execute_ms, queued_ms } =
            Totals::new(totals);
        // A string takes every write.
        let _ = write!(
            text,
            "{bucket},{tasks},{previews},{failed},{fuel},{cpu_ms},{memory_peak_bytes},{execute_ms},{queued_ms}\r\n"
        );
    }
    let mut response = Response::new(Body::from(text));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    const NOW: OffsetDateTime = datetime!(2026-06-15 12:00 UTC);

    fn read(query: &str) -> Result<(OffsetDateTime, OffsetDateTime), Problem> {
        let mut query = Query::of(&format!("/v1/usage?{query}").parse().unwrap(), &["from", "to"])?;
        period(&mut query, NOW)
    }

    #[test]
    fn a_period_is_thirty_days_unless_it_says_otherwise() {
        assert_eq!(read("").unwrap(), (NOW - Duration::days(30), NOW));
        assert_eq!(read("from=2026-06-01").unwrap(), (datetime!(2026-06-01 00:00 UTC), NOW));
        let both = read("from=2026-01-01T00:00:00%2B01:00&to=2026-01-02").unwrap();
        assert_eq!(both, (datetime!(2025-12-31 23:00 UTC), datetime!(2026-01-02 00:00 UTC)));
    }

    #[test]
    fn security_38_no_period_is_endless_or_turned_round() {
        for (query, pointer) in [
            ("from=yesterday", "/from"),
            ("to=2026-13-01", "/to"),
            ("from=2026-06-16", "/from"),
            ("from=2026-01-02&to=2026-01-02", "/from"),
            ("from=0001-01-01", "/from"),
            ("from=-9999-01-01", "/from"),
            ("from=2025-01-01&to=9999-12-31", "/from"),
        ] {
            assert_eq!(read(query).unwrap_err().errors()[0].pointer, pointer, "{query}");
        }
    }

    #[test]
    fn csv_is_for_who_names_it_first() {
        for (accept, csv) in [
            ("text/csv", true),
            ("text/csv;q=0.9, application/json;q=0.1", true),
            ("application/json, text/csv", false),
            ("*/*", false),
            ("text/html, text/csv", true),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, HeaderValue::from_str(accept).unwrap());
            assert_eq!(wants_csv(&headers), csv, "{accept}");
        }
    }

    #[tokio::test]
    async fn a_table_has_a_head_and_a_line_for_each_bucket() {
        let totals = UsageTotals { tasks: 2, fuel: 7, cpu_ms: 0.1 + 0.2, ..UsageTotals::default() };
        let response = csv(UsageBy::Kind, &BTreeMap::from([("completed".to_owned(), totals)]));
        let bytes = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let head = "kind,tasks,previews,failed,fuel,cpu_ms,memory_peak_bytes,execute_ms,queued_ms\r\n";
        assert_eq!(text, format!("{head}completed,2,0,0,7,0.3,0,0,0\r\n"));
    }
}
