//! The folders that the commands without a server use, and how they compile.

use super::{ConfigError, Layer, Settings};
use mecapy_runtime::NanPayloads;
use std::path::PathBuf;

/// Where interpreter images are, and how the engine is set.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Places")]
pub(crate) struct PlaceFlags {
    /// Interpreter images and compiled modules are kept here [default: the user's cache folder]
    #[arg(long, env = "MECAPY_CACHE_DIR", value_name = "DIR")]
    cache_dir: Option<PathBuf>,
    /// Read settings from this file [default: mecapy.toml, where it exists]
    #[arg(long, env = "MECAPY_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Make the bits of every NaN the same on all machines, as a server with this setting does [default: false]
    #[arg(long, env = "MECAPY_CANONICAL_NANS", value_name = "BOOL", help_heading = "Sandboxes",
        num_args = 0..=1, require_equals = true, default_missing_value = "true",
        value_parser = clap::builder::BoolishValueParser::new())]
    canonical_nans: Option<bool>,
}

/// What those flags come to, with the environment and the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Places {
    pub cache_dir: PathBuf,
    pub nan_payloads: NanPayloads,
}

impl PlaceFlags {
    pub(crate) fn load(self) -> Result<Places, ConfigError> {
        let Self { cache_dir, config, canonical_nans } = self;
        let layer = Layer { cache_dir, config, canonical_nans, ..Layer::default() };
        let (cache_dir, nan_payloads) = Settings::interpreter(layer)?;
        Ok(Places { cache_dir, nan_payloads })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_says_what_the_flags_leave_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mecapy.toml");
        std::fs::write(&path, "cache_dir = \"/from/file\"\ncanonical_nans = true\n").unwrap();
        let flags = PlaceFlags { config: Some(path), ..PlaceFlags::default() };
        let places = |flags: PlaceFlags| flags.load().unwrap();
        let (cache_dir, nan_payloads) = ("/from/file".into(), NanPayloads::Canonical);
        assert_eq!(places(flags.clone()), Places { cache_dir, nan_payloads });
        let flags = PlaceFlags { canonical_nans: Some(false), cache_dir: Some("/flag".into()), ..flags };
        assert_eq!(places(flags), Places { cache_dir: "/flag".into(), nan_payloads: NanPayloads::Native });
    }
}
