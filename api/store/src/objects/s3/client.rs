//! The client of an S3 store: how it signs, waits and tries again. Nothing comes from the environment.

use super::{S3Address, S3Credentials};
use crate::Clock;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    BehaviorVersion, Credentials, Region, RequestChecksumCalculation, ResponseChecksumValidation,
    StalledStreamProtectionConfig,
};
use aws_sdk_s3::{Client, Config};
use aws_smithy_async::time::TimeSource;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// How long a store is waited for, and how often it is asked.
#[derive(Debug, Clone, Copy)]
pub(in crate::objects) struct Patience {
    pub(in crate::objects) connect: Duration,
    /// For one try: until an answer begins; where it is short, until it ends.
    pub(in crate::objects) attempt: Duration,
    /// For one try at putting the parts of a large object together, which a store may do in minutes.
    pub(in crate::objects) assembly: Duration,
    /// How long an answer's body, or a request's, may stand still.
    pub(in crate::objects) stall: Duration,
    pub(in crate::objects) attempts: u32,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(3),
            attempt: Duration::from_secs(15),
            assembly: Duration::from_secs(120),
            stall: Duration::from_secs(20),
            attempts: 3,
        }
    }
}

/// The wait before the second try, doubled with each further one.
const BACKOFF: Duration = Duration::from_millis(200);
const BACKOFF_MAX: Duration = Duration::from_secs(2);

pub(super) fn client(
    address: &S3Address,
    credentials: &S3Credentials,
    patience: &Patience,
    clock: Arc<dyn Clock>,
) -> Client {
    let S3Credentials { access_key_id, secret_access_key, session_token } = credentials.clone();
    let retries = RetryConfig::standard()
        .with_max_attempts(patience.attempts)
        .with_initial_backoff(BACKOFF)
        .with_max_backoff(BACKOFF_MAX);
    let timeouts =
        TimeoutConfig::builder().connect_timeout(patience.connect).operation_attempt_timeout(patience.attempt);
    let mut config = Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new(address.region.clone()))
        .credentials_provider(Credentials::new(access_key_id, secret_access_key, session_token, None, "mecapy"))
        .force_path_style(address.path_style)
        .retry_config(retries)
        .timeout_config(timeouts.build())
        .stalled_stream_protection(StalledStreamProtectionConfig::enabled().grace_period(patience.stall).build())
        // Where a checksum matters we give SHA-256; a store that knows no other kind is not sent one.
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
        .time_source(SigningTime(clock));
    if let Some(endpoint) = &address.endpoint {
        config = config.endpoint_url(endpoint);
    }
    Client::from_conf(config.build())
}

/// The change of the client's settings for a request that a store may work at for minutes.
pub(super) fn assembling(patience: &Patience) -> aws_sdk_s3::config::Builder {
    let timeouts =
        TimeoutConfig::builder().connect_timeout(patience.connect).operation_attempt_timeout(patience.assembly);
    Config::builder().timeout_config(timeouts.build())
}

/// The time that requests are signed with.
#[derive(Debug)]
struct SigningTime(Arc<dyn Clock>);

impl TimeSource for SigningTime {
    fn now(&self) -> SystemTime {
        self.0.now().into()
    }
}
