//! `mecapy batches results` and `plot`.

use crate::{
    client::{Axes, Of},
    commands::{
        batch::inputs,
        connection::connect,
        exit::Exit,
        tables::{PlotFile, TableFormat, save_table},
        terminal::Terminal,
    },
    config::ClientFlags,
};
use anyhow::Result;
use mecapy_model::BatchId;
use std::path::PathBuf;

/// Fetch all items as a table, those that have not ended among them
#[derive(Debug, clap::Args)]
pub(super) struct ResultsArguments {
    /// The batch's id, as `batch` printed it
    id: BatchId,
    /// csv, parquet, arrow, ndjson or json [default: as --out ends, else csv]
    #[arg(long, value_name = "FORMAT")]
    format: Option<TableFormat>,
    /// Write to this file [default: the standard output]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Only items that failed
    #[arg(long)]
    failed: bool,
    #[command(flatten)]
    client: ClientFlags,
}

/// Draw one column over another into a .png or .svg
#[derive(Debug, clap::Args)]
pub(super) struct PlotArguments {
    /// The batch's id, as `batch` printed it
    id: BatchId,
    /// The column of the horizontal axis: the name of an input or a result, or in full, as inputs.d
    #[arg(long, value_name = "COLUMN")]
    x: String,
    /// The column of the vertical axis
    #[arg(long, value_name = "COLUMN")]
    y: String,
    /// Items with the same value in this column are one line
    #[arg(long, value_name = "COLUMN")]
    group: Option<String>,
    /// Where the picture goes: .png or .svg
    file: PathBuf,
    #[command(flatten)]
    client: ClientFlags,
}

pub(super) async fn results(arguments: ResultsArguments, terminal: &Terminal) -> Result<Exit> {
    let ResultsArguments { id, format, out, failed, client } = arguments;
    let format = TableFormat::asked_for(format, out.as_deref())?;
    let only = failed.then_some("failed");
    save_table(&connect(&client)?, Of::Batch(id), (format, only), out.as_deref(), terminal).await?;
    Ok(Exit::Completed)
}

pub(super) async fn plot(arguments: PlotArguments, terminal: &Terminal) -> Result<Exit> {
    let PlotArguments { id, x, y, group, file, client } = arguments;
    // The name of the file is judged before anything is asked.
    let plot = PlotFile::new(Axes { x, y, group }, &file)?;
    let client = connect(&client)?;
    plot.named(&inputs(&client, id).await?).save(&client, Of::Batch(id), terminal).await?;
    Ok(Exit::Completed)
}
