//! When a delivery is tried again, and when an endpoint is given up. Pure: time and randomness are parameters.

use super::{
    outbox::{Effect, Health, Next, WhyDisabled},
    send::Verdict,
};
use std::time::Duration;
use time::{OffsetDateTime, format_description::well_known::Rfc2822};

/// Waits after the first failure, the second, and so on: 43 hours in all, so that a weekend's outage is survived.
const WAITS_S: [u64; 10] = [5, 30, 2 * 60, 10 * 60, 30 * 60, 3600, 2 * 3600, 5 * 3600, 10 * 3600, 24 * 3600];
/// Attempts of one delivery.
pub(super) const ATTEMPTS_MAX: u32 = WAITS_S.len() as u32 + 1;
/// A wait is longer or shorter by up to so many thousandths, so that what failed together does not come back together.
const JITTER_PER_MILLE: u64 = 200;
/// The longest wait that an answer may ask for.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);
/// An endpoint that has answered nothing else for so long is disabled, after so many failures at least: one event a
/// week that failed twice says little.
pub(super) const FAILING_MAX: Duration = Duration::from_secs(5 * 24 * 3600);
const FAILURES_MIN: u32 = ATTEMPTS_MAX;

/// What becomes of a delivery after its attempt number `attempt` (from 1). `random` may be any number.
pub(super) fn next(attempt: u32, verdict: Verdict, random: u64) -> Next {
    let asked_for = match verdict {
        Verdict::Delivered => return Next::Delivered,
        Verdict::Gone => return Next::GivenUp,
        Verdict::Failed { retry_after } => retry_after.unwrap_or_default(),
    };
    let index = usize::try_from(attempt.saturating_sub(1)).unwrap_or(usize::MAX);
    let Some(wait_s) = WAITS_S.get(index) else { return Next::GivenUp };
    let per_mille = 1000 - JITTER_PER_MILLE + random % (2 * JITTER_PER_MILLE + 1);
    Next::Retry { after: Duration::from_millis(wait_s * per_mille).max(asked_for.min(RETRY_AFTER_MAX)) }
}

/// What an answer says of its endpoint, which was `before` it.
pub(super) fn effect(before: Health, verdict: Verdict, now: OffsetDateTime) -> Effect {
    match verdict {
        Verdict::Delivered => Effect::Works,
        Verdict::Gone => Effect::Disable(WhyDisabled::Gone),
        Verdict::Failed { .. } => {
            let long = before.failing_since.is_some_and(|since| now - since >= FAILING_MAX);
            let often = before.failures.saturating_add(1) >= FAILURES_MIN;
            if long && often { Effect::Disable(WhyDisabled::Failing) } else { Effect::Fails }
        }
    }
}

/// The wait that a `Retry-After` header asks for: seconds or a date. At most an hour.
pub(super) fn retry_after(header: &str, now: OffsetDateTime) -> Option<Duration> {
    let wait = match header.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        // A date that has passed is no wait.
        Err(_) => Duration::try_from(OffsetDateTime::parse(header, &Rfc2822).ok()? - now).unwrap_or_default(),
    };
    Some(wait.min(RETRY_AFTER_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use mecapy_store::{Clock as _, ManualClock};
    use time::macros::datetime;

    const FAILED: Verdict = Verdict::Failed { retry_after: None };

    #[test]
    fn waits_grow_within_a_fifth_of_their_length_and_end() {
        let clock = ManualClock::at(OffsetDateTime::UNIX_EPOCH, 7);
        for (attempt, wait_s) in (1..).zip(WAITS_S) {
            let mut seen = Vec::new();
            for _ in 0..1000 {
                let mut random = [0; 8];
                clock.fill_random(&mut random);
                let Next::Retry { after } = next(attempt, FAILED, u64::from_le_bytes(random)) else {
                    panic!("attempt {attempt} was the last");
                };
                seen.push(after.as_millis() as f64 / (wait_s * 1000) as f64);
            }
            let least = seen.iter().copied().fold(f64::MAX, f64::min);
            let most = seen.iter().copied().fold(0.0, f64::max);
            assert!((0.8..0.82).contains(&least) && (1.18..=1.2).contains(&most), "{attempt}: {least} to {most}");
        }
        assert_eq!(next(ATTEMPTS_MAX, FAILED, 0), Next::GivenUp);
        assert_eq!(next(u32::MAX, FAILED, 0), Next::GivenUp);
        assert_eq!(next(1, Verdict::Delivered, 0), Next::Delivered);
        assert_eq!(next(1, Verdict::Gone, 0), Next::GivenUp);
    }

    #[test]
    fn an_answer_may_ask_for_a_longer_wait_of_an_hour_at_most() {
        let after = |attempt, seconds| {
            let retry_after = Some(Duration::from_secs(seconds));
            next(attempt, Verdict::Failed { retry_after }, JITTER_PER_MILLE)
        };
        let wait = |seconds| Next::Retry { after: Duration::from_secs(seconds) };
        assert_eq!(after(1, 60), wait(60));
        assert_eq!(after(3, 1), wait(120));
        assert_eq!(after(1, u64::MAX), wait(3600));
        assert_eq!(after(10, 60), wait(24 * 3600));
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = datetime!(1994-11-06 08:49:00 UTC);
        let rows = [
            ("0", Some(0)),
            ("120", Some(120)),
            ("99999999", Some(3600)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(37)),
            ("Sun, 06 Nov 1994 08:40:00 GMT", Some(0)),
            ("Sun, 06 Nov 2094 08:49:37 GMT", Some(3600)),
            ("-1", None),
            ("soon", None),
            ("", None),
        ];
        for (header, seconds) in rows {
            assert_eq!(retry_after(header, now), seconds.map(Duration::from_secs), "{header:?}");
        }
    }

    #[test]
    fn an_endpoint_is_disabled_when_it_is_gone_or_has_failed_for_days() {
        let now = datetime!(2026-01-10 00:00 UTC);
        let health =
            |days_ago: i64, failures| Health { failing_since: Some(now - time::Duration::days(days_ago)), failures };
        let rows = [
            (Health::default(), FAILED, Effect::Fails),
            (health(4, 10_000), FAILED, Effect::Fails),
            (health(5, FAILURES_MIN - 2), FAILED, Effect::Fails),
            (health(5, FAILURES_MIN - 1), FAILED, Effect::Disable(WhyDisabled::Failing)),
            (health(5, u32::MAX), FAILED, Effect::Disable(WhyDisabled::Failing)),
            (health(5, 10_000), Verdict::Delivered, Effect::Works),
            (Health::default(), Verdict::Gone, Effect::Disable(WhyDisabled::Gone)),
        ];
        for (before, verdict, expected) in rows {
            assert_eq!(effect(before, verdict, now), expected, "{before:?} {verdict:?}");
        }
    }
}
