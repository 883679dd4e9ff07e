//! The functions of a manifest.

use super::fields::{Fields, Place, Report, quoted};
use super::name::FileName;
use super::node::{Content, Node};
use super::port::{Signature, read_signature};
use super::reference::FunctionName;
use super::resources::{Resources, read_resources};
use super::runtime::{Runtime, file_name};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The most functions of one package.
const FUNCTIONS_MAX: usize = 200;
/// The most files of test cases that one function names.
const TEST_FILES_MAX: usize = 100;
const DESCRIPTION_CHARS_MAX: usize = 4_000;
/// The longest handler, in characters.
const HANDLER_CHARS_MAX: usize = 200;

/// A function of a package.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Function {
    pub name: FunctionName,
    /// What is called. Python's functions have one; a module is told the function's name where there is none.
    pub handler: Option<Handler>,
    pub description: String,
    pub signature: Signature,
    pub resources: Option<Resources>,
    /// Files of test cases that the manifest names; those of the folder `tests` are found without.
    pub test_files: Vec<FileName>,
    /// Where it stands in the manifest.
    pub line: u32,
    /// Test cases in the manifest itself, until they are read with those of the files.
    #[serde(skip)]
    pub(super) test_cases: Vec<Node>,
}

/// `module:function`: a dotted module of the package, and a function at its top level.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Handler {
    pub module: String,
    pub function: String,
}

impl fmt::Display for Handler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.module, self.function)
    }
}

/// Reads the field `functions`. What a function needs depends on the runtime, which may be unknown.
pub(super) fn read_functions(
    fields: &mut Fields<'_, '_>,
    runtime: Option<&Runtime>,
    report: &mut Report,
) -> Vec<Function> {
    let mut functions = Vec::new();
    let Some(node) = fields.require("functions", report) else { return functions };
    fields.each("functions", node, report, |member, place, report| {
        let name = member.key.parse::<FunctionName>();
        match name {
            Ok(name) => functions.extend(read_function(name, &member.value, place, (runtime, report))),
            Err(invalid) => report.fault(place, "invalid_name", invalid.to_string()),
        }
    });
    let count = node.map().map_or(1, <[_]>::len);
    if !(1..=FUNCTIONS_MAX).contains(&count) {
        let message = format!("there are {count} functions; 1 to {FUNCTIONS_MAX} are allowed");
        fields.fault("functions", node.line, report, ("out_of_range", &message));
    }
    functions
}

fn read_function(
    name: FunctionName,
    node: &Node,
    place: Place<'_>,
    (runtime, report): (Option<&Runtime>, &mut Report),
) -> Option<Function> {
    let mut fields = Fields::open(node, place, report)?;
    let needs_handler = runtime.is_some_and(Runtime::is_python);
    let handler = if needs_handler { fields.require("handler", report) } else { fields.take("handler") };
    let handler = handler.and_then(|node| fields.parse("handler", node, report, parse_handler));
    let description = fields.text("description", DESCRIPTION_CHARS_MAX, report);
    let signature = read_signature(&mut fields, report);
    let resources = read_resources(&mut fields, report);
    let (test_files, test_cases) = read_test_cases(&mut fields, report);
    if runtime.is_some_and(Runtime::is_container) {
        // A container's functions have fields of their own, as its entry point.
        fields.rest();
    }
    fields.finish(report);
    let line = place.line;
    Some(Function { name, handler, description, signature, resources, test_files, line, test_cases })
}

/// `module:function`, each an identifier of Python, modules with dots between them.
fn parse_handler(text: &str) -> Result<Handler, String> {
    let identifier = |part: &str| {
        let starts = part.starts_with(|c: char| c.is_alphabetic() || c == '_');
        starts && part.chars().all(|c| c.is_alphanumeric() || c == '_')
    };
    if text.chars().nth(HANDLER_CHARS_MAX).is_some() {
        return Err(format!("a handler has {HANDLER_CHARS_MAX} characters at most"));
    }
    let shown = quoted(text);
    let Some((module, function)) = text.split_once(':') else {
        let advice = match text.rsplit_once('.') {
            Some((module, function)) if identifier(function) => format!("did you mean {module}:{function}?"),
            _ => "write module:function, as joint:preload".to_owned(),
        };
        return Err(format!("{shown} is not a handler: {advice}"));
    };
    if module.ends_with(".py") || module.contains('/') {
        let meant = module.trim_end_matches(".py").trim_start_matches("./").replace('/', ".");
        return Err(format!("{shown} names a file, not a module: did you mean {meant}:{function}?"));
    }
    if module.split('.').all(identifier) && identifier(function) {
        return Ok(Handler { module: module.to_owned(), function: function.to_owned() });
    }
    if module.split('.').all(identifier) && function.split('.').all(identifier) {
        return Err(format!("{shown} names a method: write a function that makes the object and calls it"));
    }
    Err(format!("{shown} is not a handler: write module:function, as joint:preload"))
}

/// `testcases`: a file, or a list of files and of test cases.
fn read_test_cases(fields: &mut Fields<'_, '_>, report: &mut Report) -> (Vec<FileName>, Vec<Node>) {
    let (mut files, mut cases) = (Vec::new(), Vec::new());
    let Some(node) = fields.take("testcases") else { return (files, cases) };
    if node.plain().is_some() {
        files.extend(fields.parse("testcases", node, report, file_name));
        return (files, cases);
    }
    fields.items("testcases", node, report, |item, place, report| match &item.content {
        Content::Map(_) => cases.push(item.clone()),
        Content::Text(text) => match file_name(text) {
            Ok(file) => files.push(file),
            Err(message) => report.fault(place, "invalid_value", message),
        },
        _ => report.wrong_kind(place, "a file or a test case", item),
    });
    if files.len() > TEST_FILES_MAX {
        let message = format!("there are {} files of test cases; {TEST_FILES_MAX} are allowed", files.len());
        fields.fault("testcases", node.line, report, ("too_many", &message));
    }
    (files, cases)
}
