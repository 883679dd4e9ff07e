//! The Docker engine: how we reach it, what it can do, and which of its containers are ours.

use super::{
    EngineError, ImageDigest,
    claim::{Found, is_of, owned_by},
    error::{API_VERSION_MIN, status},
};
use bollard::{
    API_DEFAULT_VERSION, Docker,
    errors::Error as ClientError,
    models::{ContainerSummaryStateEnum, SystemInfo},
    query_parameters::{EventsOptionsBuilder, ListContainersOptionsBuilder, RemoveContainerOptionsBuilder},
};
use mecapy_model::Room;
use std::{collections::HashMap, net::SocketAddr, time::Duration};
use tokio::time::timeout;
use tokio_stream::{Stream, StreamExt};

/// How long the engine may take to begin an answer. Output and waits are streams, which may stay silent for longer.
const ANSWER_SECONDS_MAX: u64 = 60;
/// How long an engine that is there may take to say what it is, and that it is there.
const CONNECT_MAX: Duration = Duration::from_secs(10);
const PING_MAX: Duration = Duration::from_secs(5);

/// A Docker engine that can keep our containers within bounds. A clone is the same connection.
#[derive(Debug, Clone)]
pub struct ContainerEngine {
    pub(super) docker: Docker,
    facts: Facts,
}

/// What an engine says of itself and its machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    pub version: String,
    /// The API version that both of us speak.
    pub api_version: String,
    pub cpus: u32,
    pub memory_bytes: u64,
    /// `cgroupfs` or `systemd`.
    pub cgroup_driver: String,
    /// `1` or `2`.
    pub cgroup_version: String,
    /// Whether containers go on while the engine restarts.
    pub live_restore: bool,
    /// Names that a launch may ask for.
    pub runtimes: Vec<String>,
    /// For instance `name=seccomp,profile=default`.
    pub security_options: Vec<String>,
    /// Whether memory without swap can be enforced.
    pub swap_limit: bool,
}

impl ContainerEngine {
    /// Reaches the engine at `url` (`unix:///path`, or `tcp://127.0.0.1:port`), agrees on an API version and checks
    /// that it enforces what we ask for.
    ///
    /// # Errors
    /// What is missing and what to do about it; asking again helps where the engine [may be away](EngineError::may_be_away).
    pub async fn connect(url: &str) -> Result<Self, EngineError> {
        timeout(CONNECT_MAX, Self::reach(url)).await.unwrap_or_else(|_| Err(ClientError::RequestTimeoutError.into()))
    }

    async fn reach(url: &str) -> Result<Self, EngineError> {
        let docker = client(url)?.negotiate_version().await.map_err(|error| EngineError::connecting(url, error))?;
        let agreed = docker.client_version();
        if (agreed.major_version, agreed.minor_version) < API_VERSION_MIN {
            return Err(EngineError::TooOld { found: agreed.to_string() });
        }
        let docker = speak(docker, &format!("/v{agreed}"));
        let info = docker.info().await.map_err(|error| EngineError::connecting(url, error))?;
        let lacking = lacking(&info);
        if !lacking.is_empty() {
            return Err(EngineError::Unsafe(lacking.join(", ")));
        }
        let facts = Facts::new(info, agreed.to_string());
        if !facts.swap_limit {
            tracing::warn!("container.swap_not_limited: boot with swapaccount=1, or turn swap off");
        }
        Ok(Self { docker, facts })
    }

    /// As they were when we connected.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// All that the engine's machine has.
    pub fn room(&self) -> Room {
        Room { cpus: self.facts.cpus, memory_bytes: self.facts.memory_bytes }
    }

    /// Asks the engine whether it is there.
    ///
    /// # Errors
    /// Where it does not answer within moments, or says that it can't.
    pub async fn ping(&self) -> Result<(), EngineError> {
        let pinged = timeout(PING_MAX, self.docker.ping()).await;
        pinged.unwrap_or(Err(ClientError::RequestTimeoutError)).map(drop).map_err(EngineError::from)
    }

    /// Whether an image is on the engine's machine.
    ///
    /// # Errors
    /// Where the engine does not answer or can't.
    pub async fn has_image(&self, image: &ImageDigest) -> Result<bool, EngineError> {
        match self.docker.inspect_image(image.as_str()).await {
            Ok(_) => Ok(true),
            Err(error) if status(&error) == Some(404) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Says each time that an image came or went, until the engine goes away.
    pub fn image_events(&self) -> impl Stream<Item = Result<(), EngineError>> + Send + use<> {
        let of_images = HashMap::from([("type", vec!["image"])]);
        let options = EventsOptionsBuilder::new().filters(&of_images).build();
        self.docker.events(Some(options)).map(|event| event.map(drop).map_err(EngineError::from))
    }

    /// The containers that carry `owner`'s label, running or not.
    ///
    /// # Errors
    /// Where the engine does not answer.
    pub async fn find(&self, owner: &str) -> Result<Vec<Found>, EngineError> {
        let options = ListContainersOptionsBuilder::new().all(true).filters(&owned_by(owner)).build();
        let containers = self.docker.list_containers(Some(options)).await?;
        Ok(containers
            .into_iter()
            .filter_map(|container| {
                // Whoever sweeps removes what this answers: not by the engine's word alone.
                let labels = container.labels.filter(|labels| is_of(owner, labels))?;
                let running = matches!(
                    container.state,
                    Some(
                        ContainerSummaryStateEnum::RUNNING
                            | ContainerSummaryStateEnum::PAUSED
                            | ContainerSummaryStateEnum::RESTARTING
                    )
                );
                Some(Found::new(container.id?, &labels, running))
            })
            .collect())
    }

    /// Ends a container at once and removes it. One that is gone already is no error.
    ///
    /// # Errors
    /// Where the engine does not answer or can't.
    pub async fn remove(&self, id: &str) -> Result<(), EngineError> {
        let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
        match self.docker.remove_container(id, Some(options)).await {
            Ok(()) => Ok(()),
            // 409: its removal is under way.
            Err(error) if matches!(status(&error), Some(404 | 409)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

impl Facts {
    /// # Errors
    /// `RuntimeMissing`.
    pub fn must_have_runtime(&self, runtime: &str) -> Result<(), EngineError> {
        if self.runtimes.iter().any(|known| known == runtime) {
            return Ok(());
        }
        Err(EngineError::RuntimeMissing { runtime: runtime.to_owned(), known: self.runtimes.clone() })
    }

    fn new(info: SystemInfo, api_version: String) -> Self {
        let mut runtimes: Vec<_> = info.runtimes.unwrap_or_default().into_keys().collect();
        runtimes.sort();
        Self {
            version: info.server_version.unwrap_or_default(),
            api_version,
            cpus: info.ncpu.and_then(|count| u32::try_from(count).ok()).unwrap_or_default(),
            memory_bytes: info.mem_total.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or_default(),
            cgroup_driver: info.cgroup_driver.map(|driver| driver.to_string()).unwrap_or_default(),
            cgroup_version: info.cgroup_version.map(|version| version.to_string()).unwrap_or_default(),
            live_restore: info.live_restore_enabled.unwrap_or_default(),
            runtimes,
            security_options: info.security_options.unwrap_or_default(),
            swap_limit: info.swap_limit.unwrap_or_default(),
        }
    }
}

/// What we rely on and this engine, or its kernel, would silently not do.
fn lacking(info: &SystemInfo) -> Vec<&'static str> {
    let seccomp = info.security_options.iter().flatten().find(|option| option.starts_with("name=seccomp"));
    let has_own_users = |option: &String| option.starts_with("name=userns") || option.starts_with("name=rootless");
    let rows = [
        (
            !info.security_options.iter().flatten().any(has_own_users),
            "the host's user ids, which own the work folders (it runs rootless, or with userns-remap)",
        ),
        (info.memory_limit == Some(true), "memory limits (the memory control group)"),
        (info.cpu_cfs_quota == Some(true), "CPU quotas (CONFIG_CFS_BANDWIDTH)"),
        (info.pids_limit == Some(true), "limits on processes (the pids control group)"),
        (
            seccomp.is_some_and(|option| !option.contains("unconfined")),
            "a seccomp profile (start it without --seccomp-profile=unconfined)",
        ),
    ];
    rows.into_iter().filter(|(has, _)| !has).map(|(_, what)| what).collect()
}

/// A client that has not spoken yet.
fn client(url: &str) -> Result<Docker, EngineError> {
    let connected = if url.starts_with("unix:///") {
        Docker::connect_with_unix(url, ANSWER_SECONDS_MAX, API_DEFAULT_VERSION)
    } else {
        let address = url.strip_prefix("tcp://").and_then(|address| address.parse::<SocketAddr>().ok());
        if !address.is_some_and(|address| address.ip().is_loopback()) {
            return Err(EngineError::Address(url.to_owned()));
        }
        Docker::connect_with_http(url, ANSWER_SECONDS_MAX, API_DEFAULT_VERSION)
    };
    connected.map_err(|error| EngineError::connecting(url, error))
}

/// Puts the agreed version before each path. The client leaves it out, and an engine then answers in its newest
/// dialect, which may be newer than what we know.
fn speak(docker: Docker, version: &str) -> Docker {
    let version = version.to_owned();
    docker.with_request_modifier(move |mut request| {
        let uri = request.uri();
        if let (Some(scheme), Some(authority), Some(path)) = (uri.scheme_str(), uri.authority(), uri.path_and_query())
            && let Ok(versioned) = format!("{scheme}://{authority}{version}{path}").parse()
        {
            *request.uri_mut() = versioned;
        }
        request
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_that_is_no_engine_says_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let dead = folder.path().join("dead.sock");
        drop(std::os::unix::net::UnixListener::bind(&dead).unwrap());
        for (url, expected) in [
            ("tcp://192.0.2.1:2375".to_owned(), "use unix:///"),
            ("tcp://localhost:2375".to_owned(), "use unix:///"),
            ("/var/run/docker.sock".to_owned(), "use unix:///"),
            (format!("unix://{}", folder.path().join("none.sock").display()), "start it"),
            (format!("unix://{}", dead.display()), "start it"),
        ] {
            let error = ContainerEngine::connect(&url).await.unwrap_err();
            assert!(error.to_string().contains(expected), "{url}: {error}");
            let is_away = expected == "start it";
            assert_eq!((error.may_be_away(), error.was_not_asked()), (is_away, is_away), "{url}: {error}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_engine_that_says_nothing_is_not_waited_for_but_for_moments() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("silent.sock");
        let _listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let begun = tokio::time::Instant::now();
        let error = ContainerEngine::connect(&format!("unix://{}", path.display())).await.unwrap_err();
        assert!(error.may_be_away() && !error.was_not_asked(), "{error}");
        assert!(begun.elapsed() < CONNECT_MAX + PING_MAX);
    }

    #[test]
    fn an_engine_that_would_not_enforce_a_limit_is_named_for_it() {
        let good = SystemInfo {
            memory_limit: Some(true),
            cpu_cfs_quota: Some(true),
            pids_limit: Some(true),
            security_options: Some(vec!["name=seccomp,profile=default".to_owned()]),
            ..SystemInfo::default()
        };
        assert_eq!(lacking(&good), [""; 0]);
        let unconfined = vec!["name=seccomp,profile=unconfined".to_owned()];
        let bad = SystemInfo { pids_limit: Some(false), security_options: Some(unconfined), ..good };
        assert_eq!(lacking(&bad).len(), 2);
    }
}
