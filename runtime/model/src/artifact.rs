//! Files that a task produced, and which names they may have.

use serde::{Deserialize, Serialize};

/// A safe relative path of an artifact: `/`-separated, no empty, `.` or `..` part, no control or bidirectional character.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct ArtifactName(String);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name:?} can't be a file name: {reason}")]
pub struct InvalidArtifactName {
    pub name: String,
    pub reason: &'static str,
}

impl ArtifactName {
    /// The longest name, in bytes.
    pub const BYTES_MAX: usize = 255;

    /// Checks a name that a guest or a user chose.
    pub fn parse(name: &str) -> Result<Self, InvalidArtifactName> {
        let refuse = |reason| Err(InvalidArtifactName { name: name.chars().take(64).collect(), reason });
        if name.is_empty() || name.len() > Self::BYTES_MAX {
            return refuse("a name has 1 to 255 bytes");
        }
        if name.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return refuse("empty, \".\" and \"..\" parts and absolute paths are not allowed");
        }
        let hidden = |c: char| {
            c.is_control()
                || c == '\\'
                || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
        };
        if name.chars().any(hidden) {
            return refuse("control, backslash and text-direction characters are not allowed");
        }
        Ok(Self(name.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The media type that follows from the extension; never an active one that a browser would run.
    pub fn content_type(&self) -> &'static str {
        content_type_of(&self.0)
    }
}

impl<'de> Deserialize<'de> for ArtifactName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// A file that a task produced, whole in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    pub name: ArtifactName,
    pub content_type: &'static str,
    pub bytes: Vec<u8>,
}

impl Artifact {
    /// An artifact whose content type follows from its name's extension.
    pub fn new(name: ArtifactName, bytes: Vec<u8>) -> Self {
        let content_type = content_type_of(name.as_str());
        Self { name, content_type, bytes }
    }
}

/// The media type for a file name; never an active type that a browser would run.
fn content_type_of(name: &str) -> &'static str {
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension).to_ascii_lowercase();
    match extension.as_str() {
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "pdf" => "application/pdf",
        "json" => "application/json",
        "csv" => "text/csv; charset=utf-8",
        "txt" | "log" | "md" => "text/plain; charset=utf-8",
        "xlsx" => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "zip" => "application/zip",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_escape_or_deceive_are_refused() {
        let long = "x".repeat(300);
        let rows = [
            "",
            ".",
            "..",
            "../../x",
            "/etc/passwd",
            "a//b",
            "a/../b",
            "a\nb",
            "a\0b",
            "a\\b",
            "evil\u{202e}gnp.exe",
            &long,
        ];
        for name in rows {
            assert!(ArtifactName::parse(name).is_err(), "{name:?} was accepted");
        }
    }

    #[test]
    fn ordinary_names_keep_their_text_and_get_a_type() {
        for (name, expected) in [
            ("figure-1.png", "image/png"),
            ("out/été.csv", "text/csv; charset=utf-8"),
            ("page.html", "application/octet-stream"),
        ] {
            let artifact = Artifact::new(ArtifactName::parse(name).unwrap(), vec![]);
            assert_eq!((artifact.name.as_str(), artifact.content_type), (name, expected));
        }
    }
}
