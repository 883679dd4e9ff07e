//! Schedules: work that is started at the times of a cron pattern. Each time fires once, however many processes look.
//!
//! [`Timetable`] is pure and says when; `judge` is pure and says what becomes of a time that has come; [`Work`] turns a
//! stored request into a task or a run, by the intake that everybody's requests go through; a [`Driver`] in every process
//! that runs sandboxes looks for what is due. Knows nothing of HTTP.

mod driver;
mod judge;
mod timetable;
mod work;

pub use driver::Driver;
pub use timetable::{BadTimetable, CRON_CHARS_MAX, Timetable};
pub use work::{Author, WORK_BYTES_MAX, Work};

use time::OffsetDateTime;

/// Unix milliseconds.
pub fn unix_ms(at: OffsetDateTime) -> i64 {
    i64::try_from(at.unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX)
}
