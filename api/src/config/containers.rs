//! What a worker that runs containers is told beside the settings of all processes.

use super::{ConfigError, Settings, settings::positive};
use std::path::PathBuf;

/// A work folder's size where none is asked for, bytes.
const DISK_BYTES: u64 = 4 << 30;
/// In the data folder, where no other folder is named.
const STATE_DIR: &str = "containers";

/// A Docker engine and what of its machine may be used.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Containers")]
pub(crate) struct ContainerFlags {
    /// Run the solvers' tasks and compile sources, and do nothing else, in containers of this Docker engine: unix:///path/of/docker.sock
    #[arg(long, env = "MECAPY_DOCKER_URL", hide_env_values = true, value_name = "URL")]
    docker_url: Option<String>,
    /// Cores for all containers together [default: all of the engine's machine]
    #[arg(long, env = "MECAPY_CONTAINER_CORES", hide_env_values = true, value_name = "N")]
    cores: Option<u32>,
    /// Memory for all containers together, bytes [default: 7/8 of the engine's machine]
    #[arg(long, env = "MECAPY_CONTAINER_MEMORY_BYTES", hide_env_values = true, value_name = "BYTES")]
    memory_bytes: Option<u64>,
    /// Each container's work folder, bytes, taken from the disk of --state-dir while it runs [default: 4 GiB]
    #[arg(long, env = "MECAPY_CONTAINER_DISK_BYTES", hide_env_values = true, value_name = "BYTES")]
    disk_bytes: Option<u64>,
    /// The engine's runtime for all containers, as runsc [default: the engine's own]
    #[arg(long, env = "MECAPY_CONTAINER_RUNTIME", hide_env_values = true, value_name = "NAME")]
    runtime: Option<String>,
    /// Claims and work folders of containers are kept here, so that they are found again; one worker's own
    /// [default: containers in the data folder]
    #[arg(long, env = "MECAPY_CONTAINER_STATE_DIR", hide_env_values = true, value_name = "DIR")]
    state_dir: Option<PathBuf>,
}

/// What those flags come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ContainerRole {
    pub(crate) docker_url: String,
    /// The catalogue of solvers and compilers.
    pub(crate) solvers: PathBuf,
    pub(crate) cores: Option<u32>,
    pub(crate) memory_bytes: Option<u64>,
    pub(crate) disk_bytes: u64,
    pub(crate) runtime: Option<String>,
    pub(crate) state_dir: PathBuf,
}

impl ContainerFlags {
    /// `None`: no containers are run.
    pub(crate) fn load(self, settings: &Settings) -> Result<Option<ContainerRole>, ConfigError> {
        let cores = positive("cores", self.cores)?;
        let memory_bytes = positive("memory-bytes", self.memory_bytes)?;
        let disk_bytes = positive("disk-bytes", self.disk_bytes)?.unwrap_or(DISK_BYTES);
        let Some(docker_url) = self.docker_url else { return Ok(None) };
        let Some(solvers) = settings.solvers.clone() else {
            let needed = "name the catalogue of solvers with --solvers: without one there is nothing to run";
            return Err(ConfigError::Value { setting: "docker-url", value: docker_url, needed });
        };
        let state_dir = self.state_dir.unwrap_or_else(|| settings.data_dir.join(STATE_DIR));
        let runtime = self.runtime;
        Ok(Some(ContainerRole { docker_url, solvers, cores, memory_bytes, disk_bytes, runtime, state_dir }))
    }
}

#[cfg(test)]
mod tests {
    use super::{super::Layer, *};

    #[test]
    fn an_engine_needs_a_catalogue_and_the_rest_has_defaults() {
        let layer = Layer { cache_dir: Some("/cache".into()), ..Layer::default() };
        let bare = Settings::of(layer.clone()).unwrap();
        let with = Settings::of(Layer { solvers: Some("solvers.toml".into()), ..layer }).unwrap();
        assert_eq!(ContainerFlags::default().load(&with).unwrap(), None);
        let url = || Some("unix:///run/docker.sock".to_owned());
        let flags = ContainerFlags { docker_url: url(), ..ContainerFlags::default() };
        let error = flags.clone().load(&bare).unwrap_err().to_string();
        assert!(error.starts_with("docker-url") && error.contains("--solvers"), "{error}");
        let role = flags.load(&with).unwrap().unwrap();
        assert_eq!((role.cores, role.memory_bytes, role.disk_bytes), (None, None, DISK_BYTES));
        assert_eq!(role.state_dir, with.data_dir.join(STATE_DIR));
        for (flags, setting) in [
            (ContainerFlags { cores: Some(0), docker_url: url(), ..ContainerFlags::default() }, "cores"),
            (ContainerFlags { disk_bytes: Some(0), docker_url: url(), ..ContainerFlags::default() }, "disk-bytes"),
        ] {
            assert!(flags.load(&with).unwrap_err().to_string().starts_with(setting));
        }
    }
}
