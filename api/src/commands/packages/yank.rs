//! `mecapy packages yank` and `unyank`: takes a version back, and gives it again.

use crate::{
    client::{Answer, VersionAnswer},
    commands::{
        connection::connect,
        exit::Exit,
        refusal::Misuse,
        terminal::{Format, Terminal, neutralise_line},
    },
    config::ClientFlags,
    packages::PackageReference,
};
use anyhow::Result;
use semver::Version;

/// Take a version back: it is no longer the newest, but who names it still gets it
#[derive(Debug, clap::Args)]
pub(super) struct YankArguments {
    /// As acme/bolted-joint@1.2.0
    #[arg(value_name = "OWNER/NAME@VERSION")]
    package: PackageReference,
    /// Why, for those who use it
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    client: ClientFlags,
}

/// Give back a version that was yanked
#[derive(Debug, clap::Args)]
pub(super) struct UnyankArguments {
    /// As acme/bolted-joint@1.2.0
    #[arg(value_name = "OWNER/NAME@VERSION")]
    package: PackageReference,
    #[command(flatten)]
    client: ClientFlags,
}

pub(super) async fn yank(arguments: YankArguments, terminal: &Terminal) -> Result<Exit> {
    let version = version_of(&arguments.package)?;
    let answer = connect(&arguments.client)?.yank(&arguments.package, version, &arguments.reason).await?;
    say(&answer, "is yanked: calls that name no version no longer mean it", terminal);
    Ok(Exit::Completed)
}

pub(super) async fn unyank(arguments: UnyankArguments, terminal: &Terminal) -> Result<Exit> {
    let version = version_of(&arguments.package)?;
    let answer = connect(&arguments.client)?.unyank(&arguments.package, version).await?;
    say(&answer, "is no longer yanked", terminal);
    Ok(Exit::Completed)
}

fn version_of(package: &PackageReference) -> Result<&Version, Misuse> {
    package.version.as_ref().ok_or_else(|| Misuse::new(format!("name the version too, as {package}@1.2.0")))
}

fn say(answer: &Answer<VersionAnswer>, what: &str, terminal: &Terminal) {
    match terminal.format {
        Format::Json => terminal.print(answer.text.get()),
        Format::Human => terminal.print(&format!("{} {what}", neutralise_line(&answer.value.reference))),
    }
}
