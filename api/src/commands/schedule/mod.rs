//! `mecapy schedule`: tasks and runs of workflows at the times of a cron pattern.

mod change;
mod create;
mod show;

use super::{exit::Exit, terminal::Terminal};
use anyhow::Result;

/// Start tasks and runs of workflows again and again, at given times
#[derive(Debug, clap::Args)]
pub(super) struct ScheduleArguments {
    #[command(subcommand)]
    command: ScheduleCommand,
}

#[derive(Debug, clap::Subcommand)]
enum ScheduleCommand {
    Create(Box<create::CreateArguments>),
    List(show::ListArguments),
    Show(show::ShowArguments),
    /// Let its times pass until it is resumed
    Pause(change::ChangeArguments),
    /// Go on with the next of its times
    Resume(change::ChangeArguments),
    /// Fire it now, whatever its times are
    Run(change::ChangeArguments),
    /// Delete it; what it started stays
    Delete(change::ChangeArguments),
}

pub(super) async fn schedule(arguments: ScheduleArguments, terminal: &Terminal) -> Result<Exit> {
    match arguments.command {
        ScheduleCommand::Create(arguments) => create::create(*arguments, terminal).await,
        ScheduleCommand::List(arguments) => show::list(arguments, terminal).await,
        ScheduleCommand::Show(arguments) => show::show(arguments, terminal).await,
        ScheduleCommand::Pause(arguments) => change::pause(arguments, terminal).await,
        ScheduleCommand::Resume(arguments) => change::resume(arguments, terminal).await,
        ScheduleCommand::Run(arguments) => change::run(arguments, terminal).await,
        ScheduleCommand::Delete(arguments) => change::delete(arguments, terminal).await,
    }
}
