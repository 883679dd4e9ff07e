//! `mecapy functions`: what can be called by name.

mod list;
mod ports;
mod show;

use super::{exit::Exit, terminal::Terminal};
use anyhow::Result;

/// Find published functions, and show what they take and give
#[derive(Debug, clap::Args)]
pub(super) struct FunctionsArguments {
    #[command(subcommand)]
    command: FunctionsCommand,
}

#[derive(Debug, clap::Subcommand)]
enum FunctionsCommand {
    List(list::ListArguments),
    Show(show::ShowArguments),
}

pub(super) async fn functions(arguments: FunctionsArguments, terminal: &Terminal) -> Result<Exit> {
    match arguments.command {
        FunctionsCommand::List(arguments) => list::list(arguments, terminal).await,
        FunctionsCommand::Show(arguments) => show::show(arguments, terminal).await,
    }
}
