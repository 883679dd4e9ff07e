//! `mecapy study table` and `plot`.

use crate::{
    client::{Axes, Of},
    commands::{
        connection::connect,
        exit::Exit,
        tables::{PlotFile, TableFormat, save_table},
        terminal::Terminal,
    },
    config::ClientFlags,
};
use anyhow::Result;
use mecapy_model::StudyId;
use std::path::PathBuf;

/// Fetch all cases of a study as one table: inputs.*, result.* of tasks and items, outputs.* of runs
#[derive(Debug, clap::Args)]
pub(super) struct TableArguments {
    /// The study's id, as `study create` printed it
    id: StudyId,
    /// csv, parquet, arrow, ndjson or json [default: as --out ends, else csv]
    #[arg(long, value_name = "FORMAT")]
    format: Option<TableFormat>,
    /// Write to this file [default: the standard output]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    client: ClientFlags,
}

/// Draw one column over another into a .png or .svg
#[derive(Debug, clap::Args)]
pub(super) struct PlotArguments {
    /// The study's id, as `study create` printed it
    id: StudyId,
    /// The column of the horizontal axis, as in the table: inputs.d
    #[arg(long, value_name = "COLUMN")]
    x: String,
    /// The column of the vertical axis, as in the table: result.stress
    #[arg(long, value_name = "COLUMN")]
    y: String,
    /// Cases with the same value in this column are one line
    #[arg(long, value_name = "COLUMN")]
    group: Option<String>,
    /// Where the picture goes: .png or .svg
    file: PathBuf,
    #[command(flatten)]
    client: ClientFlags,
}

pub(super) async fn table(arguments: TableArguments, terminal: &Terminal) -> Result<Exit> {
    let TableArguments { id, format, out, client } = arguments;
    let format = TableFormat::asked_for(format, out.as_deref())?;
    save_table(&connect(&client)?, Of::Study(id), (format, None), out.as_deref(), terminal).await?;
    Ok(Exit::Completed)
}

pub(super) async fn plot(arguments: PlotArguments, terminal: &Terminal) -> Result<Exit> {
    let PlotArguments { id, x, y, group, file, client } = arguments;
    let plot = PlotFile::new(Axes { x, y, group }, &file)?;
    plot.save(&connect(&client)?, Of::Study(id), terminal).await?;
    Ok(Exit::Completed)
}
