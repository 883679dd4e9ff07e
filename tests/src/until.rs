//! Waiting for something with a deadline, instead of sleeping and hoping.

use anyhow::{Result, bail};
use std::{
    future::Future,
    time::{Duration, Instant},
};

/// The wait between two looks: short against anything that is waited for, long against a look's own cost.
const LOOK_INTERVAL: Duration = Duration::from_millis(5);

/// Looks again and again until `look` answers `Some`, at most for `deadline`; `what` names it in the failure.
pub async fn until<T, F>(what: &str, deadline: Duration, mut look: impl FnMut() -> F) -> Result<T>
where
    F: Future<Output = Result<Option<T>>>,
{
    let started = Instant::now();
    loop {
        if let Some(value) = look().await? {
            return Ok(value);
        }
        if started.elapsed() > deadline {
            bail!("waited {deadline:?} in vain until {what}");
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
}
