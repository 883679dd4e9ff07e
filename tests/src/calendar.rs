//! Times of the contract's form that lie ahead, for what is planned and must not run yet.

use anyhow::Result;
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};

/// RFC 3339, UTC, so many days from now.
#[expect(clippy::disallowed_methods, reason = "the server under test runs on the real clock, so its tests do too")]
pub fn in_days(days: i64) -> Result<String> {
    Ok((OffsetDateTime::now_utc() + Duration::days(days)).format(&Rfc3339)?)
}
