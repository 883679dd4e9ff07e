//! A document of an author that is sent on as JSON: YAML or JSON, with the lines that its values stand in.

use super::{node::Node, yaml};
use mecapy_model::Fault;

/// A document that was read.
#[derive(Debug)]
pub struct AuthoredDocument(Node);

impl AuthoredDocument {
    /// Reads JSON, strictly, or YAML's core schema.
    ///
    /// # Errors
    /// Why the text can't be read, with its line.
    pub fn read(text: &[u8], is_json: bool) -> Result<Self, Fault> {
        let read = match is_json {
            true => Node::from_json(text).map_err(|error| (error.line, error.column, error.reason.to_string())),
            false => yaml::read(text).map_err(|error| (error.line, error.column, error.message)),
        };
        read.map(Self).map_err(|(line, column, message)| {
            let code = if is_json { "invalid_json" } else { "invalid_yaml" };
            Fault { line: Some(line), column: Some(column), ..Fault::new("", code, message) }
        })
    }

    /// The same as JSON, numbers as they were written.
    pub fn to_json(&self) -> String {
        self.0.to_json()
    }

    /// The line, from 1, of what an RFC 6901 pointer leads to, or of what is next above it.
    pub fn line_at(&self, pointer: &str) -> u32 {
        self.0.line_at(pointer.split('/').skip(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_are_read_with_their_lines() {
        let yaml = AuthoredDocument::read(b"a: 1.50\nb:\n  - c: yes\n", false).unwrap();
        assert_eq!(yaml.to_json(), r#"{"a":1.50,"b":[{"c":"yes"}]}"#);
        assert_eq!((yaml.line_at("/b/0/c"), yaml.line_at("/b/7"), yaml.line_at("")), (3, 2, 1));
        let json = AuthoredDocument::read(b"{\n\"a\": 1.50}", true).unwrap();
        assert_eq!((json.to_json().as_str(), json.line_at("/a")), (r#"{"a":1.50}"#, 2));
        assert_eq!(AuthoredDocument::read(b"{\n", true).unwrap_err().line, Some(2));
        assert_eq!(AuthoredDocument::read(b"a: [\n", false).unwrap_err().code, "invalid_yaml");
    }
}
