//! Static analysis of Python before a run: what would fail anyway is said at once, with its place and what to do.
//!
//! It helps the user and is no boundary: what it misses fails in the sandbox, with a traceback. A false alarm
//! would be worse than a miss, so whatever can't be told for certain passes. Knows nothing of HTTP or of
//! interpreters: what can be imported is handed in as a [`Catalogue`].

mod bindings;
mod catalogue;
mod conditions;
mod deep;
mod findings;
mod imports;
mod nesting;
mod position;
mod rules;
mod scope;
mod seen;
mod syntax;
mod walk;

#[cfg(test)]
mod hostile;
#[cfg(test)]
mod tests;

pub use catalogue::Catalogue;
pub(crate) use catalogue::nearest;

use findings::{Findings, Reporter};
use mecapy_model::{Fault, Warning};
use nesting::Shape;
use std::collections::BTreeSet;

/// The longest source that is analysed, bytes; a longer one is a fault.
pub const SOURCE_BYTES_MAX: usize = 1 << 20;
/// The deepest expression that is analysed, in operators and brackets: formulas of thousands of terms, as computer
/// algebra writes them, pass.
pub const NESTING_MAX: usize = 20_000;
/// The deepest brackets, as in Python itself.
pub const BRACKETS_MAX: usize = 200;
/// The most faults that one source is told of, and the most warnings.
pub const FINDINGS_MAX: usize = 50;

/// Up to this depth the parser's tree is walked on the caller's own stack.
const NESTING_INLINE_MAX: usize = 150;
/// A source with unbalanced brackets or broken strings is parsed, for better messages, up to this size, bytes.
const BROKEN_SOURCE_BYTES_MAX: usize = 16 << 10;

/// The function that is called where the request names none.
pub const ENTRY_DEFAULT: &str = "main";

/// What a source says about itself, without running it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Analysis {
    /// Top-level names of the modules imported anywhere in the source, those that are guarded included.
    pub imports: BTreeSet<String>,
    /// What makes a run pointless; pointers are relative to the request (`/code/source`, `/code/entry`).
    pub faults: Vec<Fault>,
    /// What the author should know before the run.
    pub warnings: Vec<Warning>,
    /// Whether the source defines the entry that was asked for (`main` where none was), as far as can be told.
    pub has_entry: bool,
    /// The functions that the source defines at its top level, in order.
    pub functions: Vec<Function>,
}

/// A function at the top level of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Function {
    pub name: String,
    /// Line of its name, from 1.
    pub line: u32,
    /// What it can be given by name, in order.
    pub parameters: Vec<Parameter>,
    /// Whether it takes any further name (`**kwargs`).
    pub accepts_any: bool,
    /// Whether a decorator stands before it, which may change what it can be given.
    pub is_decorated: bool,
}

/// A parameter that can be given by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    pub name: String,
    /// Whether it has no default.
    pub required: bool,
}

/// Analyses `source`, which will be called at `entry` where one is given, else at `main` where it defines one.
///
/// Takes about 100 µs for a hundred lines and never panics; a source that is too large or too deeply nested
/// gets one fault and nothing else.
pub fn analyse(source: &str, entry: Option<&str>, catalogue: &Catalogue) -> Analysis {
    let mut findings = Findings::new(source);
    if source.len() > SOURCE_BYTES_MAX {
        let message = format!(
            "The source has {} bytes; {SOURCE_BYTES_MAX} are allowed. Put data into input files.",
            source.len()
        );
        findings.fault_whole("source_too_large", message);
        return findings.into_analysis();
    }
    deep::caught(|| analyse_bounded(source, entry, catalogue)).flatten().unwrap_or_else(|| {
        findings.warn_whole("not_analysed", "The source could not be analysed before the run.".to_owned());
        findings.into_analysis()
    })
}

/// Chooses where to parse, by how deep the source nests; nothing where the parser failed.
fn analyse_bounded(source: &str, entry: Option<&str>, catalogue: &Catalogue) -> Option<Analysis> {
    let shape = nesting::measure(source);
    let mut findings = Findings::new(source);
    if let Some(at) = shape.too_deep {
        let message = "This expression is nested too deeply. Split it into several statements.";
        findings.fault("too_nested", message.to_owned(), at);
        return Some(findings.into_analysis());
    }
    let request = Request { source, entry, catalogue };
    match &shape.broken {
        Some(broken) if source.len() > BROKEN_SOURCE_BYTES_MAX => {
            findings.fault("syntax", syntax::sentence(&broken.message), broken.at);
            Some(findings.into_analysis())
        }
        None if shape.depth <= NESTING_INLINE_MAX => Some(request.check(&shape)),
        _ => deep::on_large_stack(|| request.check(&shape)),
    }
}

/// What [`analyse`] was asked.
struct Request<'a> {
    source: &'a str,
    entry: Option<&'a str>,
    catalogue: &'a Catalogue,
}

impl Request<'_> {
    /// Parses and checks. Recurses as deep as the source is nested.
    fn check(&self, shape: &Shape) -> Analysis {
        let mut findings = Findings::new(self.source);
        let Some(parsed) = syntax::parse(self.source) else {
            return findings.into_analysis();
        };
        syntax::report(&parsed, shape.broken.as_ref(), &mut findings);
        if findings.any_fault() {
            deep::drop_large(parsed, self.source.len());
            return findings.into_analysis();
        }
        let seen = walk::walk(self.source, parsed.syntax());
        syntax::report_semantic(&seen.semantic_errors, &mut findings);
        if findings.any_fault() {
            return findings.into_analysis();
        }
        let entry = self.entry.unwrap_or(ENTRY_DEFAULT);
        let bindings = bindings::Bindings::new(&seen);
        let imports = imports::Imports::check(&seen, self.catalogue);
        let mut reporter = Reporter { seen: &seen, entry, findings: &mut findings };
        imports.report(&mut reporter);
        rules::report(&bindings, &imports, &mut reporter);
        let has_entry = imports::report_entry(&seen, self.entry, &mut findings);
        let mut analysis = findings.into_analysis();
        analysis.imports = seen.imported_modules();
        analysis.has_entry = has_entry;
        analysis.functions = seen.functions;
        analysis
    }
}
