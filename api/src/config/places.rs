//! The folders that the commands without a server use.

use super::{ConfigError, Layer, Settings};
use std::path::PathBuf;

/// Where interpreter images are.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Places")]
pub(crate) struct PlaceFlags {
    /// Interpreter images and compiled modules are kept here [default: the user's cache folder]
    #[arg(long, env = "MECAPY_CACHE_DIR", value_name = "DIR")]
    cache_dir: Option<PathBuf>,
    /// Read settings from this file [default: mecapy.toml, where it exists]
    #[arg(long, env = "MECAPY_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
}

impl PlaceFlags {
    pub(crate) fn cache_dir(&self) -> Result<PathBuf, ConfigError> {
        Settings::cache_dir(Layer {
            cache_dir: self.cache_dir.clone(),
            config: self.config.clone(),
            ..Layer::default()
        })
    }
}
