//! What a container is made from, and every restriction that it gets.

use super::{Claim, EngineError, ImageDigest, Sizes, cgroup::CgroupFolder, engine::Facts};
use bollard::models::{
    ContainerCreateBody, HealthConfig, HostConfig, HostConfigCgroupnsModeEnum, HostConfigLogConfig, Mount,
    MountBindOptions, MountBindOptionsPropagationEnum, MountTmpfsOptions, MountType, ResourcesUlimits, RestartPolicy,
    RestartPolicyNameEnum,
};
use std::{collections::HashMap, path::PathBuf};

/// Where a container finds its files, and is when it starts.
pub const WORK_FOLDER: &str = "/work";
/// Who a container is, and owns its files: no account of the host.
pub const CONTAINER_UID: u32 = 10_001;
/// From TERM to KILL.
pub(super) const GRACE_SECONDS: u16 = 10;

const OPEN_FILES_MAX: i64 = 4096;
const TMP_INODES_MAX: u32 = 65_536;
/// The engine starts its log anew at this many times the output that ends a run, and lines would be lost. A byte takes
/// up to six in its JSON.
const LOG_FILE_FACTOR: u64 = 16;
const LOG_FILE_BYTES_MIN: u64 = 64 << 20;
/// When the machine runs out of memory, its kernel ends a solver before it ends us.
const OOM_SCORE: i64 = 500;

/// One container to be.
#[derive(Debug, Clone)]
pub struct Launch {
    /// Whose containers these are: a worker finds its own by it, and leaves those of others alone. Up to 64 letters,
    /// digits, `-` and `_`.
    pub owner: String,
    pub claim: Claim,
    pub image: ImageDigest,
    /// The argument array; the first is the program. No shell reads it.
    pub command: Vec<String>,
    /// The catalogue's variables, beside those that are in the image.
    pub environment: Vec<(String, String)>,
    pub sizes: Sizes,
    /// The engine's runtime, for instance `runsc`; its default one if `None`.
    pub runtime: Option<String>,
    /// The volume's folder on the engine's machine.
    pub work: PathBuf,
}

impl Launch {
    /// # Errors
    /// `Refused` or `RuntimeMissing`: asking for it again does not help.
    pub(super) fn check(&self, facts: &Facts) -> Result<(), EngineError> {
        self.sizes.check()?;
        let refused = |what: &str| Err(EngineError::Refused(what.to_owned()));
        if self.command.first().is_none_or(String::is_empty) {
            return refused("it has no command");
        }
        let is_owner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if !(1..=64).contains(&self.owner.len()) || !self.owner.bytes().all(is_owner) {
            return refused("its owner's name is not made of up to 64 letters, digits, - and _");
        }
        let is_name = |name: &str| {
            name.bytes()
                .enumerate()
                .all(|(index, byte)| byte == b'_' || byte.is_ascii_alphabetic() || (index > 0 && byte.is_ascii_digit()))
        };
        if self.environment.iter().any(|(name, _)| name.is_empty() || !is_name(name)) {
            return refused("a variable's name is not made of letters, digits and _");
        }
        let values = self.environment.iter().map(|(_, value)| value);
        if self.command.iter().chain(values).any(|text| text.contains('\0')) {
            return refused("an argument or a variable has a NUL byte");
        }
        if !self.work.is_absolute() || self.work.to_str().is_none() {
            return refused("the volume's folder is not an absolute UTF-8 path");
        }
        match &self.runtime {
            Some(runtime) => facts.must_have_runtime(runtime),
            None => Ok(()),
        }
    }

    /// The engine's request: everything that is not here is denied. `image_volumes` are the folders which the image
    /// would have as unlimited volumes on the host: they become empty and read-only.
    pub(super) fn body(&self, facts: &Facts, image_volumes: &[String]) -> ContainerCreateBody {
        let (program, arguments) =
            self.command.split_first().map_or_else(Default::default, |(first, rest)| (first.clone(), rest.to_vec()));
        ContainerCreateBody {
            image: Some(self.image.to_string()),
            // Both are given, so that nothing of the image's own entry point is left.
            entrypoint: Some(vec![program]),
            cmd: Some(arguments),
            env: Some(self.environment.iter().map(|(name, value)| format!("{name}={value}")).collect()),
            working_dir: Some(WORK_FOLDER.to_owned()),
            user: Some(format!("{CONTAINER_UID}:{CONTAINER_UID}")),
            // The same for each run: solvers print it.
            hostname: Some("solver".to_owned()),
            attach_stdin: Some(false),
            open_stdin: Some(false),
            tty: Some(false),
            network_disabled: Some(true),
            // An image's health check would be a program that nobody asked for.
            healthcheck: Some(HealthConfig { test: Some(vec!["NONE".to_owned()]), ..HealthConfig::default() }),
            stop_signal: Some("SIGTERM".to_owned()),
            stop_timeout: Some(i64::from(GRACE_SECONDS)),
            labels: Some(self.claim.labels(&self.owner, self.sizes.output_bytes_max)),
            host_config: Some(self.host_config(facts, image_volumes)),
            ..ContainerCreateBody::default()
        }
    }

    fn host_config(&self, facts: &Facts, image_volumes: &[String]) -> HostConfig {
        let sizes = &self.sizes;
        let tmp = format!("rw,nosuid,nodev,noexec,size={},nr_inodes={TMP_INODES_MAX},mode=1777", sizes.tmp_bytes);
        HostConfig {
            cap_drop: Some(vec!["ALL".to_owned()]),
            security_opt: Some(vec!["no-new-privileges:true".to_owned()]),
            privileged: Some(false),
            readonly_rootfs: Some(true),
            tmpfs: Some(HashMap::from([("/tmp".to_owned(), tmp)])),
            mounts: Some(self.mounts(image_volumes)),
            network_mode: Some("none".to_owned()),
            // No /dev/shm either, which would be memory to write in.
            ipc_mode: Some("none".to_owned()),
            // Empty is a namespace of its own.
            pid_mode: Some(String::new()),
            uts_mode: Some(String::new()),
            cgroupns_mode: Some(HostConfigCgroupnsModeEnum::PRIVATE),
            memory: Some(signed(sizes.memory_bytes)),
            memory_swap: Some(signed(sizes.memory_bytes)),
            nano_cpus: Some(i64::from(sizes.cpus) * 1_000_000_000),
            pids_limit: Some(i64::from(sizes.pids)),
            oom_kill_disable: Some(false),
            oom_score_adj: Some(OOM_SCORE),
            ulimits: Some(vec![
                ulimit("nofile", OPEN_FILES_MAX),
                ulimit("core", 0),
                ulimit("fsize", signed(sizes.disk_bytes)),
            ]),
            init: Some(true),
            restart_policy: Some(RestartPolicy { name: Some(RestartPolicyNameEnum::NO), ..RestartPolicy::default() }),
            auto_remove: Some(false),
            log_config: Some(log_config(sizes.output_bytes_max)),
            cgroup_parent: CgroupFolder::of(facts, &self.owner, &self.claim.key()).map(|folder| folder.parent()),
            runtime: self.runtime.clone(),
            ..HostConfig::default()
        }
    }

    /// The work folder is the only one of the host.
    fn mounts(&self, image_volumes: &[String]) -> Vec<Mount> {
        let work = Mount {
            typ: Some(MountType::BIND),
            source: Some(self.work.to_string_lossy().into_owned()),
            target: Some(WORK_FOLDER.to_owned()),
            read_only: Some(false),
            bind_options: Some(MountBindOptions {
                propagation: Some(MountBindOptionsPropagationEnum::RPRIVATE),
                ..MountBindOptions::default()
            }),
            ..Mount::default()
        };
        let masked = image_volumes.iter().filter(|path| !matches!(path.as_str(), WORK_FOLDER | "/tmp"));
        let masks = masked.map(|path| Mount {
            typ: Some(MountType::TMPFS),
            target: Some(path.clone()),
            read_only: Some(true),
            tmpfs_options: Some(MountTmpfsOptions { size_bytes: Some(4096), ..MountTmpfsOptions::default() }),
            ..Mount::default()
        });
        std::iter::once(work).chain(masks).collect()
    }
}

fn ulimit(name: &str, value: i64) -> ResourcesUlimits {
    ResourcesUlimits { name: Some(name.to_owned()), soft: Some(value), hard: Some(value) }
}

fn log_config(output_bytes_max: u64) -> HostConfigLogConfig {
    let bytes = output_bytes_max.saturating_mul(LOG_FILE_FACTOR).saturating_add(LOG_FILE_BYTES_MIN);
    let bytes = signed(bytes);
    let options = [("max-size", bytes.to_string()), ("max-file", "1".to_owned()), ("compress", "false".to_owned())];
    HostConfigLogConfig {
        typ: Some("json-file".to_owned()),
        config: Some(options.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()),
    }
}

/// Sizes are checked to be in range before they come here.
fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mecapy_model::{TaskId, TenantId};
    use serde_json::Value;
    use std::time::Duration;
    use time::OffsetDateTime;

    fn facts(driver: &str) -> Facts {
        Facts {
            version: "20.10.24".to_owned(),
            api_version: "1.41".to_owned(),
            cpus: 8,
            memory_bytes: 32 << 30,
            cgroup_driver: driver.to_owned(),
            cgroup_version: "2".to_owned(),
            live_restore: true,
            runtimes: vec!["runc".to_owned()],
            security_options: vec!["name=seccomp,profile=default".to_owned()],
            swap_limit: true,
        }
    }

    fn launch() -> Launch {
        Launch {
            owner: "here".to_owned(),
            claim: Claim {
                task: TaskId::from_parts(1, &[1; 10]),
                tenant: TenantId::from_parts(1, &[2; 10]),
                attempt: 2,
                fence: 5,
                deadline: OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap(),
                log_offset: 17,
            },
            image: format!("sha256:{}", "ab".repeat(32)).parse().unwrap(),
            command: vec!["/usr/bin/ccx".to_owned(), "job; rm -rf /".to_owned()],
            environment: vec![("OMP_NUM_THREADS".to_owned(), "2".to_owned())],
            sizes: Sizes {
                cpus: 2,
                memory_bytes: 1 << 30,
                disk_bytes: 2 << 30,
                pids: 64,
                tmp_bytes: 16 << 20,
                output_bytes_max: 32 << 20,
                wall: Duration::from_secs(60),
            },
            runtime: None,
            work: PathBuf::from("/state/volumes/x"),
        }
    }

    /// The container section of the security list, line by line.
    const EXPECTED: &str = r#"{
        "Image": "sha256:IMAGE",
        "Entrypoint": ["/usr/bin/ccx"],
        "Cmd": ["job; rm -rf /"],
        "Env": ["OMP_NUM_THREADS=2"],
        "WorkingDir": "/work",
        "User": "10001:10001",
        "Hostname": "solver",
        "AttachStdin": false,
        "OpenStdin": false,
        "Tty": false,
        "NetworkDisabled": true,
        "Healthcheck": {"Test": ["NONE"]},
        "StopSignal": "SIGTERM",
        "StopTimeout": 10,
        "Labels": {
            "mecapy.owner": "here",
            "mecapy.task": "TASK",
            "mecapy.tenant": "TENANT",
            "mecapy.attempt": "2",
            "mecapy.fence": "5",
            "mecapy.deadline": "1800000000000",
            "mecapy.log-offset": "17",
            "mecapy.output-bytes-max": "33554432"
        },
        "HostConfig": {
            "CapDrop": ["ALL"],
            "SecurityOpt": ["no-new-privileges:true"],
            "Privileged": false,
            "ReadonlyRootfs": true,
            "Tmpfs": {"/tmp": "rw,nosuid,nodev,noexec,size=16777216,nr_inodes=65536,mode=1777"},
            "Mounts": [
                {
                    "Type": "bind",
                    "Source": "/state/volumes/x",
                    "Target": "/work",
                    "ReadOnly": false,
                    "BindOptions": {"Propagation": "rprivate"}
                },
                {"Type": "tmpfs", "Target": "/data", "ReadOnly": true, "TmpfsOptions": {"SizeBytes": 4096}}
            ],
            "NetworkMode": "none",
            "IpcMode": "none",
            "PidMode": "",
            "UTSMode": "",
            "CgroupnsMode": "private",
            "Memory": 1073741824,
            "MemorySwap": 1073741824,
            "NanoCpus": 2000000000,
            "PidsLimit": 64,
            "OomKillDisable": false,
            "OomScoreAdj": 500,
            "Ulimits": [
                {"Name": "nofile", "Soft": 4096, "Hard": 4096},
                {"Name": "core", "Soft": 0, "Hard": 0},
                {"Name": "fsize", "Soft": 2147483648, "Hard": 2147483648}
            ],
            "Init": true,
            "RestartPolicy": {"Name": "no"},
            "AutoRemove": false,
            "LogConfig": {
                "Type": "json-file",
                "Config": {"max-size": "603979776", "max-file": "1", "compress": "false"}
            },
            "CgroupParent": "/mecapy/here/TASK-2-5"
        }
    }"#;

    #[test]
    fn security_24_every_restriction_is_in_the_request_and_nothing_else_is() {
        let launch = launch();
        let expected = EXPECTED
            .replace("IMAGE", &"ab".repeat(32))
            .replace("TASK", &launch.claim.task.to_string())
            .replace("TENANT", &launch.claim.tenant.to_string());
        let body = serde_json::to_value(launch.body(&facts("cgroupfs"), &["/data".to_owned()])).unwrap();
        assert_eq!(body, serde_json::from_str::<Value>(&expected).unwrap());
    }

    #[test]
    fn a_systemd_engine_places_the_container_itself() {
        let body = serde_json::to_value(launch().body(&facts("systemd"), &[])).unwrap();
        assert_eq!(body["HostConfig"]["CgroupParent"], Value::Null);
    }

    #[test]
    fn what_can_not_be_launched_is_refused_and_a_runtime_never_falls_back() {
        let facts = facts("cgroupfs");
        launch().check(&facts).unwrap();
        let runsc = Launch { runtime: Some("runsc".to_owned()), ..launch() };
        assert!(matches!(runsc.check(&facts), Err(EngineError::RuntimeMissing { .. })));
        for bad in [
            Launch { command: Vec::new(), ..launch() },
            Launch { command: vec!["a\0b".to_owned()], ..launch() },
            Launch { environment: vec![("A=B".to_owned(), String::new())], ..launch() },
            Launch { environment: vec![("1A".to_owned(), String::new())], ..launch() },
            Launch { work: PathBuf::from("relative"), ..launch() },
            Launch { owner: "../x".to_owned(), ..launch() },
        ] {
            assert!(matches!(bad.check(&facts), Err(EngineError::Refused(_))), "{bad:?}");
        }
    }
}
