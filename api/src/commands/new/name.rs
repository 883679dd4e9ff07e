//! The name of a new project, which its build tools and its manifest must all take for a name.

use crate::packages::PackageName;
use std::str::FromStr;

/// Words that YAML reads as something other than text, or that cargo has as folders of its own.
const TAKEN: [&str; 14] =
    ["true", "false", "null", "yes", "no", "on", "off", "y", "n", "build", "deps", "examples", "incremental", "test"];

/// A package's name that begins with a letter and is no word of the tools.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ProjectName(PackageName);

impl ProjectName {
    pub(super) fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl FromStr for ProjectName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let name: PackageName = text.parse().map_err(|invalid: crate::packages::Invalid| invalid.to_string())?;
        if !text.starts_with(|c: char| c.is_ascii_lowercase()) {
            return Err("begin it with a letter: a crate's name can't begin with a digit".to_owned());
        }
        if TAKEN.contains(&text) {
            return Err(format!("{text:?} means something else to the tools that build it: choose another name"));
        }
        Ok(Self(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_suit_every_language() {
        assert_eq!("bolted-joint_2".parse::<ProjectName>().unwrap().as_str(), "bolted-joint_2");
        for text in ["", "Bolts", "a/b", "..", "1e5", "true", "build", "a b", "-a", "{{sdk}}"] {
            assert!(text.parse::<ProjectName>().is_err(), "{text:?} was accepted");
        }
    }
}
