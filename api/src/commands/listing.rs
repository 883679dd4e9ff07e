//! Lists that come in pages, for `packages list` and `functions list`.

use super::terminal::{Format, Style, Terminal};
use crate::{
    client::{Client, Listed, Page, Search},
    config::ClientFlags,
};
use anyhow::{Context, Result};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;

/// What a server answers at once, at most.
const PAGE_ITEMS_MAX: u32 = 100;

#[derive(Debug, clap::Args)]
pub(super) struct ListFlags {
    /// Words that the name or the description has
    query: Option<String>,
    /// So many at most
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
    #[command(flatten)]
    pub client: ClientFlags,
}

#[derive(Serialize)]
struct Document<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    packages: Option<&'a [Box<RawValue>]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    functions: Option<&'a [Box<RawValue>]>,
    next_cursor: Option<&'a str>,
}

/// Fetches pages until there are enough.
async fn gather(client: &Client, of: Listed, flags: &ListFlags) -> Result<Page> {
    let mut all = Page::default();
    loop {
        let left = flags.limit.saturating_sub(u32::try_from(all.items.len()).unwrap_or(u32::MAX));
        let cursor = all.next_cursor.take();
        let search =
            Search { query: flags.query.as_deref(), limit: left.min(PAGE_ITEMS_MAX), cursor: cursor.as_deref() };
        let page = client.page(of, search).await?;
        // A server that goes on with empty pages would go on for ever.
        let is_last = page.items.is_empty() || page.items.len() >= left as usize;
        all.items.extend(page.items);
        all.next_cursor = page.next_cursor;
        if is_last || all.next_cursor.is_none() {
            return Ok(all);
        }
    }
}

/// Shows what there is, for people as the lines that `lines` makes.
pub(super) async fn list<T: DeserializeOwned>(
    client: &Client,
    of: Listed,
    flags: &ListFlags,
    terminal: &Terminal,
    lines: impl FnOnce(&[T]) -> Vec<String>,
) -> Result<()> {
    let page = gather(client, of, flags).await?;
    if terminal.format == Format::Json {
        let items = Some(page.items.as_slice());
        let (packages, functions) = if of == Listed::Packages { (items, None) } else { (None, items) };
        terminal.print_json(&Document { packages, functions, next_cursor: page.next_cursor.as_deref() });
        return Ok(());
    }
    let items = page.items.iter().map(|item| serde_json::from_str(item.get())).collect::<Result<Vec<T>, _>>();
    let items = items.context("the server's answer is not understood")?;
    if items.is_empty() {
        terminal.note(&terminal.err.paint(Style::Dim, "there is nothing of that kind that you may see"));
        return Ok(());
    }
    lines(&items).iter().for_each(|line| terminal.print(line));
    if page.next_cursor.is_some() {
        terminal.note(&terminal.err.paint(Style::Dim, "… and more: say what you look for, or raise --limit"));
    }
    Ok(())
}
