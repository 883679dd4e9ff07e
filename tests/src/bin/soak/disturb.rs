//! The faults, spread over the work: each strikes when so many tasks have ended.

use super::{Services, options::Options, watch::Watch};
use anyhow::{Context, Result, ensure};
use mecapy_tests::{Cluster, services::Shutdown};
use std::time::Duration;
use tokio::time::sleep;

const LOOK_INTERVAL: Duration = Duration::from_millis(20);
/// The last fault strikes when so many hundredths of the tasks have ended, so that it still meets work.
const LAST_FAULT_PERCENT: usize = 90;

/// What is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Kill,
    Wipe,
    Restart,
}

/// How often each fault was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Faults {
    pub(crate) kills: usize,
    pub(crate) wipes: usize,
    pub(crate) restarts: usize,
}

/// Makes the faults.
pub(crate) struct Disturber<'a> {
    pub(crate) services: &'a mut Services,
    pub(crate) cluster: &'a mut Cluster,
    pub(crate) watch: &'a Watch,
    pub(crate) options: &'a Options,
}

impl Disturber<'_> {
    /// Makes one after the other, and brings back what it broke.
    pub(crate) async fn disturb(self) -> Result<Faults> {
        let mut made = Faults::default();
        let plan = plan(self.options);
        for (number, fault) in plan.iter().enumerate() {
            let at = self.options.tasks * LAST_FAULT_PERCENT / 100 * (number + 1) / plan.len();
            while self.watch.ended() < at {
                ensure!(!self.watch.stands_still(), "nothing ends any more, after {made:?}");
                sleep(LOOK_INTERVAL).await;
            }
            match fault {
                Fault::Kill => {
                    let number = getrandom::u64()? % self.options.workers as u64;
                    let worker = self.cluster.worker(usize::try_from(number)?)?;
                    worker.kill()?;
                    worker.start_again().await.context("a killed worker can't be started again")?;
                    made.kills += 1;
                }
                Fault::Wipe => {
                    self.services.redis.address().wipe().await?;
                    self.services.redis.kill().await?;
                    self.services.redis.start_again().await?;
                    made.wipes += 1;
                }
                Fault::Restart => {
                    self.services.postgres.restart(Shutdown::Immediate).await?;
                    made.restarts += 1;
                }
            }
            self.watch.fault();
        }
        Ok(made)
    }
}

/// All faults in turn: each kind evenly over the whole.
fn plan(options: &Options) -> Vec<Fault> {
    let mut plan = Vec::new();
    for (fault, count) in
        [(Fault::Kill, options.kills), (Fault::Wipe, options.wipes), (Fault::Restart, options.restarts)]
    {
        plan.extend((0..count).map(|number| ((2 * number + 1) as f64 / (2 * count) as f64, fault)));
    }
    plan.sort_by(|(one, _), (other, _)| one.total_cmp(other));
    plan.into_iter().map(|(_, fault)| fault).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_of_a_kind_lie_apart() {
        let plan = plan(&Options { kills: 4, wipes: 1, restarts: 2, ..Options::default() });
        let count = |wanted: Fault| plan.iter().filter(|fault| **fault == wanted).count();
        assert_eq!([count(Fault::Kill), count(Fault::Wipe), count(Fault::Restart)], [4, 1, 2]);
        let restarts: Vec<usize> =
            plan.iter().enumerate().filter(|(_, fault)| **fault == Fault::Restart).map(|(at, _)| at).collect();
        assert!(restarts[1] - restarts[0] > 1, "{plan:?}");
    }
}
