//! The folders that the commands without a server use, and how they compile.

use super::{ConfigError, KernelSettings, Layer, Settings};
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
    /// Instructions by which the host computes linear algebra for Python: x86-64-v3 (AVX2 and FMA), x86-64, or off, which
    /// leaves it to the sandbox [default: x86-64-v3, or off where the processor lacks it]
    #[arg(long, env = "MECAPY_KERNEL_INSTRUCTIONS", value_name = "NAME", help_heading = "Sandboxes")]
    kernel_instructions: Option<String>,
}

/// What those flags come to, with the environment and the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Places {
    pub cache_dir: PathBuf,
    pub nan_payloads: NanPayloads,
    pub kernels: KernelSettings,
}

impl PlaceFlags {
    pub(crate) fn load(self) -> Result<Places, ConfigError> {
        let Self { cache_dir, config, canonical_nans, kernel_instructions } = self;
        let layer = Layer { cache_dir, config, canonical_nans, kernel_instructions, ..Layer::default() };
        Settings::interpreter(layer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_says_what_the_flags_leave_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mecapy.toml");
        std::fs::write(&path, "cache_dir = \"/from/file\"\ncanonical_nans = true\nkernel_instructions = \"off\"\n")
            .unwrap();
        let flags = PlaceFlags { config: Some(path), ..PlaceFlags::default() };
        let places = |flags: PlaceFlags| flags.load().unwrap();
        let (cache_dir, nan_payloads) = ("/from/file".into(), NanPayloads::Canonical);
        let kernels = KernelSettings::Off;
        assert_eq!(places(flags.clone()), Places { cache_dir, nan_payloads, kernels });
        let flags = PlaceFlags { canonical_nans: Some(false), cache_dir: Some("/flag".into()), ..flags };
        assert_eq!(places(flags), Places { cache_dir: "/flag".into(), nan_payloads: NanPayloads::Native, kernels });
    }
}
