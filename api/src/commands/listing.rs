//! Lists that come in pages: packages, functions, batches, workflows and their runs, studies, schedules.

use super::{
    connection::connect,
    exit::Exit,
    terminal::{Format, Style, Terminal, neutralise_line},
};
use crate::{
    client::{Client, Listed, Search},
    config::ClientFlags,
};
use anyhow::{Context, Result};
use serde::{Serialize, Serializer, de::DeserializeOwned, ser::SerializeMap};
use serde_json::value::RawValue;

/// What a server is asked for at once. Of functions it counts the packages, and answers with all that they hold.
const PAGE_ITEMS_MAX: usize = 50;
/// A server whose pages are empty would go on for ever.
const PAGES_MAX: usize = 1_000;
const LIMIT_MAX: usize = 10_000;

/// Of packages and functions, which are many.
#[derive(Debug, clap::Args)]
pub(super) struct ListFlags {
    /// A part of an owner's or a package's name, or of a package's description
    query: Option<String>,
    #[command(flatten)]
    page: PageFlags,
}

#[derive(Debug, clap::Args)]
pub(super) struct PageFlags {
    /// So many at most
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = parse_limit)]
    limit: usize,
    #[command(flatten)]
    pub client: ClientFlags,
}

/// Parameters of a list; those without a value are left out.
pub(super) type Filters<'a> = &'a [(&'static str, Option<&'a str>)];

struct Document<'a> {
    of: Listed,
    found: &'a Found,
}

impl Serialize for Document<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry(self.of.member(), &self.found.items)?;
        // Whether these are all.
        map.serialize_entry("complete", &self.found.complete)?;
        map.end()
    }
}

/// What was found, as it came.
#[derive(Debug)]
struct Found {
    items: Vec<Box<RawValue>>,
    complete: bool,
}

/// Fetches pages until there are enough.
async fn gather(client: &Client, of: Listed, filters: Filters<'_>, limit: usize) -> Result<Found> {
    let (mut items, mut cursor) = (Vec::new(), None);
    for _ in 0..PAGES_MAX {
        let wanted = limit.saturating_sub(items.len()).min(PAGE_ITEMS_MAX);
        let page = client.page(of, Search { filters, limit: wanted, cursor: cursor.as_deref() }).await?;
        items.extend(page.items);
        cursor = page.next_cursor;
        if items.len() >= limit || cursor.is_none() {
            break;
        }
    }
    let complete = cursor.is_none() && items.len() <= limit;
    items.truncate(limit);
    Ok(Found { items, complete })
}

/// Shows what a search finds, for people as the lines that `lines` makes.
pub(super) async fn search<T: DeserializeOwned>(
    of: Listed,
    flags: &ListFlags,
    terminal: &Terminal,
    lines: impl FnOnce(&[T]) -> Vec<String>,
) -> Result<Exit> {
    list((of, &[("q", flags.query.as_deref())]), &flags.page, terminal, lines).await
}

/// Shows what there is, for people as the lines that `lines` makes.
pub(super) async fn list<T: DeserializeOwned>(
    (of, filters): (Listed, Filters<'_>),
    flags: &PageFlags,
    terminal: &Terminal,
    lines: impl FnOnce(&[T]) -> Vec<String>,
) -> Result<Exit> {
    let found = gather(&connect(&flags.client)?, of, filters, flags.limit).await?;
    if terminal.format == Format::Json {
        terminal.print_json(&Document { of, found: &found });
        return Ok(Exit::Completed);
    }
    let items = found.items.iter().map(|item| serde_json::from_str(item.get())).collect::<Result<Vec<T>, _>>();
    let items = items.context("the server's answer is not understood")?;
    if items.is_empty() {
        terminal.note(&terminal.err.paint(Style::Dim, "there is nothing of that kind that you may see"));
        return Ok(Exit::Completed);
    }
    lines(&items).iter().for_each(|line| terminal.print(line));
    if !found.complete {
        terminal.note(&terminal.err.paint(Style::Dim, "… and more: say what you look for, or raise --limit"));
    }
    Ok(Exit::Completed)
}

/// A time as `2026-11-26T14:00:00.123Z`, to the minute; what isn't one is shown as it is.
pub(super) fn minute(time: &str) -> String {
    let shown = time.get(..16).filter(|_| time.as_bytes().get(10) == Some(&b'T'));
    neutralise_line(&shown.map_or_else(|| time.to_owned(), |shown| shown.replace('T', " ")))
}

fn parse_limit(text: &str) -> Result<usize, String> {
    let limit = text.parse().map_err(|_| format!("{text:?} is no count"))?;
    if (1..=LIMIT_MAX).contains(&limit) { Ok(limit) } else { Err(format!("1 to {LIMIT_MAX} can be listed")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_called_what_is_in_it() {
        let items = vec![RawValue::from_string("{\"a\": 1.50}".to_owned()).unwrap()];
        let document = Document { of: Listed::WorkflowRuns, found: &Found { items, complete: true } };
        assert_eq!(serde_json::to_string(&document).unwrap(), r#"{"runs":[{"a": 1.50}],"complete":true}"#);
    }

    #[test]
    fn times_are_shown_to_the_minute() {
        assert_eq!(minute("2026-11-26T14:00:59.123Z"), "2026-11-26 14:00");
        assert_eq!(minute("soon\u{1b}"), "soon␛");
    }
}
