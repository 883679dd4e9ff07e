//! Lists that come in pages, for `packages list` and `functions list`.

use super::terminal::{Format, Style, Terminal};
use crate::{
    client::{Client, Listed, Search},
    config::ClientFlags,
};
use anyhow::{Context, Result};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;

/// What a server is asked for at once. Of functions it counts the packages, and answers with all that they hold.
const PAGE_ITEMS_MAX: usize = 50;
/// A server whose pages are empty would go on for ever.
const PAGES_MAX: usize = 1_000;
const LIMIT_MAX: usize = 10_000;

#[derive(Debug, clap::Args)]
pub(super) struct ListFlags {
    /// A part of an owner's or a package's name, or of a package's description
    query: Option<String>,
    /// So many at most
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = parse_limit)]
    limit: usize,
    #[command(flatten)]
    pub client: ClientFlags,
}

#[derive(Serialize)]
struct Document<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    packages: Option<&'a [Box<RawValue>]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    functions: Option<&'a [Box<RawValue>]>,
    /// Whether these are all.
    complete: bool,
}

/// What was found, as it came.
#[derive(Debug)]
struct Found {
    items: Vec<Box<RawValue>>,
    complete: bool,
}

/// Fetches pages until there are enough.
async fn gather(client: &Client, of: Listed, flags: &ListFlags) -> Result<Found> {
    let (mut items, mut cursor) = (Vec::new(), None);
    for _ in 0..PAGES_MAX {
        let wanted = flags.limit.saturating_sub(items.len()).min(PAGE_ITEMS_MAX);
        let search = Search { query: flags.query.as_deref(), limit: wanted, cursor: cursor.as_deref() };
        let page = client.page(of, search).await?;
        items.extend(page.items);
        cursor = page.next_cursor;
        if items.len() >= flags.limit || cursor.is_none() {
            break;
        }
    }
    let complete = cursor.is_none() && items.len() <= flags.limit;
    items.truncate(flags.limit);
    Ok(Found { items, complete })
}

/// Shows what there is, for people as the lines that `lines` makes.
pub(super) async fn list<T: DeserializeOwned>(
    client: &Client,
    of: Listed,
    flags: &ListFlags,
    terminal: &Terminal,
    lines: impl FnOnce(&[T]) -> Vec<String>,
) -> Result<()> {
    let found = gather(client, of, flags).await?;
    if terminal.format == Format::Json {
        let items = Some(found.items.as_slice());
        let (packages, functions) = if of == Listed::Packages { (items, None) } else { (None, items) };
        terminal.print_json(&Document { packages, functions, complete: found.complete });
        return Ok(());
    }
    let items = found.items.iter().map(|item| serde_json::from_str(item.get())).collect::<Result<Vec<T>, _>>();
    let items = items.context("the server's answer is not understood")?;
    if items.is_empty() {
        terminal.note(&terminal.err.paint(Style::Dim, "there is nothing of that kind that you may see"));
        return Ok(());
    }
    lines(&items).iter().for_each(|line| terminal.print(line));
    if !found.complete {
        terminal.note(&terminal.err.paint(Style::Dim, "… and more: say what you look for, or raise --limit"));
    }
    Ok(())
}

fn parse_limit(text: &str) -> Result<usize, String> {
    let limit = text.parse().map_err(|_| format!("{text:?} is no count"))?;
    if (1..=LIMIT_MAX).contains(&limit) { Ok(limit) } else { Err(format!("1 to {LIMIT_MAX} can be listed")) }
}
