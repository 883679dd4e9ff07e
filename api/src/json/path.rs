//! Where in a document: an RFC 6901 pointer that costs nothing until it is written.

use std::fmt;

/// A place in a document, as a chain of borrowed steps from the root.
#[derive(Debug, Clone, Copy)]
pub enum Path<'p> {
    Root,
    Key(&'p Path<'p>, &'p str),
}

impl<'p> Path<'p> {
    /// The member `name` of the object that is here.
    pub fn key(&'p self, name: &'p str) -> Path<'p> {
        Path::Key(self, name)
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Path::Root => Ok(()),
            Path::Key(parent, name) if name.contains(['~', '/']) => {
                write!(f, "{parent}/{}", name.replace('~', "~0").replace('/', "~1"))
            }
            Path::Key(parent, name) => write!(f, "{parent}/{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_are_written_as_rfc_6901_says() {
        let root = Path::Root;
        let files = root.key("files");
        assert_eq!(root.to_string(), "");
        assert_eq!(files.key("a/b~c").to_string(), "/files/a~1b~0c");
        assert_eq!(files.key("").to_string(), "/files/");
    }
}
