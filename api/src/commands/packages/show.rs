//! `mecapy packages show`: a package with its versions, or one version with its functions.

use crate::{
    client::{PackageAnswer, VersionAnswer, VersionLine},
    commands::{
        connection::connect,
        exit::Exit,
        terminal::{Format, Style, Terminal, aligned, bytes, neutralise, neutralise_line, summary},
    },
    config::ClientFlags,
    packages::PackageReference,
};
use anyhow::Result;

/// Show a package and its versions, or with @VERSION what is in that one
#[derive(Debug, clap::Args)]
pub(super) struct ShowArguments {
    /// As acme/bolted-joint or acme/bolted-joint@1.2.0
    #[arg(value_name = "OWNER/NAME[@VERSION]")]
    package: PackageReference,
    #[command(flatten)]
    client: ClientFlags,
}

const HEADER: [&str; 6] = ["VERSION", "PUBLISHED", "BY", "SIZE", "DIGEST", "YANKED"];
/// Of a digest, its algorithm included.
const DIGEST_CHARS_SHOWN: usize = 19;

pub(super) async fn show(arguments: ShowArguments, terminal: &Terminal) -> Result<Exit> {
    let client = connect(&arguments.client)?;
    let (text, lines) = match &arguments.package.version {
        Some(version) => {
            let answer = client.package_version(&arguments.package, version).await?;
            (answer.text, version_lines(&answer.value, terminal))
        }
        None => {
            let answer = client.package(&arguments.package).await?;
            (answer.text, package_lines(&answer.value, terminal))
        }
    };
    match terminal.format {
        Format::Json => terminal.print(text.get()),
        Format::Human => lines.iter().for_each(|line| terminal.print(line)),
    }
    Ok(Exit::Completed)
}

fn package_lines(package: &PackageAnswer, terminal: &Terminal) -> Vec<String> {
    let name = neutralise_line(&format!("{}/{}", package.owner, package.name));
    let visibility = package.visibility.as_str();
    let latest = package
        .latest_version
        .as_deref()
        .map_or("every version is yanked".to_owned(), |latest| format!("latest {}", neutralise_line(latest)));
    let mut lines = vec![format!("{} ({visibility}, {latest})", terminal.out.paint(Style::Bold, &name))];
    lines.extend(description(&package.description));
    if !package.maintainers.is_empty() {
        let names: Vec<_> = package.maintainers.iter().map(|maintainer| neutralise_line(&maintainer.name)).collect();
        lines.push(format!("maintained by {}", names.join(", ")));
    }
    lines.push(String::new());
    lines.extend(aligned(HEADER, &package.versions.iter().map(row).collect::<Vec<_>>(), terminal.out));
    lines
}

fn row(version: &VersionLine) -> [String; 6] {
    let yanked = match (&version.yanked_at, version.yank_reason.as_deref()) {
        (None, _) => String::new(),
        (Some(at), None | Some("")) => day(at),
        (Some(at), Some(reason)) => format!("{}: {}", day(at), summary(reason)),
    };
    [
        neutralise_line(&version.version),
        day(&version.published_at),
        version.published_by.as_deref().map_or_else(String::new, neutralise_line),
        bytes(version.size_bytes),
        neutralise_line(&version.digest).chars().take(DIGEST_CHARS_SHOWN).collect(),
        yanked,
    ]
}

fn version_lines(version: &VersionAnswer, terminal: &Terminal) -> Vec<String> {
    let reference = neutralise_line(&version.reference);
    let (visibility, size) = (version.visibility.as_str(), bytes(version.size_bytes));
    let mut lines = vec![format!("{} ({visibility}, {size})", terminal.out.paint(Style::Bold, &reference))];
    lines.extend(description(&version.description));
    lines.push(format!("digest {}", neutralise_line(&version.digest)));
    if let Some(at) = version.published_at.as_deref() {
        let by = version.published_by.as_deref().map_or_else(String::new, |by| format!(" by {}", neutralise_line(by)));
        lines.push(format!("published {}{by}", day(at)));
    }
    if let Some(at) = version.yanked_at.as_deref() {
        let reason =
            version.yank_reason.as_deref().map_or_else(String::new, |why| format!(": {}", neutralise_line(why)));
        lines.push(terminal.out.paint(Style::Yellow, &format!("yanked {}{reason}", day(at))));
    }
    if let Some(tests) = &version.tests {
        lines.push(format!("{} of {} test cases passed", tests.passed, tests.total));
    }
    lines.push(String::new());
    let functions = version.functions.iter();
    let rows = functions.map(|function| [neutralise_line(&function.reference), summary(&function.description)]);
    lines.extend(aligned(["FUNCTION", "DESCRIPTION"], &rows.collect::<Vec<_>>(), terminal.out));
    lines
}

fn description(text: &str) -> Vec<String> {
    neutralise(text).trim().lines().map(str::to_owned).collect()
}

/// The day of a time as `2026-11-26T14:00:00Z`; what isn't one is shown as it is.
fn day(time: &str) -> String {
    neutralise_line(time.split_once('T').map_or(time, |(day, _)| day))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_shows_its_versions() {
        let package = r#"{"owner":"acme","name":"rods","visibility":"internal","description":"Rods.\n","latest_version":"1.0.0",
            "maintainers":[{"id":"u1","name":"Ada"}],"versions":[
            {"version":"1.1.0","digest":"sha256:0123456789abcdef","size_bytes":2048,"published_at":"2026-11-26T10:00:00Z",
             "published_by":"Ada","yanked_at":"2026-11-27T10:00:00Z","yank_reason":"wrong table"},
            {"version":"1.0.0","digest":"sha256:fedcba9876543210","size_bytes":1024,"published_at":"2026-11-25T10:00:00Z",
             "published_by":null,"yanked_at":null,"yank_reason":null}]}"#;
        let lines = package_lines(&serde_json::from_str(package).unwrap(), &Terminal::new(Format::Json));
        let expected = [
            "acme/rods (internal, latest 1.0.0)",
            "Rods.",
            "maintained by Ada",
            "",
            "VERSION  PUBLISHED   BY   SIZE     DIGEST               YANKED",
            "1.1.0    2026-11-26  Ada  2.0 KiB  sha256:0123456789ab  2026-11-27: wrong table",
            "1.0.0    2026-11-25       1.0 KiB  sha256:fedcba987654",
        ];
        assert_eq!(lines, expected);
    }
}
