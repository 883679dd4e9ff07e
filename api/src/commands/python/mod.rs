//! `mecapy python`: the interpreter images.

mod build;
mod list;

use super::{
    exit::{EXIT_CODES_HELP, Exit},
    terminal::Terminal,
};
use crate::config::PlaceFlags;
use anyhow::Result;

/// Build, list and find the interpreter images
#[derive(Debug, clap::Args)]
pub(crate) struct PythonArguments {
    #[command(subcommand)]
    command: PythonCommand,
}

#[derive(Debug, clap::Subcommand)]
enum PythonCommand {
    #[command(after_help = EXIT_CODES_HELP)]
    Build(build::BuildArguments),
    List(list::ListArguments),
    /// Print the folder that interpreters are kept in
    Path(PlaceFlags),
}

pub(crate) fn python(arguments: PythonArguments, terminal: &Terminal) -> Result<Exit> {
    match arguments.command {
        PythonCommand::Build(arguments) => build::build(arguments, terminal),
        PythonCommand::List(arguments) => list::list(arguments, terminal),
        PythonCommand::Path(places) => path(places, terminal),
    }
}

#[derive(serde::Serialize)]
struct Place {
    path: std::path::PathBuf,
}

fn path(places: PlaceFlags, terminal: &Terminal) -> Result<Exit> {
    let path = places.load()?.cache_dir;
    match terminal.format {
        super::terminal::Format::Json => terminal.print_json(&Place { path }),
        super::terminal::Format::Human => terminal.print(&path.display().to_string()),
    }
    Ok(Exit::Completed)
}
