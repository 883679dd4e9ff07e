//! How tasks are claimed, and what `mecapy worker` is told beside the settings of all processes.

use super::{ConfigError, ContainerFlags, ContainerRole, Layer, Settings, settings::positive};
use mecapy_model::Lane;
use std::{net::SocketAddr, time::Duration};

const LEASE_SECONDS: u64 = 30;
/// Below this a slow commit looks like a lost worker.
const LEASE_SECONDS_MIN: u64 = 3;
const LEASE_SECONDS_MAX: u64 = 3600;
const LOST_ATTEMPTS_MAX: u32 = 10;
const DRAIN_SECONDS: u64 = 30;
const DRAIN_SECONDS_MAX: u64 = 24 * 3600;

/// How claims hold, and how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClaimSettings {
    /// How long a claim holds without a heartbeat.
    pub lease: Duration,
    /// A task that the platform lost or failed so many times ends.
    pub lost_attempts_max: u32,
    pub long_running: LongRunningSettings,
}

/// How the `long_running` lane is throttled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LongRunningSettings {
    /// Tasks that may run at a time, of all tenants and on all workers; `None`: as many as there are threads.
    pub running_max: Option<u32>,
    /// Of those, one tenant's; `None`: the worker's own default.
    pub running_per_tenant_max: Option<u32>,
    /// Tasks of one tenant that may start within a minute; `None`: any number.
    pub starts_per_minute_max: Option<u32>,
}

/// What a worker serves.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Worker")]
pub(crate) struct WorkerFlags {
    /// Claim from these lanes, with commas between them: high_priority, default, long_running [default: all three]
    #[arg(long, env = "MECAPY_WORKER_LANES", hide_env_values = true, value_name = "LANES", value_delimiter = ',')]
    lanes: Vec<Lane>,
    /// Threads of each of these lanes: so many tasks run at once [default: as for `mecapy serve`]
    #[arg(long, env = "MECAPY_WORKER_CONCURRENCY", hide_env_values = true, value_name = "N")]
    concurrency: Option<usize>,
    /// Seconds that running tasks have after the signal to stop; then they go back to the queue [default: 30]
    #[arg(long, env = "MECAPY_WORKER_DRAIN_SECONDS", hide_env_values = true, value_name = "N")]
    drain_seconds: Option<u64>,
    /// Answer /health, /ready and /metrics at this address [default: nowhere]
    #[arg(long, env = "MECAPY_WORKER_HEALTH_LISTEN", hide_env_values = true, value_name = "ADDRESS")]
    health_listen: Option<String>,
    #[command(flatten)]
    containers: ContainerFlags,
}

/// What those flags come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WorkerRole {
    pub(crate) lanes: Vec<Lane>,
    /// How long running tasks may go on after the signal to stop.
    pub(crate) drain: Duration,
    pub(crate) health_listen: Option<SocketAddr>,
    /// Where it says so, the worker runs containers, and no sandboxes.
    pub(crate) containers: Option<ContainerRole>,
}

impl ClaimSettings {
    pub(super) fn of(layer: &Layer) -> Result<Self, ConfigError> {
        let lease = layer.lease_seconds.unwrap_or(LEASE_SECONDS);
        within("lease-seconds", lease, (LEASE_SECONDS_MIN, LEASE_SECONDS_MAX), "3 to 3600 are possible")?;
        let long_running = LongRunningSettings {
            running_max: positive("long-running-max", layer.long_running_max)?,
            running_per_tenant_max: positive("long-running-per-tenant-max", layer.long_running_per_tenant_max)?,
            starts_per_minute_max: positive(
                "long-running-starts-per-minute-max",
                layer.long_running_starts_per_minute_max,
            )?,
        };
        let lost_attempts_max = positive("lost-attempts-max", layer.lost_attempts_max)?.unwrap_or(LOST_ATTEMPTS_MAX);
        Ok(Self { lease: Duration::from_secs(lease), lost_attempts_max, long_running })
    }
}

impl WorkerFlags {
    /// Reads the flags, and sizes the sandboxes for them.
    pub(crate) fn load(self, settings: &mut Settings) -> Result<WorkerRole, ConfigError> {
        let mut lanes = self.lanes;
        lanes.sort_unstable();
        lanes.dedup();
        if lanes.is_empty() {
            lanes = Lane::ALL.to_vec();
        }
        let containers = self.containers.load(settings)?;
        let concurrency = positive("concurrency", self.concurrency)?;
        let sandboxes = &mut settings.sandboxes;
        for (lane, threads) in [
            (Lane::HighPriority, &mut sandboxes.preview_threads),
            (Lane::Default, &mut sandboxes.default_threads),
            (Lane::LongRunning, &mut sandboxes.long_running_threads),
        ] {
            // Nothing runs in a lane that isn't served.
            let served = containers.is_none() && lanes.contains(&lane);
            *threads = if served { concurrency.or(*threads) } else { Some(1) };
        }
        let drain = self.drain_seconds.unwrap_or(DRAIN_SECONDS);
        within("drain-seconds", drain, (0, DRAIN_SECONDS_MAX), "0 to 86400 are possible")?;
        let health_listen =
            self.health_listen.map(|text| super::settings::address("health-listen", &text)).transpose()?;
        Ok(WorkerRole { lanes, drain: Duration::from_secs(drain), health_listen, containers })
    }
}

fn within(
    setting: &'static str,
    value: u64,
    (least, most): (u64, u64),
    needed: &'static str,
) -> Result<(), ConfigError> {
    match (least..=most).contains(&value) {
        true => Ok(()),
        false => Err(ConfigError::Value { setting, value: value.to_string(), needed }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        Settings::of(Layer { cache_dir: Some("/cache".into()), ..Layer::default() }).unwrap()
    }

    #[test]
    fn a_worker_has_threads_for_the_lanes_that_it_serves() {
        let mut all = settings();
        let role = WorkerFlags::default().load(&mut all).unwrap();
        assert_eq!((role.lanes, role.drain.as_secs(), role.health_listen), (Lane::ALL.to_vec(), 30, None));
        assert_eq!(all.sandboxes, settings().sandboxes);
        let mut some = settings();
        let lanes = vec![Lane::LongRunning, Lane::Default, Lane::Default];
        let flags = WorkerFlags { lanes, concurrency: Some(3), drain_seconds: Some(0), ..WorkerFlags::default() };
        let role = flags.load(&mut some).unwrap();
        assert_eq!(role.lanes, [Lane::Default, Lane::LongRunning]);
        let threads = some.sandboxes;
        assert_eq!(
            (threads.preview_threads, threads.default_threads, threads.long_running_threads),
            (Some(1), Some(3), Some(3))
        );
    }

    #[test]
    fn what_can_not_be_used_is_refused_by_name() {
        let rows = [
            (WorkerFlags { concurrency: Some(0), ..WorkerFlags::default() }, "concurrency"),
            (WorkerFlags { drain_seconds: Some(1 << 40), ..WorkerFlags::default() }, "drain-seconds"),
            (WorkerFlags { health_listen: Some("9000".to_owned()), ..WorkerFlags::default() }, "health-listen"),
        ];
        for (flags, setting) in rows {
            let error = flags.load(&mut settings()).unwrap_err().to_string();
            assert!(error.starts_with(setting), "{error}");
        }
        for lease in [0, 2, 3601] {
            let layer = Layer { lease_seconds: Some(lease), ..Layer::default() };
            assert!(ClaimSettings::of(&layer).unwrap_err().to_string().starts_with("lease-seconds"));
        }
        let layer = Layer { lost_attempts_max: Some(0), ..Layer::default() };
        assert!(ClaimSettings::of(&layer).unwrap_err().to_string().starts_with("lost-attempts-max"));
        let layer = Layer { long_running_max: Some(0), ..Layer::default() };
        assert!(ClaimSettings::of(&layer).unwrap_err().to_string().starts_with("long-running-max"));
    }
}
