//! The requests that make and change schedules. What they start is judged by whoever makes it.

use super::{Rejected, labels};
use crate::{
    json::{Faults, Fields, Kind, Path, Value},
    schedules::{BadTimetable, Timetable, WORK_BYTES_MAX},
};
use mecapy_store::{MissedPolicy, OverlapPolicy};

/// Where a schedule's clock is that names no zone.
pub const ZONE_DEFAULT: &str = "UTC";
const MISSED: [(&str, MissedPolicy); 2] =
    [(MissedPolicy::Skip.as_str(), MissedPolicy::Skip), (MissedPolicy::RunOnce.as_str(), MissedPolicy::RunOnce)];
const OVERLAP: [(&str, OverlapPolicy); 3] = [
    (OverlapPolicy::Allow.as_str(), OverlapPolicy::Allow),
    (OverlapPolicy::Skip.as_str(), OverlapPolicy::Skip),
    (OverlapPolicy::Queue.as_str(), OverlapPolicy::Queue),
];

/// A schedule as it was asked for; what is absent stays, or is what it is by default.
#[derive(Debug)]
pub struct AskedSchedule<'a> {
    pub name: Option<String>,
    pub cron: Option<String>,
    pub timezone: Option<String>,
    pub work: Option<AskedWork<'a>>,
    pub missed: Option<MissedPolicy>,
    pub overlap: Option<OverlapPolicy>,
    pub paused: Option<bool>,
}

/// What is to be started: the user's own JSON text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AskedWork<'a> {
    Task(&'a str),
    Workflow(&'a str),
}

/// Reads the schedule that `text`, checked JSON, asks for.
///
/// # Errors
/// All faults of the request together.
pub fn schedule(text: &str) -> Result<AskedSchedule<'_>, Rejected> {
    let mut faults = Faults::default();
    match read(text, &mut faults) {
        Some(asked) if faults.is_empty() => Ok(asked),
        _ => Err(Rejected::Invalid(faults.into_vec())),
    }
}

fn read<'a>(text: &'a str, faults: &mut Faults) -> Option<AskedSchedule<'a>> {
    let mut fields = Fields::open(Value::of(text), Path::Root, faults)?;
    let name = labels::name(&mut fields, faults);
    let cron = fields.string("cron", faults).map(|text| text.trim().to_owned());
    let timezone = fields.string("timezone", faults).map(|text| text.into_owned());
    check(&fields, (cron.as_deref(), timezone.as_deref()), faults);
    let asked = AskedSchedule {
        name,
        cron,
        timezone,
        work: work(&mut fields, faults),
        missed: fields.one_of("missed", &MISSED, faults),
        overlap: fields.one_of("overlap", &OVERLAP, faults),
        paused: paused(&mut fields, faults),
    };
    fields.finish(faults);
    Some(asked)
}

/// Each is judged by itself: together they are when both are known.
fn check(fields: &Fields<'_, '_>, (cron, timezone): (Option<&str>, Option<&str>), faults: &mut Faults) {
    let path = fields.path();
    for (cron, zone) in [(cron, None), (None, timezone)] {
        match Timetable::new(cron.unwrap_or("@daily"), zone.unwrap_or(ZONE_DEFAULT)) {
            Ok(_) => {}
            Err(bad @ BadTimetable::Cron(_)) => faults.at(path.key("cron"), "invalid_cron", bad.to_string()),
            Err(bad @ BadTimetable::Zone(_)) => faults.at(path.key("timezone"), "unknown_timezone", bad.to_string()),
        }
    }
}

fn work<'a>(fields: &mut Fields<'a, '_>, faults: &mut Faults) -> Option<AskedWork<'a>> {
    let path = fields.path();
    let found =
        [fields.take("task").map(|value| ("task", value)), fields.take("workflow").map(|value| ("workflow", value))];
    if let [Some(_), Some(_)] = found {
        faults.at(path.key("workflow"), "conflict", "a schedule starts either a task or a workflow: leave one out");
    }
    let (name, value) = found.into_iter().flatten().next()?;
    if value.kind() != Kind::Object {
        faults.wrong_kind(path.key(name), "an object", value);
        return None;
    }
    if value.text().len() > WORK_BYTES_MAX {
        let message = format!(
            "a schedule keeps a request of {WORK_BYTES_MAX} bytes at most: publish the code as a function, or upload the \
             data, and name them here"
        );
        faults.at(path.key(name), "too_long", message);
    }
    Some(if name == "task" { AskedWork::Task(value.text()) } else { AskedWork::Workflow(value.text()) })
}

fn paused(fields: &mut Fields<'_, '_>, faults: &mut Faults) -> Option<bool> {
    let value = fields.take("paused")?;
    if value.kind() != Kind::Bool {
        faults.wrong_kind(fields.path().key("paused"), "true or false", value);
        return None;
    }
    Some(value.text() == "true")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_of_a_schedule_is_read() {
        let text = r#"{"name": "nightly", "cron": " 0 2 * * MON-FRI ", "timezone": "Europe/Paris", "task": {"seed": 1e0},
            "missed": "run_once", "overlap": "queue", "paused": true}"#;
        let asked = schedule(text).unwrap();
        assert_eq!((asked.name.as_deref(), asked.cron.as_deref()), (Some("nightly"), Some("0 2 * * MON-FRI")));
        assert_eq!((asked.timezone.as_deref(), asked.paused), (Some("Europe/Paris"), Some(true)));
        assert_eq!((asked.missed, asked.overlap), (Some(MissedPolicy::RunOnce), Some(OverlapPolicy::Queue)));
        assert_eq!(asked.work, Some(AskedWork::Task(r#"{"seed": 1e0}"#)));
        let asked = schedule(r#"{"workflow": {"id": "x"}}"#).unwrap();
        assert_eq!(asked.work, Some(AskedWork::Workflow(r#"{"id": "x"}"#)));
        assert!(schedule("{}").unwrap().work.is_none());
    }

    #[test]
    fn every_fault_is_pointed_at() {
        let long = format!(r#"{{"task": {{"name": "{}"}}}}"#, "x".repeat(WORK_BYTES_MAX));
        let rows: [(&str, &[(&str, &str)]); 12] = [
            (r#"{"cron": "* * * *"}"#, &[("/cron", "invalid_cron")]),
            (r#"{"cron": "*/5 * * * * *"}"#, &[("/cron", "invalid_cron")]),
            (r#"{"cron": 5}"#, &[("/cron", "wrong_type")]),
            (r#"{"timezone": "Paris"}"#, &[("/timezone", "unknown_timezone")]),
            (r#"{"cron": "", "timezone": ""}"#, &[("/cron", "invalid_cron"), ("/timezone", "unknown_timezone")]),
            (r#"{"task": {}, "workflow": {}}"#, &[("/workflow", "conflict")]),
            (r#"{"task": []}"#, &[("/task", "wrong_type")]),
            (
                r#"{"missed": "always", "overlap": "no"}"#,
                &[("/missed", "unknown_value"), ("/overlap", "unknown_value")],
            ),
            (r#"{"paused": "yes"}"#, &[("/paused", "wrong_type")]),
            (r#"{"every": "1h"}"#, &[("/every", "unknown_field")]),
            (&long, &[("/task", "too_long")]),
            ("[]", &[("", "wrong_type")]),
        ];
        for (text, expected) in rows {
            let Err(Rejected::Invalid(faults)) = schedule(text) else { panic!("{text}") };
            let found: Vec<_> = faults.iter().map(|fault| (fault.pointer.as_str(), fault.code.as_str())).collect();
            assert_eq!(found, expected, "{text}");
        }
    }
}
