//! The settings, checked and typed, with every default.

use super::{Backends, ClaimSettings, KernelSettings, Layer, OidcSettings, Places, identity};
use crate::{server::ConnectionLimits, webhooks::AllowList};
use mecapy_runtime::NanPayloads;
use mecapy_store::Quota;
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    thread,
};

/// Descriptors that are not connections: input files of previews, the database, objects, interpreter images.
const DESCRIPTORS_RESERVED: u64 = 1024;
/// One interpreter image takes more than this, so that less would refuse every computation, bytes.
const MEMORY_BUDGET_BYTES_MIN: u64 = 64 << 20;

/// Everything that a process is told.
#[derive(Debug, Clone)]
pub struct Settings {
    pub backends: Backends,
    pub data_dir: PathBuf,
    pub cache_dir: PathBuf,
    /// The catalogue of solvers; `None`: there are none.
    pub solvers: Option<PathBuf>,
    pub listen: SocketAddr,
    /// Without a slash at its end.
    pub public_url: Option<String>,
    /// `None`: API keys only.
    pub oidc: Option<OidcSettings>,
    pub claims: ClaimSettings,
    pub sandboxes: SandboxSettings,
    pub nan_payloads: NanPayloads,
    pub kernels: KernelSettings,
    pub requests: RequestLimits,
    /// What holds for tenants that have no limits of their own.
    pub quota: Quota,
    pub connections: ConnectionLimits,
    pub webhooks: WebhookSettings,
    pub log: String,
    pub log_format: LogFormat,
    /// Where tests let this process fail.
    pub fail_points: Option<String>,
}

/// Threads and memory for sandboxed work; `None` is the runtime's own default for this machine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SandboxSettings {
    pub preview_threads: Option<usize>,
    pub default_threads: Option<usize>,
    pub long_running_threads: Option<usize>,
    pub preview_waiting_max: Option<usize>,
    pub preview_per_tenant_max: Option<usize>,
    pub memory_budget_bytes: Option<u64>,
}

/// What requests may ask for, by key, tenant and body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestLimits {
    pub queued_per_tenant_max: u32,
    pub requests_per_second_max: u32,
    pub streams_per_key_max: usize,
    pub streams_per_tenant_max: usize,
    pub json_bytes_max: u64,
    /// Of a batch, which may bring 100 000 items along.
    pub batch_bytes_max: u64,
    pub module_bytes_max: u64,
    pub upload_bytes_max: u64,
}

/// Where webhooks may be sent beside public addresses over https.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WebhookSettings {
    pub allow: AllowList,
    pub allow_http: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LogFormat {
    #[default]
    Text,
    Json,
}

/// Why the settings can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("can't read the configuration file {}", path.display())]
    File {
        path: PathBuf,
        #[source]
        error: std::io::Error,
    },
    #[error("the configuration file {} is not right", path.display())]
    Syntax {
        path: PathBuf,
        #[source]
        error: Box<toml::de::Error>,
    },
    #[error("{} belongs to another user ({owner}): name it with --config to go by it", path.display())]
    NotYours { path: PathBuf, owner: u32 },
    /// Never repeats the URL, which may hold a password.
    #[error("{setting}: {needed}")]
    Backend { setting: &'static str, needed: String },
    #[error("{setting} is {value:?}: {needed}")]
    Value { setting: &'static str, value: String, needed: &'static str },
    #[error("can't read the token file {}", path.display())]
    TokenFile {
        path: PathBuf,
        #[source]
        error: std::io::Error,
    },
    #[error("listen is {listen}, which is no address of this machine: name the server with --url or MECAPY_API_URL")]
    NotHere { listen: SocketAddr },
    #[error("this user has no cache folder: say where interpreter images go with --cache-dir or MECAPY_CACHE_DIR")]
    NoCacheDir,
}

impl Default for RequestLimits {
    fn default() -> Self {
        Self {
            queued_per_tenant_max: 100_000,
            requests_per_second_max: 20_000,
            streams_per_key_max: 64,
            streams_per_tenant_max: 256,
            json_bytes_max: 2 << 20,
            batch_bytes_max: 32 << 20,
            module_bytes_max: 32 << 20,
            upload_bytes_max: 1 << 30,
        }
    }
}

impl Settings {
    /// The settings that flags, environment, file and defaults give together.
    pub fn load(flags: Layer) -> Result<Self, ConfigError> {
        Self::of(flags.over_file()?)
    }

    /// The folder for interpreter images, how code is compiled and what it may call, for commands that need nothing else.
    pub(super) fn interpreter(flags: Layer) -> Result<Places, ConfigError> {
        let layer = flags.over_file()?;
        Ok(Places {
            cache_dir: cache_dir(layer.cache_dir)?,
            nan_payloads: nan_payloads(layer.canonical_nans),
            kernels: KernelSettings::of(layer.kernel_instructions.as_deref())?,
        })
    }

    /// Where a server of this machine keeps its data and answers, for the commands that talk to it.
    pub(super) fn local_server(flags: Layer) -> Result<(PathBuf, SocketAddr), ConfigError> {
        let layer = flags.over_file()?;
        Ok((data_dir(layer.data_dir), listen(layer.listen.as_deref())?))
    }

    pub(super) fn of(layer: Layer) -> Result<Self, ConfigError> {
        let connections = ConnectionLimits::default();
        let connections = ConnectionLimits {
            connections_max: positive("connections-max", layer.connections_max)?.unwrap_or(connections.connections_max),
            connections_per_ip_max: positive("connections-per-ip-max", layer.connections_per_ip_max)?
                .unwrap_or(connections.connections_per_ip_max),
            ..connections
        };
        Ok(Self {
            backends: Backends::of(&layer)?,
            oidc: identity::oidc(&layer)?,
            claims: ClaimSettings::of(&layer)?,
            sandboxes: SandboxSettings::of(&layer)?,
            requests: RequestLimits::of(&layer)?,
            quota: quota(&layer)?,
            connections,
            data_dir: data_dir(layer.data_dir),
            solvers: layer.solvers,
            cache_dir: cache_dir(layer.cache_dir)?,
            listen: listen(layer.listen.as_deref())?,
            public_url: layer.public_url.map(|url| public_url(&url)).transpose()?,
            nan_payloads: nan_payloads(layer.canonical_nans),
            kernels: KernelSettings::of(layer.kernel_instructions.as_deref())?,
            webhooks: WebhookSettings {
                allow: webhook_allow(layer.webhook_allow.as_deref().unwrap_or_default())?,
                allow_http: layer.webhook_allow_http.unwrap_or(false),
            },
            fail_points: layer.fail_points,
            log: layer.log.unwrap_or_else(|| "info".to_owned()),
            log_format: layer.log_format.map_or(Ok(LogFormat::Text), |text| log_format(&text))?,
        })
    }

    /// Fewer connections where the process may not have so many descriptors.
    pub fn fit_descriptors(&mut self, descriptors_max: u64) {
        let room = usize::try_from(descriptors_max.saturating_sub(DESCRIPTORS_RESERVED)).unwrap_or(usize::MAX).max(64);
        self.connections.connections_max = self.connections.connections_max.min(room);
        self.connections.connections_per_ip_max = self.connections.connections_per_ip_max.min(room);
    }
}

impl RequestLimits {
    fn of(layer: &Layer) -> Result<Self, ConfigError> {
        let usual = Self::default();
        Ok(Self {
            queued_per_tenant_max: positive("queued-per-tenant-max", layer.queued_per_tenant_max)?
                .unwrap_or(usual.queued_per_tenant_max),
            requests_per_second_max: positive("requests-per-second-max", layer.requests_per_second_max)?
                .unwrap_or(usual.requests_per_second_max),
            streams_per_key_max: positive("streams-per-key-max", layer.streams_per_key_max)?
                .unwrap_or(usual.streams_per_key_max),
            streams_per_tenant_max: positive("streams-per-tenant-max", layer.streams_per_tenant_max)?
                .unwrap_or(usual.streams_per_tenant_max),
            json_bytes_max: positive("json-bytes-max", layer.json_bytes_max)?.unwrap_or(usual.json_bytes_max),
            batch_bytes_max: positive("batch-bytes-max", layer.batch_bytes_max)?.unwrap_or(usual.batch_bytes_max),
            module_bytes_max: positive("module-bytes-max", layer.module_bytes_max)?.unwrap_or(usual.module_bytes_max),
            upload_bytes_max: positive("upload-bytes-max", layer.upload_bytes_max)?.unwrap_or(usual.upload_bytes_max),
        })
    }
}

fn quota(layer: &Layer) -> Result<Quota, ConfigError> {
    Ok(Quota {
        running_max: positive("running-per-tenant-max", layer.running_per_tenant_max)?,
        queued_max: Some(RequestLimits::of(layer)?.queued_per_tenant_max),
        fuel_per_day_max: positive("fuel-per-day-max", layer.fuel_per_day_max)?,
        storage_bytes_max: positive("storage-per-tenant-bytes-max", layer.storage_per_tenant_bytes_max)?,
        requests_per_second_max: positive("requests-per-tenant-max", layer.requests_per_tenant_max)?,
    })
}

impl SandboxSettings {
    fn of(layer: &Layer) -> Result<Self, ConfigError> {
        if let Some(budget) = layer.memory_budget_bytes.filter(|budget| *budget < MEMORY_BUDGET_BYTES_MIN) {
            return Err(bad("memory-budget-bytes", &budget.to_string(), "at least 67108864 (64 MiB) is needed"));
        }
        Ok(Self {
            preview_threads: positive("preview-threads", layer.preview_threads)?,
            default_threads: positive("default-threads", layer.default_threads)?,
            long_running_threads: positive("long-running-threads", layer.long_running_threads)?,
            preview_waiting_max: positive("preview-waiting-max", layer.preview_waiting_max)?,
            preview_per_tenant_max: positive("preview-per-tenant-max", layer.preview_per_tenant_max)?,
            memory_budget_bytes: layer.memory_budget_bytes,
        })
    }

    /// Cores of this machine.
    pub fn cores() -> usize {
        thread::available_parallelism().map_or(1, usize::from)
    }
}

fn bad(setting: &'static str, value: &str, needed: &'static str) -> ConfigError {
    ConfigError::Value { setting, value: value.to_owned(), needed }
}

/// The value, unless it is a zero, which would stop everything.
pub(super) fn positive<T: PartialEq + From<u8>>(
    setting: &'static str,
    value: Option<T>,
) -> Result<Option<T>, ConfigError> {
    match value {
        Some(value) if value == T::from(0) => Err(bad(setting, "0", "at least 1 is needed")),
        value => Ok(value),
    }
}

fn data_dir(chosen: Option<PathBuf>) -> PathBuf {
    chosen.unwrap_or_else(|| PathBuf::from("mecapy-data"))
}

fn listen(chosen: Option<&str>) -> Result<SocketAddr, ConfigError> {
    address("listen", chosen.unwrap_or("127.0.0.1:8000"))
}

fn nan_payloads(canonical: Option<bool>) -> NanPayloads {
    if canonical == Some(true) { NanPayloads::Canonical } else { NanPayloads::Native }
}

pub(super) fn address(setting: &'static str, text: &str) -> Result<SocketAddr, ConfigError> {
    let text = text.strip_prefix("localhost:").map_or_else(|| text.to_owned(), |port| format!("127.0.0.1:{port}"));
    text.parse().map_err(|_| bad(setting, &text, "an IP address and a port are needed, as in 127.0.0.1:8000"))
}

fn public_url(text: &str) -> Result<String, ConfigError> {
    let url = text.trim_end_matches('/');
    let plain = url.bytes().all(|byte| byte.is_ascii_graphic());
    if plain && (url.starts_with("http://") || url.starts_with("https://")) {
        return Ok(url.to_owned());
    }
    Err(bad("public-url", text, "an http:// or https:// URL is needed"))
}

fn webhook_allow(text: &str) -> Result<AllowList, ConfigError> {
    text.parse().map_err(|_| bad("webhook-allow", text, "networks are needed, as in 10.1.0.0/16,fd00:1::/32"))
}

fn log_format(text: &str) -> Result<LogFormat, ConfigError> {
    match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err(bad("log-format", text, "use text or json")),
    }
}

fn cache_dir(chosen: Option<PathBuf>) -> Result<PathBuf, ConfigError> {
    chosen.or_else(|| dirs::cache_dir().map(|dir| dir.join(Path::new("mecapy")))).ok_or(ConfigError::NoCacheDir)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer() -> Layer {
        Layer { cache_dir: Some("/cache".into()), ..Layer::default() }
    }

    #[test]
    fn the_defaults_are_those_of_the_contract() {
        let settings = Settings::of(layer()).unwrap();
        assert_eq!(settings.data_dir, Path::new("mecapy-data"));
        assert_eq!(settings.listen.to_string(), "127.0.0.1:8000");
        assert_eq!((settings.log_format, settings.public_url), (LogFormat::Text, None));
        assert_eq!((settings.nan_payloads, settings.kernels), (NanPayloads::Native, KernelSettings::Usual));
        let canonical = Settings::of(Layer { canonical_nans: Some(true), ..layer() }).unwrap();
        assert_eq!(canonical.nan_payloads, NanPayloads::Canonical);
    }

    #[test]
    fn what_can_not_be_used_is_refused_by_name() {
        let rows = [
            (Layer { listen: Some("8000".to_owned()), ..layer() }, "listen"),
            (Layer { preview_threads: Some(0), ..layer() }, "preview-threads"),
            (Layer { preview_waiting_max: Some(0), ..layer() }, "preview-waiting-max"),
            (Layer { memory_budget_bytes: Some(0), ..layer() }, "memory-budget-bytes"),
            (Layer { memory_budget_bytes: Some(MEMORY_BUDGET_BYTES_MIN - 1), ..layer() }, "memory-budget-bytes"),
            (Layer { queued_per_tenant_max: Some(0), ..layer() }, "queued-per-tenant-max"),
            (Layer { requests_per_second_max: Some(0), ..layer() }, "requests-per-second-max"),
            (Layer { running_per_tenant_max: Some(0), ..layer() }, "running-per-tenant-max"),
            (Layer { fuel_per_day_max: Some(0), ..layer() }, "fuel-per-day-max"),
            (Layer { streams_per_tenant_max: Some(0), ..layer() }, "streams-per-tenant-max"),
            (Layer { json_bytes_max: Some(0), ..layer() }, "json-bytes-max"),
            (Layer { batch_bytes_max: Some(0), ..layer() }, "batch-bytes-max"),
            (Layer { webhook_allow: Some("10.0.0.0/40".to_owned()), ..layer() }, "webhook-allow"),
            (Layer { public_url: Some("ftp://x".to_owned()), ..layer() }, "public-url"),
            (Layer { log_format: Some("xml".to_owned()), ..layer() }, "log-format"),
            (Layer { oidc_issuer: Some("https://id.example".to_owned()), ..layer() }, "oidc-audience"),
            (Layer { queue_url: Some("redis://localhost".to_owned().into()), ..layer() }, "queue-url"),
            (Layer { objects_url: Some("s3://bucket".to_owned().into()), ..layer() }, "objects-url"),
            (Layer { lease_seconds: Some(1), ..layer() }, "lease-seconds"),
            (Layer { kernel_instructions: Some("gpu".to_owned()), ..layer() }, "kernel-instructions"),
        ];
        for (layer, setting) in rows {
            let error = Settings::of(layer).unwrap_err().to_string();
            assert!(error.starts_with(setting), "{error}");
        }
    }

    #[test]
    fn webhooks_go_to_public_addresses_over_https_unless_the_operator_says_otherwise() {
        assert_eq!(Settings::of(layer()).unwrap().webhooks, WebhookSettings::default());
        let file: Layer = toml::from_str("webhook_allow = \"10.1.0.0/16, ::1\"\nwebhook_allow_http = true").unwrap();
        let settings = Settings::of(Layer { cache_dir: layer().cache_dir, ..file }).unwrap();
        let expected = WebhookSettings { allow: "10.1.0.0/16,::1".parse().unwrap(), allow_http: true };
        assert_eq!(settings.webhooks, expected);
    }

    #[test]
    fn connections_leave_descriptors_for_the_rest() {
        let mut settings = Settings::of(layer()).unwrap();
        settings.fit_descriptors(2048);
        assert_eq!(settings.connections.connections_max, 1024);
        settings.fit_descriptors(100);
        assert_eq!(settings.connections.connections_max, 64);
    }
}
