//! Names of files in a package: relative, in one spelling, and possible on every system.

use mecapy_model::ArtifactName;
use serde::{Deserialize, Serialize};
use std::fmt;
use unicode_normalization::UnicodeNormalization;

/// The relative path of a file in a package, `/`-separated, in Unicode's composed form (NFC), so that a folder of a
/// Mac and a zip of the same files have the same names.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct FileName(String);

/// Why a text can't be the name of a file in a package; the text is shortened and its control characters are escaped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name:?} can't be the name of a file in a package: {reason}")]
pub struct InvalidFileName {
    pub name: String,
    pub reason: &'static str,
}

/// The deepest folder of a package, in parts of a name.
const PARTS_MAX: usize = 16;

impl FileName {
    /// Checks a name that an archive or a folder holds.
    ///
    /// # Errors
    /// Absolute names, `..`, empty parts, control, backslash and text-direction characters, more than 255 bytes or 16
    /// parts, and what Windows can't write: `< > : " | ? *`, or a part that ends with a dot or a space.
    pub fn parse(name: &str) -> Result<Self, InvalidFileName> {
        let refuse = |reason| Err(InvalidFileName { name: name.chars().take(64).collect(), reason });
        if name.len() > 2 * ArtifactName::BYTES_MAX {
            return refuse("a name has 1 to 255 bytes");
        }
        let composed: String = name.nfc().collect();
        if let Err(invalid) = ArtifactName::parse(&composed) {
            return refuse(invalid.reason);
        }
        if composed.contains(['<', '>', ':', '"', '|', '?', '*']) {
            return refuse("the characters < > : \" | ? * are not allowed, since Windows can't write them");
        }
        if composed.split('/').any(|part| part.ends_with(['.', ' '])) {
            return refuse("no part may end with a dot or a space, since Windows can't write it");
        }
        if composed.split('/').count() > PARTS_MAX {
            return refuse("folders may be 15 deep");
        }
        Ok(Self(composed))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The folder that the file is in, without a trailing slash; empty at the package's root.
    pub fn folder(&self) -> &str {
        self.0.rsplit_once('/').map_or("", |(folder, _)| folder)
    }

    /// The name in its folder.
    pub fn last(&self) -> &str {
        self.0.rsplit_once('/').map_or(&self.0, |(_, last)| last)
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::borrow::Borrow<str> for FileName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for FileName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_relative_plain_and_composed() {
        for name in ["mecapy.yml", "joint/preload.py", "données/Σ.csv", "a b.txt", "..a", "a..b", "a-1.0+x.whl"] {
            assert_eq!(FileName::parse(name).unwrap().as_str(), name);
        }
        assert_eq!(FileName::parse("e\u{301}.py").unwrap().as_str(), "\u{e9}.py");
        let name = FileName::parse("a/b/c.py").unwrap();
        assert_eq!((name.folder(), name.last()), ("a/b", "c.py"));
        assert_eq!(FileName::parse("c.py").unwrap().folder(), "");
    }

    #[test]
    fn names_that_would_be_dangerous_or_impossible_are_refused() {
        let (long, deep) = ("x".repeat(256), ["d"; 17].join("/"));
        let rows = [
            "",
            "/etc/passwd",
            "../x",
            "a/../x",
            "a//b",
            "a/",
            "./a",
            "a/.",
            "a\\b",
            "C:/x",
            "a:b",
            "a\0b",
            "a\nb",
            "a\u{202e}b",
            "a?",
            "a*",
            "a.",
            "a ",
            "a /b",
            "con|",
            &long,
            &deep,
        ];
        for name in rows {
            assert!(FileName::parse(name).is_err(), "{name:?}");
        }
        let huge = "y".repeat(1 << 20);
        assert!(FileName::parse(&huge).unwrap_err().to_string().len() < 200);
        assert!(FileName::parse("a\nb").unwrap_err().to_string().starts_with("\"a\\nb\" can't be"));
    }
}
