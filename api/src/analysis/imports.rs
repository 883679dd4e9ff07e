//! Imports that can't work here, and the entry that must be there.

use super::catalogue::{Catalogue, nearest};
use super::findings::{Finding, Findings, Reporter, quoted};
use super::seen::{Guard, Import, Place, Seen};
use super::{ENTRY_DEFAULT, FINDINGS_MAX};
use ruff_text_size::TextSize;

/// The most imports of one source that are found fault with.
const PROBLEMS_MAX: usize = 2 * FINDINGS_MAX;

/// What is wrong with the imports of one source.
pub(super) struct Imports<'a> {
    pub(super) catalogue: &'a Catalogue,
    problems: Vec<Problem>,
}

struct Problem {
    code: &'static str,
    message: String,
    /// The module that is not there, dotted.
    module: String,
    at: TextSize,
    place: Place,
}

impl<'a> Imports<'a> {
    pub(super) fn check(seen: &Seen<'_>, catalogue: &'a Catalogue) -> Self {
        let open = seen.imports.iter().filter(|import| import.place.guard != Guard::Excused);
        let problems = open.filter_map(|import| problem(import, catalogue)).take(PROBLEMS_MAX).collect();
        Self { catalogue, problems }
    }

    pub(super) fn report(&self, reporter: &mut Reporter<'_, '_>) {
        for problem in &self.problems {
            reporter.report(
                Finding { code: problem.code, message: problem.message.clone(), at: problem.at },
                problem.place,
            );
        }
    }

    /// Whether the module of a dotted path was already reported where it is imported.
    pub(super) fn is_reported(&self, path: &str) -> bool {
        self.problems.iter().any(|problem| {
            path.strip_prefix(problem.module.as_str()).is_some_and(|rest| rest.starts_with('.') || rest.is_empty())
        })
    }
}

fn problem(import: &Import<'_>, catalogue: &Catalogue) -> Option<Problem> {
    let (at, place) = (import.at, import.place);
    if import.relative && catalogue.is_in_package() {
        return None;
    }
    if import.relative {
        let message = "A task is a single source: there is no package around it to import from. Put that code into the same source.".to_owned();
        return Some(Problem { code: "relative_import", message, module: ".".to_owned(), at, place });
    }
    let path = match import.name {
        Some(name) if name != "*" => format!("{}.{name}", import.module),
        _ => import.module.to_owned(),
    };
    if let Some((module, message)) = catalogue.unavailable(&path) {
        return Some(Problem { code: "module_unavailable", message, module: module.to_owned(), at, place });
    }
    let module = import.top_level();
    if catalogue.has(module) {
        return None;
    }
    Some(Problem {
        code: "module_missing",
        message: catalogue.missing(&quoted(module)),
        module: module.to_owned(),
        at,
        place,
    })
}

/// Reports an entry that was asked for and is not there; says whether the entry, or `main`, is.
pub(super) fn report_entry(seen: &Seen<'_>, asked: Option<&str>, findings: &mut Findings) -> bool {
    let entry = asked.unwrap_or(ENTRY_DEFAULT);
    let imported = seen.imports.iter().any(|import| import.binds == Some(entry));
    let has = seen.defined.contains(entry) || imported;
    if has && seen.async_functions.contains(entry) {
        findings.warn_whole(
            "async_entry",
            format!("{entry} is an async function: calling it computes nothing. Write def {entry}(…) without async."),
        );
    }
    let Some(asked) = asked else {
        return has;
    };
    // What `exec`, `globals()` or a star import may define can't be told.
    let may_have = has || seen.dynamic || seen.imports.iter().any(|import| import.name == Some("*"));
    if !is_identifier(asked) {
        findings.fault_entry("entry_invalid", format!("\"{}\" can't be the name of a Python function.", quoted(asked)));
    } else if !may_have {
        findings.fault_entry("entry_missing", missing_entry(seen, asked));
    }
    has
}

/// Functions that the message about a missing entry lists at most.
const LISTED_MAX: usize = 10;

fn missing_entry(seen: &Seen<'_>, asked: &str) -> String {
    let names = || seen.functions.iter().map(|function| function.name.as_str());
    let first = format!("The source defines no function {}", quoted(asked));
    if seen.functions.is_empty() {
        return format!("{first}: it defines none. Leave the entry out to run it as a script.");
    }
    if let Some(meant) = nearest(asked, names()) {
        return format!("{first}: did you mean {}?", quoted(meant));
    }
    let listed: Vec<String> = names().take(LISTED_MAX).map(quoted).collect();
    let more = if seen.functions.len() > LISTED_MAX { ", …" } else { "" };
    format!("{first}. It defines: {}{more}.", listed.join(", "))
}

fn is_identifier(name: &str) -> bool {
    let mut characters = name.chars();
    let starts = characters.next().is_some_and(|c| c.is_alphabetic() || c == '_');
    starts && characters.all(|c| c.is_alphanumeric() || c == '_')
}
