//! A work folder in memory, for tests.

use super::super::Folder;
use mecapy_model::ArtifactName;
use std::io::{self, Read};

/// Names and contents.
#[derive(Debug)]
pub(super) struct Shelf(pub(super) Vec<(String, Vec<u8>)>);

impl Shelf {
    pub(super) fn of(files: &[(&str, &str)]) -> Self {
        Shelf(files.iter().map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec())).collect())
    }
}

impl Folder for Shelf {
    fn list(&self) -> io::Result<Vec<(ArtifactName, u64)>> {
        Ok(self.0.iter().map(|(name, bytes)| (ArtifactName::parse(name).unwrap(), bytes.len() as u64)).collect())
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn Read + '_>> {
        let found = self.0.iter().find(|(found, _)| found == name);
        found.map(|(_, bytes)| Box::new(&bytes[..]) as Box<dyn Read>).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}
