//! Whether linear algebra is computed by the host, and with which instructions of its processor.

use super::ConfigError;
use mecapy_runtime::KernelInstructions;

const NEEDED: &str = "use x86-64-v3, x86-64 or off";
const ALL: [KernelInstructions; 2] = [KernelInstructions::X86_64V3, KernelInstructions::X86_64];

/// With which instructions native kernels of linear algebra work.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum KernelSettings {
    /// The usual ones, x86-64-v3; none where this machine lacks them, since a server must start on any machine.
    #[default]
    Usual,
    /// These, which this machine has: who names them wants results of them alone.
    Named(KernelInstructions),
    /// None: the guest computes all itself.
    Off,
}

impl KernelSettings {
    /// # Errors
    /// The word is unknown, or names instructions that this machine lacks.
    pub(super) fn of(chosen: Option<&str>) -> Result<Self, ConfigError> {
        let named = match chosen {
            None => return Ok(Self::Usual),
            Some("off") => return Ok(Self::Off),
            Some(text) => ALL.into_iter().find(|set| set.as_str() == text).ok_or((text, NEEDED)),
        };
        let available = named.and_then(|set| {
            let lacking = "this machine's processor lacks them: use x86-64 or off, or leave it out";
            if set.are_available() { Ok(Self::Named(set)) } else { Err((set.as_str(), lacking)) }
        });
        available.map_err(|(value, needed)| ConfigError::Value {
            setting: "kernel-instructions",
            value: value.to_owned(),
            needed,
        })
    }

    /// What kernels work with; `None`: there are none.
    pub fn instructions(self) -> Option<KernelInstructions> {
        match self {
            Self::Usual => Some(KernelInstructions::default()).filter(|set| set.are_available()),
            Self::Named(set) => Some(set),
            Self::Off => None,
        }
    }

    /// Whether there are none although nobody said so.
    pub fn are_missed(self) -> bool {
        self == Self::Usual && self.instructions().is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_instructions_are_used_where_they_are() {
        let usual = KernelInstructions::default();
        let settings = KernelSettings::of(None).unwrap();
        assert_eq!(settings.instructions(), usual.are_available().then_some(usual));
        assert_eq!(settings.are_missed(), !usual.are_available());
        let off = KernelSettings::of(Some("off")).unwrap();
        assert_eq!((off.instructions(), off.are_missed()), (None, false));
    }

    #[test]
    fn instructions_are_named_where_the_machine_has_them_and_refused_elsewhere() {
        for set in ALL {
            match KernelSettings::of(Some(set.as_str())) {
                Ok(settings) => assert_eq!(settings.instructions(), Some(set)),
                Err(error) => assert!(!set.are_available() && error.to_string().contains("lacks them"), "{error}"),
            }
        }
        for text in ["avx512", "", "X86-64"] {
            let error = KernelSettings::of(Some(text)).unwrap_err().to_string();
            assert!(error.starts_with("kernel-instructions") && error.ends_with(NEEDED), "{error}");
        }
    }
}
