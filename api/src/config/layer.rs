//! The settings as somebody wrote them: one struct that is the flags, the environment and the file at once.

use super::{ConfigError, SecretText};
use serde::Deserialize;
use std::{
    fs::File,
    io::{self, Read as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

/// The file that is read where it exists and `--config` names no other.
const CONFIG_FILE_DEFAULT: &str = "mecapy.toml";

macro_rules! layer {
    ($($(#[doc = $doc:literal])* $env:literal $heading:literal $value_name:literal $name:ident: $type:ty,)*) => {
        /// Settings that may be left out. Each is a flag, an environment variable and a key of `mecapy.toml`, in
        /// this order of precedence.
        #[derive(Debug, Clone, Default, PartialEq, clap::Args, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct Layer {
            /// Read settings from this file [default: mecapy.toml, where it exists]
            #[arg(long, env = "MECAPY_CONFIG", value_name = "FILE", help_heading = "Places")]
            #[serde(skip)]
            pub config: Option<PathBuf>,
            /// Make the bits of every NaN the same on all machines; dense float loops take half again as long
            /// [default: false]
            #[arg(long, env = "MECAPY_CANONICAL_NANS", value_name = "BOOL", help_heading = "Sandboxes",
                num_args = 0..=1, require_equals = true, default_missing_value = "true",
                value_parser = clap::builder::BoolishValueParser::new())]
            pub canonical_nans: Option<bool>,
            /// Where tests let this process fail, as in store.after_commit=1*return: never in a file
            #[arg(long, env = "MECAPY_FAIL_POINTS", value_name = "POINTS", hide = true)]
            #[serde(skip)]
            pub fail_points: Option<String>,
            $(
                $(#[doc = $doc])*
                // A value may hold a password.
                #[arg(long, env = $env, hide_env_values = true, value_name = $value_name, help_heading = $heading)]
                pub $name: Option<$type>,
            )*
        }

        impl Layer {
            /// This layer, with what it leaves out taken from `below`.
            fn over(self, below: Layer) -> Layer {
                Layer {
                    config: self.config,
                    canonical_nans: self.canonical_nans.or(below.canonical_nans),
                    fail_points: self.fail_points,
                    $($name: self.$name.or(below.$name),)*
                }
            }
        }
    };
}

layer! {
    /// Tasks, keys and results are kept here [default: ./mecapy-data]
    "MECAPY_DATA_DIR" "Places" "DIR" data_dir: PathBuf,
    /// Interpreter images and compiled modules are kept here; safe to delete [default: the user's cache folder]
    "MECAPY_CACHE_DIR" "Places" "DIR" cache_dir: PathBuf,
    /// Answer HTTP at this address [default: 127.0.0.1:8000]
    "MECAPY_LISTEN" "Places" "ADDRESS" listen: String,
    /// What clients call this server, for the links it gives out [default: what each client called it]
    "MECAPY_PUBLIC_URL" "Places" "URL" public_url: String,

    /// Where tasks are kept: sqlite: (a file in the data folder) or postgres://user:password@host/database, which many
    /// processes share; others see flags, so name one with a password in the environment [default: sqlite:]
    "MECAPY_DATABASE_URL" "Backends" "URL" database_url: SecretText,
    /// Connections to PostgreSQL that read; one more writes [default: 8]
    "MECAPY_DATABASE_CONNECTIONS" "Backends" "N" database_connections: u32,
    /// How processes tell one another what is new: memory: (not at all, they look each second) or
    /// redis://:password@host, with rediss:// for TLS and ?prefix= where several share it [default: memory:]
    "MECAPY_QUEUE_URL" "Backends" "URL" queue_url: SecretText,
    /// Where files are kept: file: (in the data folder), file:/folder (one that all processes share) or
    /// s3://bucket?endpoint=https://host&region=name, with MECAPY_S3_ACCESS_KEY_ID, MECAPY_S3_SECRET_ACCESS_KEY and
    /// MECAPY_S3_SESSION_TOKEN in the environment [default: file:]
    "MECAPY_OBJECTS_URL" "Backends" "URL" objects_url: SecretText,
    /// The solvers that tasks may name, and the compilers for sources in C and Rust: a TOML file, the same for all
    /// processes [default: none]
    "MECAPY_SOLVERS" "Backends" "FILE" solvers: PathBuf,
    /// Accept the access tokens of this OpenID Connect issuer
    "MECAPY_OIDC_ISSUER" "Backends" "URL" oidc_issuer: String,
    /// The audience that those tokens must name
    "MECAPY_OIDC_AUDIENCE" "Backends" "NAME" oidc_audience: String,
    /// The claim of those tokens that names the tenant [default: company]
    "MECAPY_OIDC_TENANT_CLAIM" "Backends" "NAME" oidc_tenant_claim: String,
    /// The client whose roles count beside those of the realm [default: the audience]
    "MECAPY_OIDC_CLIENT" "Backends" "NAME" oidc_client: String,
    /// The clients whose tokens are accepted, between commas [default: all of the issuer]
    "MECAPY_OIDC_CLIENTS_ALLOWED" "Backends" "NAMES" oidc_clients_allowed: String,
    /// Seconds until the issuer's keys are fetched again, so that revoked ones go [default: 600]
    "MECAPY_OIDC_REFRESH_SECONDS" "Backends" "N" oidc_refresh_seconds: u64,

    /// Networks, with commas between them, that webhooks may be sent to although they aren't public [default: none]
    "MECAPY_WEBHOOK_ALLOW" "Webhooks" "NETWORKS" webhook_allow: String,
    /// Whether webhooks may be sent without TLS: true or false [default: false]
    "MECAPY_WEBHOOK_ALLOW_HTTP" "Webhooks" "BOOL" webhook_allow_http: bool,

    /// Threads that run previews; a slow one keeps its thread and lets others go first [default: 24 for each core]
    "MECAPY_PREVIEW_THREADS" "Sandboxes" "N" preview_threads: usize,
    /// Threads that run tasks of the default lane [default: 2 for each core]
    "MECAPY_DEFAULT_THREADS" "Sandboxes" "N" default_threads: usize,
    /// Threads that run tasks of the long_running lane [default: 1 for each core]
    "MECAPY_LONG_RUNNING_THREADS" "Sandboxes" "N" long_running_threads: usize,
    /// Previews that may wait for a thread, at most half of them one tenant's; more are refused [default: 1024]
    "MECAPY_PREVIEW_WAITING_MAX" "Sandboxes" "N" preview_waiting_max: usize,
    /// Previews of one tenant that may run at once [default: 8 for each core]
    "MECAPY_PREVIEW_PER_TENANT_MAX" "Sandboxes" "N" preview_per_tenant_max: usize,
    /// Memory for all sandboxes together, bytes [default: 3/4 of what the machine and its control group allow]
    "MECAPY_MEMORY_BUDGET_BYTES" "Sandboxes" "BYTES" memory_budget_bytes: u64,
    /// Instructions by which the host computes linear algebra for Python: x86-64-v3 (AVX2 and FMA), x86-64, or off, which
    /// leaves it to the sandbox; results of one set are equal bit for bit, so the same for all processes
    /// [default: x86-64-v3, or off where the processor lacks it]
    "MECAPY_KERNEL_INSTRUCTIONS" "Sandboxes" "NAME" kernel_instructions: String,

    /// Tasks of the long_running lane that may run at a time on all workers [default: as many as have threads]
    "MECAPY_LONG_RUNNING_MAX" "Claims" "N" long_running_max: u32,
    /// Of those, one tenant's [default: half of this process's threads; 4 where processes share a database]
    "MECAPY_LONG_RUNNING_PER_TENANT_MAX" "Claims" "N" long_running_per_tenant_max: u32,
    /// Tasks of the long_running lane that one tenant may start within a minute [default: any number]
    "MECAPY_LONG_RUNNING_STARTS_PER_MINUTE_MAX" "Claims" "N" long_running_starts_per_minute_max: u32,
    /// Seconds until a worker that says nothing has lost its tasks to others [default: 30]
    "MECAPY_LEASE_SECONDS" "Claims" "N" lease_seconds: u64,
    /// A task whose worker was lost so many times while it ran ends with worker_lost [default: 10]
    "MECAPY_LOST_ATTEMPTS_MAX" "Claims" "N" lost_attempts_max: u32,

    /// Tasks of one tenant that may be queued at once [default: 100000]
    "MECAPY_QUEUED_PER_TENANT_MAX" "Limits" "N" queued_per_tenant_max: u32,
    /// Tasks of one tenant that may run at once, over all lanes and servers [default: no limit]
    "MECAPY_RUNNING_PER_TENANT_MAX" "Limits" "N" running_per_tenant_max: u32,
    /// Fuel that one tenant may use from midnight to midnight, UTC [default: no limit]
    "MECAPY_FUEL_PER_DAY_MAX" "Limits" "N" fuel_per_day_max: u64,
    /// Uploads, modules, packages and artifacts of one tenant together, bytes [default: no limit]
    "MECAPY_STORAGE_PER_TENANT_BYTES_MAX" "Limits" "BYTES" storage_per_tenant_bytes_max: u64,
    /// Requests a second that one tenant may make to this server, over a second's burst [default: no limit]
    "MECAPY_REQUESTS_PER_TENANT_MAX" "Limits" "N" requests_per_tenant_max: u32,
    /// Requests a second that one key may make, over a second's burst [default: 20000]
    "MECAPY_REQUESTS_PER_SECOND_MAX" "Limits" "N" requests_per_second_max: u32,
    /// Event streams that one key may hold open [default: 64]
    "MECAPY_STREAMS_PER_KEY_MAX" "Limits" "N" streams_per_key_max: usize,
    /// Event streams that one tenant may hold open [default: 256]
    "MECAPY_STREAMS_PER_TENANT_MAX" "Limits" "N" streams_per_tenant_max: usize,
    /// The longest JSON body, bytes [default: 2 MiB]
    "MECAPY_JSON_BYTES_MAX" "Limits" "BYTES" json_bytes_max: u64,
    /// The longest JSON body of a batch, bytes [default: 32 MiB]
    "MECAPY_BATCH_BYTES_MAX" "Limits" "BYTES" batch_bytes_max: u64,
    /// The largest module, bytes [default: 32 MiB]
    "MECAPY_MODULE_BYTES_MAX" "Limits" "BYTES" module_bytes_max: u64,
    /// The largest uploaded file, bytes [default: 1 GiB]
    "MECAPY_UPLOAD_BYTES_MAX" "Limits" "BYTES" upload_bytes_max: u64,
    /// Open connections in all [default: 4096]
    "MECAPY_CONNECTIONS_MAX" "Limits" "N" connections_max: usize,
    /// Open connections of one address [default: 1024]
    "MECAPY_CONNECTIONS_PER_IP_MAX" "Limits" "N" connections_per_ip_max: usize,

    /// What to log, as tracing's filters are written [default: info]
    "MECAPY_LOG" "Logging" "FILTER" log: String,
    /// How to write the log: text or json [default: text]
    "MECAPY_LOG_FORMAT" "Logging" "FORMAT" log_format: String,
}

impl Layer {
    /// These flags (clap has filled in the environment), over the configuration file.
    pub fn over_file(self) -> Result<Layer, ConfigError> {
        let file = match &self.config {
            Some(path) => Some(read(path)?),
            None => read_unnamed(Path::new(CONFIG_FILE_DEFAULT))?,
        };
        Ok(self.over(file.unwrap_or_default()))
    }
}

fn read(path: &Path) -> Result<Layer, ConfigError> {
    parse(path, std::fs::read_to_string(path))
}

/// A file that nobody named, where it exists: one that somebody else left in a shared folder could choose which key is
/// read and where it is sent.
fn read_unnamed(path: &Path) -> Result<Option<Layer>, ConfigError> {
    if !path.exists() {
        return Ok(None);
    }
    let failed = |error| ConfigError::File { path: path.to_owned(), error };
    // The owner of what is read, whatever the name means by then.
    let mut file = File::open(path).map_err(failed)?;
    let owner = file.metadata().map_err(failed)?.uid();
    // SAFETY: it only reads a number.
    if !may_decide(owner, unsafe { libc::geteuid() }) {
        return Err(ConfigError::NotYours { path: path.to_owned(), owner });
    }
    let mut text = String::new();
    parse(path, file.read_to_string(&mut text).map(|_| text)).map(Some)
}

/// Whether `user` goes by what a file of `owner` says.
fn may_decide(owner: u32, user: u32) -> bool {
    owner == user || owner == 0
}

fn parse(path: &Path, text: io::Result<String>) -> Result<Layer, ConfigError> {
    let text = text.map_err(|error| ConfigError::File { path: path.to_owned(), error })?;
    toml::from_str(&text).map_err(|mut error: toml::de::Error| {
        // The message would show the line at fault.
        if error.span().is_some_and(|span| line_at(&text, span.start).contains("_url")) {
            error.set_input(None);
        }
        ConfigError::Syntax { path: path.to_owned(), error: Box::new(error) }
    })
}

/// The line of `text` around a byte.
fn line_at(text: &str, byte: usize) -> &str {
    let (before, after) = text.split_at_checked(byte).unwrap_or((text, ""));
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let end = after.find('\n').map_or(text.len(), |newline| byte + newline);
    text.get(start..end).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_hides_what_is_below_it_field_by_field() {
        let flags = Layer { listen: Some("127.0.0.1:1".to_owned()), ..Layer::default() };
        let file: Layer = toml::from_str("listen = \"127.0.0.1:2\"\nqueued_per_tenant_max = 7").unwrap();
        let both = flags.over(file);
        assert_eq!((both.listen.as_deref(), both.queued_per_tenant_max), (Some("127.0.0.1:1"), Some(7)));
    }

    #[test]
    fn canonical_nans_is_a_flag_and_a_key_and_the_flag_wins() {
        #[derive(clap::Parser)]
        struct Cli {
            #[command(flatten)]
            layer: Layer,
        }
        let given = |arguments: &[&str]| {
            let all = ["mecapy"].iter().chain(arguments);
            let file: Layer = toml::from_str("canonical_nans = true").unwrap();
            <Cli as clap::Parser>::try_parse_from(all).unwrap().layer.over(file).canonical_nans
        };
        assert_eq!(given(&["--canonical-nans"]), Some(true));
        assert_eq!(given(&["--canonical-nans=false"]), Some(false));
        assert_eq!(given(&["--listen", "127.0.0.1:1"]), Some(true));
    }

    #[test]
    fn a_line_that_may_hold_a_password_is_not_repeated() {
        for line in
            ["database_url = \"postgres://u:hunter2@h/d", "queue_url = [\"redis://:hunter2@h\"]", "\tx_url = hunter2"]
        {
            let text = format!("lease_seconds = 7\n{line}\n");
            let Err(ConfigError::Syntax { error, .. }) = parse(Path::new("f"), Ok(text)) else {
                panic!("{line} was read")
            };
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
        let shown = parse(Path::new("f"), Ok("listen = 7\n".to_owned())).unwrap_err();
        assert!(std::error::Error::source(&shown).unwrap().to_string().contains("listen = 7"));
    }

    #[test]
    fn an_unknown_key_in_the_file_is_an_error() {
        assert!(toml::from_str::<Layer>("listne = \"127.0.0.1:2\"").is_err());
    }

    #[test]
    fn a_file_that_nobody_named_is_this_users_or_roots() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(CONFIG_FILE_DEFAULT);
        assert_eq!(read_unnamed(&path).unwrap(), None);
        std::fs::write(&path, "queued_per_tenant_max = 7").unwrap();
        assert_eq!(read_unnamed(&path).unwrap().unwrap().queued_per_tenant_max, Some(7));
        assert!(may_decide(1000, 1000) && may_decide(0, 1000));
        assert!(!may_decide(1001, 1000) && !may_decide(1001, 0));
    }

    #[test]
    fn a_named_file_that_is_missing_is_an_error() {
        let layer = Layer { config: Some("/nonexistent/mecapy.toml".into()), ..Layer::default() };
        assert!(matches!(layer.over_file(), Err(ConfigError::File { .. })));
    }
}
