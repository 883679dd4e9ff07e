//! Lists, page by page.

use super::{Client, ClientError};
use serde::Deserialize;
use serde_json::value::RawValue;

/// What can be listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Listed {
    Packages,
    Functions,
    Batches,
    Workflows,
    WorkflowRuns,
    Studies,
    Schedules,
}

impl Listed {
    /// What a page calls its items.
    pub(crate) fn member(self) -> &'static str {
        match self {
            Listed::Packages => "packages",
            Listed::Functions => "functions",
            Listed::Batches => "batches",
            Listed::Workflows => "workflows",
            Listed::WorkflowRuns => "runs",
            Listed::Studies => "studies",
            Listed::Schedules => "schedules",
        }
    }

    fn path(self) -> &'static str {
        match self {
            Listed::Packages => "/v1/packages",
            Listed::Functions => "/v1/functions",
            Listed::Batches => "/v1/batches",
            Listed::Workflows => "/v1/workflows",
            Listed::WorkflowRuns => "/v1/workflow-runs",
            Listed::Studies => "/v1/studies",
            Listed::Schedules => "/v1/schedules",
        }
    }
}

/// One page of a list, its items as they came.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Page {
    #[serde(
        alias = "packages",
        alias = "functions",
        alias = "batches",
        alias = "workflows",
        alias = "runs",
        alias = "studies",
        alias = "schedules"
    )]
    pub items: Vec<Box<RawValue>>,
    #[serde(default)]
    pub next_cursor: Option<String>,
}

/// What to look for, and which page of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Search<'a> {
    /// Parameters of the list; those without a value are left out.
    pub filters: &'a [(&'static str, Option<&'a str>)],
    /// Items of the page; of functions, the packages whose functions it holds.
    pub limit: usize,
    pub cursor: Option<&'a str>,
}

impl Search<'_> {
    fn of(&self, path: &str) -> String {
        let limit = self.limit.to_string();
        let page = [("limit", Some(limit.as_str())), ("cursor", self.cursor)];
        with_query(path, self.filters.iter().copied().chain(page))
    }
}

impl Client {
    pub(crate) async fn page(&self, of: Listed, search: Search<'_>) -> Result<Page, ClientError> {
        Ok(self.answer::<Page>(self.get(&search.of(of.path()))).await?.value)
    }
}

/// The path with those of the parameters that have a value.
pub(super) fn with_query<'a>(
    path: &str,
    parameters: impl IntoIterator<Item = (&'static str, Option<&'a str>)>,
) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(parameters.into_iter().filter_map(|(name, value)| Some((name, value?))));
    match query.finish() {
        query if query.is_empty() => path.to_owned(),
        query => format!("{path}?{query}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_carry_what_was_asked_for() {
        let filters = [("q", Some("M12 & été")), ("state", None)];
        let search = Search { filters: &filters, limit: 50, cursor: None };
        assert_eq!(search.of("/v1/functions"), "/v1/functions?q=M12+%26+%C3%A9t%C3%A9&limit=50");
        assert_eq!(with_query("/v1/packages", [("owner", None)]), "/v1/packages");
    }

    #[test]
    fn a_page_has_its_items_as_they_were_written() {
        for of in [Listed::Functions, Listed::Batches, Listed::WorkflowRuns, Listed::Schedules] {
            let text = format!(r#"{{"{}":[{{"a": 1.50}}],"next_cursor":null}}"#, of.member());
            let page: Page = serde_json::from_str(&text).unwrap();
            assert_eq!((page.items[0].get(), page.next_cursor), (r#"{"a": 1.50}"#, None));
        }
    }
}
