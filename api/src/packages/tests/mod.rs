//! Packages as authors might write them, and as nobody should.

mod archives;
mod checks;
mod documents;
mod fixture;
mod manifests;
mod test_cases;
mod wheels;

use super::*;
use crate::analysis::Catalogue;
use mecapy_model::Fault;
use std::io::{Cursor, Write};

const MODULES: [&str; 8] = ["math", "csv", "json", "dataclasses", "pathlib", "numpy", "statistics", "typing"];

/// The platform's Python, as far as tests need one.
pub(super) struct Surroundings {
    catalogue: Catalogue,
    distributions: Vec<Distribution>,
}

impl Surroundings {
    pub(super) fn new() -> Self {
        let unavailable = [("socket".to_owned(), "there is no network.".to_owned())];
        let catalogue = Catalogue::new(MODULES.map(str::to_owned), unavailable);
        let names = ["numpy-2.5.2.dist-info/METADATA", "python_dateutil-2.9.0.post0.dist-info/METADATA", "json/x.py"];
        Self { catalogue, distributions: Distribution::among(names) }
    }

    pub(super) fn python(&self) -> Python<'_> {
        Python { version: "3.15.0", catalogue: &self.catalogue, distributions: &self.distributions }
    }
}

/// A zip archive of these files, as a tool writes it.
pub(super) fn zip_of(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in files {
        writer.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        writer.write_all(content).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

pub(super) fn open(files: &[(&str, &[u8])]) -> Result<Package, Vec<Fault>> {
    let files = read_zip(&zip_of(files), Bounds::PACKAGE).unwrap();
    Package::open(files, &Surroundings::new().python())
}

/// Faults as `pointer code@line message`; the line is left out where there is none.
pub(super) fn shown(faults: &[Fault]) -> Vec<String> {
    let place = |fault: &Fault| fault.line.map_or(String::new(), |line| format!("@{line}"));
    faults.iter().map(|fault| format!("{} {}{} {}", fault.pointer, fault.code, place(fault), fault.message)).collect()
}

/// Each expected text is a beginning, then words that the rest holds, with `…` between them; nothing else is found.
pub(super) fn assert_faults(result: Result<Package, Vec<Fault>>, expected: &[&str], about: &str) {
    let found = result.map_or_else(|faults| shown(&faults), |_| Vec::new());
    let matches = |found: &String, expected: &&str| {
        let (begin, words) = expected.split_once('…').unwrap_or((expected, ""));
        found.starts_with(begin) && found.contains(words)
    };
    let all = found.len() == expected.len() && found.iter().zip(expected).all(|(found, wanted)| matches(found, wanted));
    assert!(all, "\n{about}\nfound:\n{}\nexpected:\n{}\n", found.join("\n"), expected.join("\n"));
}

pub(super) const MANIFEST: &str = r#"version: "1"
package:
  name: beams
  version: 0.1.0
runtime:
  kind: python
functions:
  deflection:
    handler: beams:deflection
    inputs:
      length: {type: Length, unit: mm}
      force: {type: Force, default: 1.50}
    outputs:
      result: {type: Length}
"#;

pub(super) const SOURCE: &str = "def deflection(length, force=1.0):\n    return length * force\n";
