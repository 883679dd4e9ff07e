//! `mecapy packages list`: the packages that the caller may use.

use crate::{
    client::{Listed, PackageLine},
    commands::{
        exit::Exit,
        listing::{self, ListFlags},
        terminal::{Painter, Terminal, aligned, neutralise_line, summary},
    },
};
use anyhow::Result;

/// List the packages that you may use
#[derive(Debug, clap::Args)]
pub(super) struct ListArguments {
    #[command(flatten)]
    list: ListFlags,
}

const HEADER: [&str; 5] = ["PACKAGE", "LATEST", "VERSIONS", "VISIBILITY", "DESCRIPTION"];

pub(super) async fn list(arguments: ListArguments, terminal: &Terminal) -> Result<Exit> {
    listing::search(Listed::Packages, &arguments.list, terminal, |found| table(found, terminal.out)).await
}

fn table(packages: &[PackageLine], painter: Painter) -> Vec<String> {
    let row = |package: &PackageLine| {
        let latest = package.latest_version.as_deref().map_or_else(|| "all yanked".to_owned(), neutralise_line);
        [
            neutralise_line(&format!("{}/{}", package.owner, package.name)),
            latest,
            package.versions.to_string(),
            package.visibility.as_str().to_owned(),
            summary(&package.description),
        ]
    };
    aligned(HEADER, &packages.iter().map(row).collect::<Vec<_>>(), painter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_have_a_row_each() {
        let packages = r#"[
            {"owner":"acme","name":"rods","visibility":"public","description":"Rods\nand more","latest_version":"1.2.0","versions":2},
            {"owner":"acme","name":"old","visibility":"private","description":"","latest_version":null,"versions":1}]"#;
        let lines = table(&serde_json::from_str::<Vec<_>>(packages).unwrap(), Painter::Plain);
        let expected = [
            "PACKAGE    LATEST      VERSIONS  VISIBILITY  DESCRIPTION",
            "acme/rods  1.2.0       2         public      Rods",
            "acme/old   all yanked  1         private",
        ];
        assert_eq!(lines, expected);
    }
}
