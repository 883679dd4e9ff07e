//! Where every setting comes from: flags, then `MECAPY_*` in the environment, then `mecapy.toml`, then defaults.
//!
//! The only place that reads the environment. What comes out is checked and typed; nothing else parses a setting.

mod backends;
mod client;
mod containers;
mod control_group;
mod identity;
mod kernels;
mod layer;
mod places;
mod secret;
mod settings;
mod worker;

pub use backends::Backends;
pub(crate) use client::{ClientFlags, ConnectionFlags, colours_allowed, docker_socket};
pub(crate) use containers::{ContainerFlags, ContainerRole};
pub(crate) use control_group::{ControlGroup, memory_bytes};
pub use identity::OidcSettings;
pub use kernels::KernelSettings;
pub use layer::Layer;
pub(crate) use places::{PlaceFlags, Places};
pub use secret::SecretText;
pub use settings::{ConfigError, LogFormat, RequestLimits, SandboxSettings, Settings, WebhookSettings};
pub use worker::{ClaimSettings, LongRunningSettings};
pub(crate) use worker::{WorkerFlags, WorkerRole};
