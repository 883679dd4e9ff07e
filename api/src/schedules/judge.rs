//! What becomes of a schedule's time once it has come. Pure.

use mecapy_store::{MissedPolicy, OverlapPolicy};
use time::{Duration, OffsetDateTime};

/// A time that nobody has looked at for so long was missed: processes that are there look each second.
pub(super) const LATE: Duration = Duration::seconds(60);

/// A schedule at the moment at which its time is looked at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Situation {
    /// The time that has come.
    pub(super) due: OffsetDateTime,
    pub(super) now: OffsetDateTime,
    pub(super) missed: MissedPolicy,
    pub(super) overlap: OverlapPolicy,
    /// Whether what it started last goes on.
    pub(super) is_busy: bool,
    /// When that ended, where it has.
    pub(super) ended: Option<OffsetDateTime>,
}

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The work is started, with a note for the history.
    Fire(Option<&'static str>),
    /// The time passes, and the history says why.
    Pass(&'static str),
    /// It is looked at again when what runs has ended.
    Wait,
}

pub(super) fn judge(situation: Situation) -> Verdict {
    let Situation { due, now, missed, overlap, is_busy, ended } = situation;
    match (is_busy, overlap) {
        (true, OverlapPolicy::Skip) => {
            return Verdict::Pass("skipped: what the schedule started last had not ended (overlap is skip)");
        }
        (true, OverlapPolicy::Queue) => return Verdict::Wait,
        (true, OverlapPolicy::Allow) | (false, _) => {}
    }
    // A time that waited for the end of what ran before was not missed meanwhile.
    let waited_until = ended.filter(|ended| overlap == OverlapPolicy::Queue && *ended > due);
    match (now - waited_until.unwrap_or(due) > LATE, missed) {
        (true, MissedPolicy::Skip) => Verdict::Pass("missed: no worker was there at the time (missed is skip)"),
        (true, MissedPolicy::RunOnce) => {
            Verdict::Fire(Some("makes up for the time, and those after it, that no worker was there for"))
        }
        (false, _) if waited_until.is_some() => Verdict::Fire(Some("waited for the end of what was started before")),
        (false, _) => Verdict::Fire(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_policy_decides_its_own() {
        use MissedPolicy::{RunOnce, Skip};
        use OverlapPolicy::{Allow, Queue, Skip as SkipOverlap};
        let due = OffsetDateTime::UNIX_EPOCH + Duration::days(20_000);
        let at = |seconds: i64| due + Duration::seconds(seconds);
        // Missed, overlap, busy, when the last one ended, now; then: "fire", "fire, noted", "pass" or "wait".
        let rows: [(_, _, _, Option<i64>, i64, &str); 16] = [
            (Skip, SkipOverlap, false, None, 0, "fire"),
            (Skip, SkipOverlap, false, Some(-5), 60, "fire"),
            (Skip, SkipOverlap, false, Some(-5), 61, "pass"),
            (RunOnce, SkipOverlap, false, Some(-5), 61, "fire, noted"),
            (RunOnce, Allow, false, None, 86_400, "fire, noted"),
            (Skip, SkipOverlap, true, None, 1, "pass"),
            (RunOnce, SkipOverlap, true, None, 100, "pass"),
            (Skip, Allow, true, None, 1, "fire"),
            (Skip, Allow, true, None, 100, "pass"),
            (Skip, Queue, true, None, 1, "wait"),
            (RunOnce, Queue, true, None, 100, "wait"),
            (Skip, Queue, false, Some(500), 501, "fire, noted"),
            (Skip, Queue, false, Some(500), 561, "pass"),
            (Skip, Queue, false, Some(-1), 1, "fire"),
            // It ended after the time of one that may not wait: that time was missed all the same.
            (Skip, SkipOverlap, false, Some(500), 501, "pass"),
            (RunOnce, Queue, false, Some(500), 700, "fire, noted"),
        ];
        for row in rows {
            let (missed, overlap, is_busy, ended, now, expected) = row;
            let situation = Situation { due, now: at(now), missed, overlap, is_busy, ended: ended.map(at) };
            let found = match judge(situation) {
                Verdict::Fire(None) => "fire",
                Verdict::Fire(Some(_)) => "fire, noted",
                Verdict::Pass(_) => "pass",
                Verdict::Wait => "wait",
            };
            assert_eq!(found, expected, "{row:?}");
        }
    }
}
