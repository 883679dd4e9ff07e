//! When a schedule fires: a cron pattern in a time zone. Pure: the time is a parameter.
//!
//! # Where the clocks change
//! A pattern whose minutes and hours are named (`30 2 * * *`, `0 6,18 * * *`) means **fixed times**: one that the clocks
//! skip fires at the moment after the gap, and one that comes twice fires the first time only. A pattern with `*` or `/`
//! in its minutes or hours (`*/15 * * * *`, `0 * * * *`) means **intervals**: it fires at each such minute that there is,
//! so not in a gap, and twice where an hour comes twice. Vixie's cron tells the two apart in the same way.
//!
//! `croner` reads patterns and finds the next local time that fits; what local times mean in a zone is decided here,
//! because its own search goes by the local clock alone and passes over the second half of an hour that comes twice.

use chrono::{DateTime, Datelike as _, Duration, LocalResult, NaiveDateTime, Offset as _, TimeZone as _};
use chrono_tz::Tz;
use croner::{
    Cron,
    parser::{CronParser, Seconds, Year},
};
use std::fmt;
use time::OffsetDateTime;

/// The longest pattern, in characters.
pub const CRON_CHARS_MAX: usize = 200;
/// How far ahead a time is looked for, in years: from one Monday, 29 February, the fifth of its month, to the next one it is
/// so long over 2100.
const YEARS_AHEAD_MAX: i32 = 40;
/// More than any clock is put back at once.
const FOLD_MAX: Duration = Duration::hours(3);
/// More than any clock is put forward at once: a zone that changes sides of the date line.
const GAP_MINUTES_MAX: u32 = 26 * 60;

/// The times of a schedule.
#[derive(Debug, Clone)]
pub struct Timetable {
    /// Its five fields.
    pattern: String,
    zone: Tz,
    meaning: Meaning,
}

/// What a pattern means where the clocks change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    Fixed,
    Intervals,
}

/// Why there is no timetable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadTimetable {
    #[error("{0}")]
    Cron(String),
    #[error("there is no time zone {0:?}: use a name of the IANA database, as in \"Europe/Paris\" or \"UTC\"")]
    Zone(String),
}

impl Timetable {
    /// The timetable of a cron pattern (minute, hour, day, month, weekday; names; `@hourly` and the like) in the zone that
    /// the IANA database has by that name.
    ///
    /// # Errors
    /// What is wrong with them, in words for the one who wrote them.
    pub fn new(cron: &str, zone: &str) -> Result<Self, BadTimetable> {
        let zone = zone.parse().map_err(|_| BadTimetable::Zone(zone.chars().take(64).collect()))?;
        let pattern = read(cron)?.pattern.as_str().to_owned();
        let is_fixed = pattern.split_whitespace().take(2).all(|field| !field.contains(['*', '/']));
        Ok(Self { pattern, zone, meaning: if is_fixed { Meaning::Fixed } else { Meaning::Intervals } })
    }

    /// The first time after `after`; `None` where there is none in the next forty years.
    pub fn next(&self, after: OffsetDateTime) -> Option<OffsetDateTime> {
        let after = self.zone.from_utc_datetime(&DateTime::from_timestamp(after.unix_timestamp(), 0)?.naive_utc());
        let mut local = after.naive_local();
        let cron = self.within(local.year())?;
        let changes = [-FOLD_MAX, FOLD_MAX].into_iter().any(|far| self.offset(after + far) != self.offset(after));
        if changes {
            // Local times that lie behind may come once more.
            local = local.checked_sub_signed(FOLD_MAX)?;
        }
        let mut best: Option<DateTime<Tz>> = None;
        loop {
            let found = cron.find_next_occurrence(&local.and_utc(), false).ok().map(|found| found.naive_utc());
            let past = best.is_some_and(|best| found.is_none_or(|found| found > best.naive_local() + FOLD_MAX));
            let Some(found) = found.filter(|_| !past) else { break };
            let later = self.moments(found).into_iter().flatten().filter(|moment| *moment > after);
            best = best.into_iter().chain(later).min();
            if best.is_some() && !changes && !self.is_special(found) {
                break;
            }
            local = found;
        }
        OffsetDateTime::from_unix_timestamp(best?.timestamp()).ok()
    }

    /// The first `count` times after `after`.
    pub fn upcoming(&self, after: OffsetDateTime, count: usize) -> Vec<OffsetDateTime> {
        std::iter::successors(self.next(after), |time| self.next(*time)).take(count).collect()
    }

    /// The pattern in the years from this one that are looked through: without them it would be some thousand years where
    /// nothing fits.
    fn within(&self, year: i32) -> Option<Cron> {
        let parser = CronParser::builder().seconds(Seconds::Required).year(Year::Required).build();
        parser.parse(&format!("0 {} {year}-{}", self.pattern, year.checked_add(YEARS_AHEAD_MAX)?)).ok()
    }

    /// What a local time means, none, one or two moments.
    fn moments(&self, local: NaiveDateTime) -> [Option<DateTime<Tz>>; 2] {
        match (self.zone.from_local_datetime(&local), self.meaning) {
            (LocalResult::Single(moment), _) | (LocalResult::Ambiguous(moment, _), Meaning::Fixed) => {
                [Some(moment), None]
            }
            (LocalResult::Ambiguous(first, second), Meaning::Intervals) => [Some(first), Some(second)],
            (LocalResult::None, Meaning::Fixed) => [self.after_gap(local), None],
            (LocalResult::None, Meaning::Intervals) => [None, None],
        }
    }

    /// The first moment after the gap that `local` is in. Gaps end at whole minutes.
    fn after_gap(&self, local: NaiveDateTime) -> Option<DateTime<Tz>> {
        let minutes = (1..=GAP_MINUTES_MAX).map(|minutes| local + Duration::minutes(i64::from(minutes)));
        minutes.filter_map(|local| self.zone.from_local_datetime(&local).earliest()).next()
    }

    fn is_special(&self, local: NaiveDateTime) -> bool {
        !matches!(self.zone.from_local_datetime(&local), LocalResult::Single(_))
    }

    /// How far the zone is ahead of UTC, seconds.
    fn offset(&self, at: DateTime<Tz>) -> i32 {
        at.offset().fix().local_minus_utc()
    }
}

impl fmt::Display for Timetable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.pattern, self.zone)
    }
}

fn read(cron: &str) -> Result<Cron, BadTimetable> {
    let bad = |what: String| {
        let needed = "five fields are needed (minute, hour, day, month, weekday), as in \"0 6 * * MON-FRI\", or one of \
                      @hourly, @daily, @weekly, @monthly and @yearly";
        BadTimetable::Cron(format!("{needed}: {what}"))
    };
    if cron.chars().count() > CRON_CHARS_MAX {
        return Err(bad(format!("a pattern may have {CRON_CHARS_MAX} characters at most")));
    }
    let fields = cron.split_whitespace().count();
    if fields != 5 && !cron.trim_start().starts_with('@') {
        return Err(bad(format!("there are {fields}")));
    }
    if cron.contains('+') {
        return Err(bad("a day that has to fit the weekday too, written with +, is not known here".to_owned()));
    }
    if cron.split_whitespace().any(|field| field.split(',').any(str::is_empty)) {
        return Err(bad("a list has an empty place".to_owned()));
    }
    let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
    parser.parse(cron).map_err(|error| bad(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::format_description::well_known::Rfc3339;

    fn at(text: &str) -> OffsetDateTime {
        OffsetDateTime::parse(text, &Rfc3339).unwrap()
    }

    fn check(cron: &str, zone: &str, after: &str, expected: &[&str]) {
        let timetable = Timetable::new(cron, zone).unwrap();
        let found = timetable.upcoming(at(after), expected.len());
        assert_eq!(found, expected.iter().map(|text| at(text)).collect::<Vec<_>>(), "{cron} in {zone} after {after}");
    }

    #[test]
    fn times_are_those_of_the_zones_clock() {
        let rows: [(&str, &str, &str, &[&str]); 9] = [
            ("0 6 * * MON-FRI", "UTC", "2026-11-27T06:00:00Z", &["2026-11-30T06:00:00Z", "2026-12-01T06:00:00Z"]),
            ("0 6 * * *", "Europe/Paris", "2026-07-01T00:00:00Z", &["2026-07-01T04:00:00Z", "2026-07-02T04:00:00Z"]),
            ("0 6 * * *", "Europe/Paris", "2026-12-01T00:00:00Z", &["2026-12-01T05:00:00Z"]),
            ("*/20 * * * *", "Asia/Kolkata", "2026-01-01T00:00:30Z", &["2026-01-01T00:10:00Z", "2026-01-01T00:30:00Z"]),
            ("@daily", "America/New_York", "2026-01-01T00:00:00Z", &["2026-01-01T05:00:00Z"]),
            ("@Monthly", "UTC", "2026-01-01T00:00:00Z", &["2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z"]),
            ("0 0 29 feb *", "UTC", "2096-03-01T00:00:00Z", &["2104-02-29T00:00:00Z"]),
            ("0 0 * 2 mon#5", "UTC", "2072-03-01T00:00:00Z", &["2112-02-29T00:00:00Z"]),
            ("59 23 L * *", "UTC", "2026-02-01T00:00:00Z", &["2026-02-28T23:59:00Z"]),
        ];
        for (cron, zone, after, expected) in rows {
            check(cron, zone, after, expected);
        }
    }

    #[test]
    fn a_fixed_time_that_the_clocks_skip_fires_after_the_gap() {
        let expected = ["2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"];
        check("30 2 * * *", "Europe/Paris", "2026-03-28T00:00:00Z", &expected);
        // Both of these are skipped; the moment after the gap is one.
        let expected = ["2026-03-29T01:00:00Z", "2026-03-30T00:10:00Z", "2026-03-30T00:50:00Z"];
        check("10,50 2 * * *", "Europe/Paris", "2026-03-28T23:59:00Z", &expected);
        // Half an hour is skipped there.
        check("15 2 * * *", "Australia/Lord_Howe", "2026-10-03T10:00:00Z", &["2026-10-03T15:30:00Z"]);
        // 30 December 2011 is no day in Samoa.
        check(
            "0 12 30 12 *",
            "Pacific/Apia",
            "2011-12-01T00:00:00Z",
            &["2011-12-30T10:00:00Z", "2012-12-29T22:00:00Z"],
        );
    }

    #[test]
    fn a_fixed_time_that_comes_twice_fires_once() {
        let expected = ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"];
        check("30 2 * * *", "Europe/Paris", "2026-10-24T12:00:00Z", &expected);
        for after in ["2026-10-25T00:30:00Z", "2026-10-25T00:59:59Z", "2026-10-25T01:00:00Z", "2026-10-25T01:45:00Z"] {
            check("30 2 * * *", "Europe/Paris", after, &expected[1..]);
        }
        check(
            "45 1 * * *",
            "Australia/Lord_Howe",
            "2026-04-04T14:00:00Z",
            &["2026-04-04T14:45:00Z", "2026-04-05T15:15:00Z"],
        );
    }

    #[test]
    fn intervals_fire_at_each_minute_that_there_is() {
        let twice = ["2026-10-25T00:30:00Z", "2026-10-25T01:00:00Z", "2026-10-25T01:30:00Z", "2026-10-25T02:00:00Z"];
        check("*/30 * * * *", "Europe/Paris", "2026-10-25T00:00:00Z", &twice);
        check(
            "0 * * * *",
            "Europe/Paris",
            "2026-10-24T23:59:00Z",
            &["2026-10-25T00:00:00Z", "2026-10-25T01:00:00Z", "2026-10-25T02:00:00Z"],
        );
        // From within the first pass to the second one of the same local time.
        check("10 * * * *", "Europe/Paris", "2026-10-25T00:30:00Z", &["2026-10-25T01:10:00Z", "2026-10-25T02:10:00Z"]);
        check(
            "*/30 * * * *",
            "Europe/Paris",
            "2026-03-29T00:20:00Z",
            &["2026-03-29T00:30:00Z", "2026-03-29T01:00:00Z"],
        );
        check(
            "*/30 2 * * *",
            "Europe/Paris",
            "2026-03-28T12:00:00Z",
            &["2026-03-30T00:00:00Z", "2026-03-30T00:30:00Z"],
        );
        check(
            "*/30 2 * * *",
            "Europe/Paris",
            "2026-10-24T12:00:00Z",
            &[
                "2026-10-25T00:00:00Z",
                "2026-10-25T00:30:00Z",
                "2026-10-25T01:00:00Z",
                "2026-10-25T01:30:00Z",
                "2026-10-26T01:00:00Z",
            ],
        );
    }

    /// Elapsed time is even, whatever clocks show.
    #[test]
    fn every_time_is_found_and_none_twice() {
        for zone in ["Europe/Paris", "America/New_York", "Australia/Lord_Howe", "Antarctica/Troll", "Africa/Casablanca"]
        {
            let timetable = Timetable::new("*/30 * * * *", zone).unwrap();
            let (mut time, end) = (at("2026-01-01T00:00:00Z"), at("2026-12-31T00:00:00Z"));
            while time < end {
                let next = timetable.next(time).unwrap();
                assert_eq!((next - time).whole_minutes(), 30, "{zone} {time}");
                time = next;
            }
        }
    }

    #[test]
    fn what_never_fires_is_told_apart_from_what_is_no_pattern() {
        for cron in ["0 0 30 2 *", "0 0 31 4,6 *", "0 0 31W 2 *", "59 23 31 2,4,6,9,11 *"] {
            assert_eq!(Timetable::new(cron, "UTC").unwrap().next(at("2026-01-01T00:00:00Z")), None, "{cron}");
        }
        for cron in [
            "",
            "* * * *",
            "0 * * * * *",
            "0 0 * * * * 2030",
            "61 * * * *",
            "* 24 * * *",
            "a b c d e",
            "@reboot",
            "@daily *",
            "*/0 * * * *",
            "5-1 * * * *",
            "* * * * 8",
            "1,,2 * * * *",
            "é * * * *",
            "-1 * * * *",
            "* * 0 * *",
            "0 0 1 * +MON",
        ] {
            assert!(matches!(Timetable::new(cron, "UTC"), Err(BadTimetable::Cron(_))), "{cron:?}");
        }
        assert!(Timetable::new(&format!("{} * * * *", "0,".repeat(CRON_CHARS_MAX)), "UTC").is_err());
        for zone in ["", "Mars/Olympus", "CET+1", "europe/paris", "+01:00"] {
            assert!(matches!(Timetable::new("@daily", zone), Err(BadTimetable::Zone(_))), "{zone:?}");
        }
    }
}
