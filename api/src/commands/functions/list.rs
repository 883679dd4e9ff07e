//! `mecapy functions list`: the functions that the caller may call.

use crate::{
    client::{FunctionLine, Listed},
    commands::{
        exit::Exit,
        listing::{self, ListFlags},
        terminal::{Painter, Terminal, aligned, neutralise_line, summary},
    },
};
use anyhow::Result;

/// List the functions that you may call, those of each package's newest version
#[derive(Debug, clap::Args)]
pub(super) struct ListArguments {
    #[command(flatten)]
    list: ListFlags,
}

pub(super) async fn list(arguments: ListArguments, terminal: &Terminal) -> Result<Exit> {
    listing::search(Listed::Functions, &arguments.list, terminal, |found| table(found, terminal.out)).await
}

fn table(functions: &[FunctionLine], painter: Painter) -> Vec<String> {
    let row = |function: &FunctionLine| [neutralise_line(&function.reference), summary(&function.description)];
    aligned(["FUNCTION", "DESCRIPTION"], &functions.iter().map(row).collect::<Vec<_>>(), painter)
}
