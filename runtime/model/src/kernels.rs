//! Who computes a guest's linear algebra, and what that came to.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};
use utoipa::ToSchema;

/// What computes products, factorisations and solves of linear algebra: in Python, and for modules that import it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kernels {
    /// Kernels of the host, at the speed of the machine.
    #[default]
    Native,
    /// The interpreter's own WebAssembly, slower and the same to the last bit on every machine.
    Wasm,
}

impl Kernels {
    pub const ALL: [Self; 2] = [Self::Native, Self::Wasm];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Wasm => "wasm",
        }
    }
}

impl FromStr for Kernels {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|kernels| kernels.as_str() == text);
        known.ok_or_else(|| "use native or wasm".to_owned())
    }
}

/// A set of machine instructions that native kernels are made of. Results of one set are equal bit for bit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub enum InstructionSet {
    /// With AVX2 and fused multiply-add.
    #[serde(rename = "x86-64-v3")]
    X86_64V3,
    /// What every x86-64 machine has.
    #[serde(rename = "x86-64")]
    X86_64,
}

impl InstructionSet {
    pub const ALL: [Self; 2] = [Self::X86_64V3, Self::X86_64];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::X86_64V3 => "x86-64-v3",
            Self::X86_64 => "x86-64",
        }
    }
}

impl fmt::Display for InstructionSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for InstructionSet {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|set| set.as_str() == text);
        known.ok_or_else(|| format!("{text:?} is no set of instructions"))
    }
}

/// What native kernels did for one task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KernelUsage {
    pub instructions: InstructionSet,
    /// Calls that native kernels answered.
    pub calls: u64,
    /// Floating-point operations that they were charged for.
    pub flops: u64,
    /// Of the prices by which their work became fuel.
    pub price_version: u32,
}

impl KernelUsage {
    /// Both together; the instructions and the prices are those of the later one.
    pub fn sum(earlier: Option<Self>, later: Option<Self>) -> Option<Self> {
        match (earlier, later) {
            (Some(earlier), Some(later)) => Some(Self {
                calls: earlier.calls.saturating_add(later.calls),
                flops: earlier.flops.saturating_add(later.flops),
                ..later
            }),
            (earlier, later) => later.or(earlier),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_the_same_in_json_and_in_texts() {
        for kernels in Kernels::ALL {
            assert_eq!(serde_json::to_string(&kernels).unwrap(), format!("\"{}\"", kernels.as_str()));
            assert_eq!(kernels.as_str().parse(), Ok(kernels));
        }
        for set in InstructionSet::ALL {
            assert_eq!(serde_json::to_string(&set).unwrap(), format!("\"{set}\""));
            assert_eq!(set.as_str().parse(), Ok(set));
        }
        assert!("gpu".parse::<Kernels>().is_err() && "sse".parse::<InstructionSet>().is_err());
    }

    #[test]
    fn what_was_used_adds_up() {
        let one =
            KernelUsage { instructions: InstructionSet::X86_64V3, calls: 2, flops: u64::MAX - 1, price_version: 1 };
        let both = KernelUsage { calls: 4, flops: u64::MAX, ..one };
        assert_eq!(KernelUsage::sum(Some(one), Some(one)), Some(both));
        assert_eq!(KernelUsage::sum(Some(one), None), Some(one));
        assert_eq!(KernelUsage::sum(None, Some(one)), Some(one));
        assert_eq!(KernelUsage::sum(None, None), None);
    }
}
