//! How often something is tried again while a server can't be reached, and when to give up.

use super::ClientError;
use std::time::Duration;

/// First wait before another try; doubled each time up to the maximum.
const WAIT_MIN: Duration = Duration::from_millis(250);
const WAIT_MAX: Duration = Duration::from_secs(10);
/// Failures in a row, with nothing received, before giving up: some five minutes.
const FAILURES_MAX: u32 = 36;
/// The same for people.
pub(crate) const PATIENCE_SHOWN: &str = "five minutes";

/// Counts failures in a row.
#[derive(Debug, Default)]
pub(crate) struct Patience {
    failures: u32,
}

impl Patience {
    /// The server has said something.
    pub(crate) fn restore(&mut self) {
        self.failures = 0;
    }

    /// How long to wait before another try; the error again where that would be of no use.
    pub(crate) fn wait_after(&mut self, error: ClientError) -> Result<Duration, ClientError> {
        if !error.is_passing() || self.failures >= FAILURES_MAX {
            return Err(error);
        }
        let asked = match &error {
            ClientError::Refused(problem) => problem.retry_after_s.map(Duration::from_secs),
            _ => None,
        };
        let doubled = WAIT_MIN.saturating_mul(1 << self.failures.min(8));
        self.failures += 1;
        Ok(asked.unwrap_or(doubled).min(WAIT_MAX))
    }

    /// Whether the last failure was the first of its row, which is when to tell of it.
    pub(crate) fn is_first(&self) -> bool {
        self.failures == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Problem;

    fn refused(status: u16, retry_after_s: Option<u64>) -> ClientError {
        ClientError::Refused(Box::new(Problem::from_answer(status, retry_after_s, b"")))
    }

    #[test]
    fn waits_grow_and_end_in_the_error() {
        let mut patience = Patience::default();
        let mut waits = Vec::new();
        while let Ok(wait) = patience.wait_after(ClientError::TimedOut { url: String::new() }) {
            assert_eq!(patience.is_first(), waits.is_empty());
            waits.push(wait);
        }
        assert_eq!((waits[0], waits[1], waits[35]), (WAIT_MIN, WAIT_MIN * 2, WAIT_MAX));
        let total: Duration = waits.iter().sum();
        assert!((240..360).contains(&total.as_secs()), "{PATIENCE_SHOWN}: {total:?}");
        patience.restore();
        assert!(patience.wait_after(refused(503, Some(3))).is_ok_and(|wait| wait == Duration::from_secs(3)));
    }

    #[test]
    fn what_does_not_pass_is_not_waited_for() {
        assert!(Patience::default().wait_after(refused(404, None)).is_err());
    }
}
