//! Which file and line of a package a fault's pointer leads to, for showing it there.

use super::files::Files;
use super::manifest::MANIFEST_FILE;
use super::yaml;

/// A place in a package's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlaceInFile<'f> {
    pub file: &'f str,
    pub text: &'f str,
    /// From 1; none where the file is no YAML or JSON that can be read.
    pub line: Option<u32>,
}

/// Where `pointer` leads: `/files/<name>/…` into that file, any other into the manifest, to the line of the field or of
/// what is next above it. Nothing where the package has no such text.
pub fn place_of<'f>(files: &'f Files, pointer: &str) -> Option<PlaceInFile<'f>> {
    let mut tokens = pointer.split('/').skip(1).peekable();
    let named = match tokens.next_if_eq(&"files") {
        Some(_) => tokens.next()?.replace("~1", "/").replace("~0", "~"),
        None => MANIFEST_FILE.to_owned(),
    };
    let (file, content) = files.iter().find(|(name, _)| name.as_str() == named)?;
    let text = std::str::from_utf8(content).ok()?;
    let is_structured = [".yml", ".yaml", ".json"].iter().any(|end| named.ends_with(end));
    let root = is_structured.then(|| yaml::read(content).ok()).flatten();
    Some(PlaceInFile { file: file.as_str(), text, line: root.map(|root| root.line_at(tokens)) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packages::{Bounds, read_folder};
    use cap_std::{ambient_authority, fs::Dir};

    #[test]
    fn pointers_lead_into_the_manifest_and_into_other_files() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &[u8]| std::fs::write(folder.path().join(name), text).unwrap();
        write("mecapy.yml", b"version: \"1\"\nruntime:\n  kind: python\nfunctions:\n  f:\n    handler: a:f\n");
        write("a.json", b"{\"test_cases\": [\n  {\"name\": \"one\"},\n  {\"name\": \"two\"}]}");
        write("b.py", b"def f(): pass\n");
        write("c.whl", b"PK\xff");
        let files = read_folder(&Dir::open_ambient_dir(folder.path(), ambient_authority()).unwrap(), Bounds::PACKAGE);
        let files = files.unwrap();
        let rows = [
            ("", Some(("mecapy.yml", Some(1)))),
            ("/functions/f/handler", Some(("mecapy.yml", Some(6)))),
            ("/functions/f/inputs/x", Some(("mecapy.yml", Some(5)))),
            ("/files/a.json/test_cases/1/name", Some(("a.json", Some(3)))),
            ("/files/b.py", Some(("b.py", None))),
            ("/files/c.whl", None),
            ("/files/tests~1no.yml", None),
        ];
        for (pointer, expected) in rows {
            let found = place_of(&files, pointer).map(|place| (place.file, place.line));
            assert_eq!(found, expected, "{pointer}");
        }
    }
}
