//! A URL's query, read field by field; what is not known is a fault.

use super::Problem;
use axum::{
    extract::FromRequestParts,
    http::{Uri, request::Parts},
};
use std::{ops::RangeInclusive, str::FromStr};

/// More fields than this are not looked at.
const FIELDS_MAX: usize = 32;
const BAD_CURSOR: &str = "the cursor is not one that this list gave: start without one";

#[derive(Debug)]
pub(super) struct Query {
    fields: Vec<(String, String)>,
}

impl Query {
    /// The query of `uri`, whose fields are among `known`, each at most once.
    pub(super) fn of(uri: &Uri, known: &[&str]) -> Result<Self, Problem> {
        let parsed = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(uri);
        let axum::extract::Query(fields) = parsed.map_err(|_| Problem::malformed("the URL's query can't be read"))?;
        if fields.len() > FIELDS_MAX {
            return Err(Problem::malformed("the URL's query has too many fields"));
        }
        for (at, (name, _)) in fields.iter().enumerate() {
            if !known.contains(&name.as_str()) {
                let shown: String = name.chars().take(64).collect();
                let message = match known {
                    [] => format!("there is no query field {shown:?} here: this route takes none"),
                    known => format!("there is no query field {shown:?} here: use {}", known.join(", ")),
                };
                return Err(Problem::fault(format!("/{shown}"), "unknown_field", message));
            }
            if fields.iter().skip(at + 1).any(|(other, _)| other == name) {
                return Err(Problem::fault(format!("/{name}"), "duplicate", "give this query field once"));
            }
        }
        Ok(Self { fields })
    }

    pub(super) fn text(&mut self, name: &str) -> Option<String> {
        let at = self.fields.iter().position(|(field, _)| field == name)?;
        Some(self.fields.swap_remove(at).1)
    }

    /// A whole number within `range`.
    pub(super) fn integer(&mut self, name: &str, range: RangeInclusive<u64>) -> Result<Option<u64>, Problem> {
        let Some(text) = self.text(name) else { return Ok(None) };
        match text.parse() {
            Ok(number) if range.contains(&number) => Ok(Some(number)),
            _ => {
                let message = format!("a whole number from {} to {} is needed here", range.start(), range.end());
                Err(Problem::fault(format!("/{name}"), "out_of_range", message))
            }
        }
    }

    /// The place that `cursor` names; an empty one is as good as none.
    pub(super) fn cursor<T>(&mut self, read: impl FnOnce(&str) -> Option<T>) -> Result<Option<T>, Problem> {
        let text = self.text("cursor").filter(|text| !text.is_empty());
        let read = text.map(|text| read(&text).ok_or_else(|| Problem::malformed(BAD_CURSOR)));
        read.transpose()
    }

    /// An id; an empty text is as good as none.
    pub(super) fn id<T: FromStr>(&mut self, name: &str) -> Result<Option<T>, Problem> {
        let text = self.text(name).filter(|text| !text.is_empty());
        let fault = || Problem::fault(format!("/{name}"), "invalid", "an id is needed here, as answers have it");
        text.map(|text| text.parse().map_err(|_| fault())).transpose()
    }

    /// A word that `T` knows; an empty one is as good as none.
    pub(super) fn word<T: FromStr<Err = String>>(&mut self, name: &str) -> Result<Option<T>, Problem> {
        let text = self.text(name).filter(|text| !text.is_empty());
        text.map(|text| text.parse().map_err(|error| Problem::fault(format!("/{name}"), "unknown_value", error)))
            .transpose()
    }
}

/// The query of a route that takes none; each field of it is a fault.
#[derive(Debug)]
pub(super) struct NoQuery;

impl NoQuery {
    pub(super) fn of(uri: &Uri) -> Result<Self, Problem> {
        match uri.query() {
            None => Ok(Self),
            Some(_) => Query::of(uri, &[]).map(|_| Self),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for NoQuery {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Self::of(&parts.uri)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Result<Query, Problem> {
        Query::of(&format!("/x?{query}").parse().unwrap(), &["limit", "state"])
    }

    #[test]
    fn fields_are_read_by_name() {
        let mut query = read("limit=5&state=queued").unwrap();
        assert_eq!(query.integer("limit", 1..=200).unwrap(), Some(5));
        assert_eq!(query.word::<mecapy_model::TaskState>("state").unwrap(), Some(mecapy_model::TaskState::Queued));
        assert_eq!(query.text("state"), None);
    }

    #[test]
    fn a_route_without_a_query_names_what_it_was_sent() {
        for uri in ["/x", "/x?"] {
            assert!(NoQuery::of(&uri.parse().unwrap()).is_ok(), "{uri}");
        }
        let problem = NoQuery::of(&"/x?wait=5".parse().unwrap()).unwrap_err();
        assert_eq!(problem.errors()[0].pointer, "/wait");
        assert!(problem.errors()[0].message.contains("takes none"), "{:?}", problem.errors());
    }

    #[test]
    fn faults_are_pointed_at() {
        for query in ["limit=1000000000", "limit=-1", "limit=x", "limit=1.5", "limit=18446744073709551616"] {
            let problem = read(query).unwrap().integer("limit", 1..=200).unwrap_err();
            assert_eq!(problem.errors()[0].pointer, "/limit", "{query}");
        }
        for query in ["page=2", "limit=1&limit=2"] {
            assert_eq!(read(query).unwrap_err().status(), 422, "{query}");
        }
        assert!(read("state=done").unwrap().word::<mecapy_model::TaskState>("state").is_err());
    }
}
