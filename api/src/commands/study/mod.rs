//! `mecapy study`: what belongs to one engineering question, as one table.

mod compare;
mod show;
mod table;

use super::{exit::Exit, terminal::Terminal};
use anyhow::Result;

/// Group tasks, batches and runs, and compare what came out
#[derive(Debug, clap::Args)]
pub(super) struct StudyArguments {
    #[command(subcommand)]
    command: StudyCommand,
}

#[derive(Debug, clap::Subcommand)]
enum StudyCommand {
    Create(show::CreateArguments),
    List(show::ListArguments),
    Show(show::ShowArguments),
    Table(table::TableArguments),
    Plot(table::PlotArguments),
    Compare(compare::CompareArguments),
}

pub(super) async fn study(arguments: StudyArguments, terminal: &Terminal) -> Result<Exit> {
    match arguments.command {
        StudyCommand::Create(arguments) => show::create(arguments, terminal).await,
        StudyCommand::List(arguments) => show::list(arguments, terminal).await,
        StudyCommand::Show(arguments) => show::show(arguments, terminal).await,
        StudyCommand::Table(arguments) => table::table(arguments, terminal).await,
        StudyCommand::Plot(arguments) => table::plot(arguments, terminal).await,
        StudyCommand::Compare(arguments) => compare::compare(arguments, terminal).await,
    }
}
