//! `mecapy packages`: what is published, and taking a version back.

mod list;
mod show;
mod yank;

use super::{exit::Exit, terminal::Terminal};
use anyhow::Result;

/// Find packages, and take versions back
#[derive(Debug, clap::Args)]
pub(super) struct PackagesArguments {
    #[command(subcommand)]
    command: PackagesCommand,
}

#[derive(Debug, clap::Subcommand)]
enum PackagesCommand {
    List(list::ListArguments),
    Show(show::ShowArguments),
    Yank(yank::YankArguments),
    Unyank(yank::UnyankArguments),
}

pub(super) async fn packages(arguments: PackagesArguments, terminal: &Terminal) -> Result<Exit> {
    match arguments.command {
        PackagesCommand::List(arguments) => list::list(arguments, terminal).await,
        PackagesCommand::Show(arguments) => show::show(arguments, terminal).await,
        PackagesCommand::Yank(arguments) => yank::yank(arguments, terminal).await,
        PackagesCommand::Unyank(arguments) => yank::unyank(arguments, terminal).await,
    }
}
