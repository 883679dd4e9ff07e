//! A package's own test cases, in both of the forms that they are written in, as one.
//!
//! `{handler, test_cases: [{request, expected, tolerance}]}` gives its values in the order of the function's
//! parameters, whatever their names are; `{function, test_cases: [{inputs, expected_outputs | expected_exception,
//! tolerance}]}` gives them by name. A file may mix the fields of both.

use super::compare::{Exception, Expected, Tolerance};
use super::fields::{Fields, Place, Report, quoted};
use super::files::Files;
use super::function::Function;
use super::manifest::Manifest;
use super::name::FileName;
use super::node::{Member, Node, object};
use super::port::is_file;
use super::reference::FunctionName;
use super::yaml;
use crate::{analysis::nearest, json::Path};
use mecapy_model::{Fault, Warning};
use std::collections::BTreeMap;

/// The most test cases of one package.
const TEST_CASES_MAX: usize = 2_000;
const NAME_CHARS_MAX: usize = 200;
const DESCRIPTION_CHARS_MAX: usize = 4_000;
/// Where files of test cases are found that the manifest doesn't name.
const TEST_FOLDER: &str = "tests";

/// One call of a function, and what must come of it.
#[derive(Debug, Clone, PartialEq)]
pub struct TestCase {
    pub function: FunctionName,
    pub name: String,
    /// The inputs object as JSON text, numbers as they were written; without the files.
    pub inputs: String,
    /// Inputs that are files, by port.
    pub files: Vec<(String, FileName)>,
    pub expected: Expected,
    /// Where it is written: file and line.
    pub place: String,
}

/// The names of what can be given to each function by name, in order, where that is known.
pub(super) type Parameters = BTreeMap<FunctionName, Vec<String>>;

/// Reads every test case of the package: in the manifest, in the files that it names, and in `tests/test_*.json`,
/// `.yml` and `.yaml`.
pub(super) fn read_test_cases(
    manifest: &Manifest,
    files: &Files,
    parameters: &Parameters,
    report: &mut Report,
) -> Vec<TestCase> {
    let package = Package { manifest, files, parameters };
    let mut cases = Vec::new();
    for function in &manifest.functions {
        let path = Path::Root.key("functions");
        let path = path.key(function.name.as_str());
        package.inline(function, path.key("testcases"), (&mut cases, report));
    }
    for (file, owner) in package.test_files(report) {
        package.file(file, owner, (&mut cases, report));
    }
    if cases.len() > TEST_CASES_MAX {
        let message = format!("The package has {} test cases; {TEST_CASES_MAX} are allowed.", cases.len());
        report.add(Fault::new("", "too_many", message));
        cases.clear();
    }
    cases
}

struct Package<'a> {
    manifest: &'a Manifest,
    files: &'a Files,
    parameters: &'a Parameters,
}

/// What a file, or a function of the manifest, says for all of its cases.
struct Context<'a> {
    function: &'a Function,
    /// The file that the cases are in.
    file: &'a str,
    /// Where files that they name are looked for first.
    folder: &'a str,
}

type Found<'a> = (&'a mut Vec<TestCase>, &'a mut Report);

impl<'a> Package<'a> {
    /// The files with test cases, each once, with the function that names it; none for those that are found.
    fn test_files(&self, report: &mut Report) -> BTreeMap<&'a FileName, Option<&'a Function>> {
        let is_test = |name: &&FileName| {
            let last = name.last();
            name.folder() == TEST_FOLDER
                && last.starts_with("test_")
                && [".json", ".yml", ".yaml"].iter().any(|end| last.ends_with(end))
        };
        let mut found: BTreeMap<_, _> = self.files.names().filter(is_test).map(|name| (name, None)).collect();
        for function in &self.manifest.functions {
            for named in &function.test_files {
                if self.files.get(named.as_str()).is_some() {
                    found.insert(named, Some(function));
                    continue;
                }
                let path = Path::Root.key("functions");
                let path = path.key(function.name.as_str());
                let meant = nearest(named.last(), self.files.names().map(FileName::last));
                let advice = meant.map_or(String::new(), |meant| format!(": did you mean {meant}?"));
                let message = format!("the package has no file {named}{advice}");
                report.fault(Place { path: path.key("testcases"), line: function.line }, "file_missing", message);
            }
        }
        found
    }

    fn inline(&self, function: &'a Function, path: Path<'_>, (cases, report): Found<'_>) {
        let context = Context { function, file: super::manifest::MANIFEST_FILE, folder: "" };
        for (index, node) in function.test_cases.iter().enumerate() {
            let index = index.to_string();
            let place = Place { path: path.key(&index), line: node.line };
            cases.extend(self.case(node, &context, place, report));
        }
    }

    fn file(&self, file: &'a FileName, owner: Option<&'a Function>, (cases, report): Found<'_>) {
        let name = file.as_str();
        let path = Path::Root.key("files");
        let path = path.key(name);
        let Some(root) = self.document(file, path, report) else { return };
        let has_cases = root.map().is_some_and(|members| members.iter().any(|member| member.key == "test_cases"));
        if owner.is_none() && !has_cases {
            let message = format!("{name} has no test_cases and is passed over");
            return report.add_warning(Warning {
                code: "no_test_cases".to_owned(),
                message,
                line: None,
                pointer: Some(path.to_string()),
            });
        }
        let mut about = Report::default();
        let place = Place { path, line: root.line };
        if let Some(mut fields) = Fields::open(&root, place, &mut about) {
            fields.text("description", DESCRIPTION_CHARS_MAX, &mut about);
            fields.take("version");
            let function = self.function(&mut fields, (owner, name), &mut about);
            let node = fields.require("test_cases", &mut about);
            if let (Some(function), Some(node)) = (function, node) {
                let context = Context { function, file: name, folder: file.folder() };
                fields.items("test_cases", node, &mut about, |item, place, report| {
                    cases.extend(self.case(item, &context, place, report));
                });
            }
            fields.finish_leniently(&mut about);
        }
        about.of_file(name, report);
    }

    fn document(&self, file: &FileName, path: Path<'_>, report: &mut Report) -> Option<Node> {
        let content = self.files.get(file.as_str())?;
        let read = if file.as_str().ends_with(".json") && content.len() <= yaml::DOCUMENT_BYTES_MAX {
            Node::from_json(content).map_err(|error| (error.line, error.column, error.reason.to_string()))
        } else {
            yaml::read(content).map_err(|error| (error.line, error.column, error.message))
        };
        let fault = |(line, column, message): (u32, u32, String)| Fault {
            line: Some(line),
            column: Some(column),
            ..Fault::new(path.to_string(), "malformed", format!("{file}, line {line}: {message}"))
        };
        read.map_err(|error| report.add(fault(error))).ok()
    }

    /// The function that a file names by `function` or by `handler`, or that names the file.
    fn function(
        &self,
        fields: &mut Fields<'_, '_>,
        (owner, file): (Option<&'a Function>, &str),
        report: &mut Report,
    ) -> Option<&'a Function> {
        let (function, handler) = (fields.take("function"), fields.take("handler"));
        let (field, node) = match (function, handler) {
            (Some(node), None) => ("function", node),
            (None, Some(node)) => ("handler", node),
            (Some(node), Some(_)) => {
                fields.fault("handler", node.line, report, ("conflict", "give function or handler, not both"));
                return None;
            }
            (None, None) => {
                if owner.is_none() {
                    let message = "the field \"function\" is needed: the name of the function that the cases call";
                    fields.fault("function", fields.place().line, report, ("required", message));
                }
                return owner;
            }
        };
        let found = fields.parse(field, node, report, |text| self.named(text, file));
        if let (Some(found), Some(owner)) = (found, owner)
            && found.name != owner.name
        {
            let message = format!("the manifest names {file} for {}, and the file names {}", owner.name, found.name);
            fields.fault(field, node.line, report, ("conflict", &message));
        }
        found
    }

    /// The function of this name, or with this handler; the one that names `file` where several have it.
    fn named(&self, text: &str, file: &str) -> Result<&'a Function, String> {
        let functions = &self.manifest.functions;
        let handler_of = |function: &Function| function.handler.as_ref().map(ToString::to_string);
        let mut fitting = functions.iter().filter(|function| {
            function.name.as_str() == text || handler_of(function).is_some_and(|handler| handler == text)
        });
        let names_file = |function: &&Function| function.test_files.iter().any(|name| name.as_str() == file);
        if let Some(found) = fitting.clone().find(names_file).or_else(|| fitting.next()) {
            return Ok(found);
        }
        let known: Vec<String> = match text.contains(':') {
            true => functions.iter().filter_map(handler_of).collect(),
            false => functions.iter().map(|function| function.name.to_string()).collect(),
        };
        let meant = nearest(text, known.iter().map(String::as_str));
        let listed = known.iter().take(10).map(String::as_str).collect::<Vec<_>>().join(", ");
        let advice = meant.map_or_else(|| format!("there are {listed}"), |meant| format!("did you mean {meant}?"));
        Err(format!("the package has no function {}: {advice}", quoted(text)))
    }

    fn case(&self, node: &Node, context: &Context<'_>, place: Place<'_>, report: &mut Report) -> Option<TestCase> {
        let mut fields = Fields::open(node, place, report)?;
        let name = fields.text("name", NAME_CHARS_MAX, report);
        fields.text("description", DESCRIPTION_CHARS_MAX, report);
        let inputs = self.inputs(context, &mut fields, report);
        let expected = read_expected(&mut fields, report);
        fields.finish_leniently(report);
        let members = inputs?;
        let (files, inputs): (Vec<_>, Vec<_>) = members.into_iter().partition(|(port, node)| {
            let declared = context.function.signature.inputs().and_then(|ports| ports.get(port));
            node.text().is_some() && declared.is_some_and(is_file)
        });
        let files: Vec<_> =
            files.into_iter().map(|(port, node)| self.attached(port, node, (context, place), report)).collect();
        let place = format!("{}:{}", context.file, node.line);
        Some(TestCase {
            function: context.function.name.clone(),
            name: if name.is_empty() { place.clone() } else { name },
            inputs: object(inputs.iter().map(|(name, node)| (name.as_str(), *node))),
            files: files.into_iter().collect::<Option<_>>()?,
            expected: expected?,
            place,
        })
    }

    /// The inputs by the names of the function's parameters.
    fn inputs<'n>(
        &self,
        context: &Context<'_>,
        fields: &mut Fields<'n, '_>,
        report: &mut Report,
    ) -> Option<Vec<(String, &'n Node)>> {
        let (named, ordered) = (fields.take("inputs"), fields.take("request"));
        let (field, node) = match (named, ordered) {
            (Some(node), None) => ("inputs", node),
            (None, Some(node)) => ("request", node),
            (None, None) => return Some(Vec::new()),
            (Some(node), Some(_)) => {
                fields.fault("request", node.line, report, ("conflict", "give inputs or request, not both"));
                return None;
            }
        };
        let mut members: Vec<&Member> = Vec::new();
        fields.each(field, node, report, |member, _, _| members.push(member));
        let own = || members.iter().map(|member| (member.key.clone(), &member.value)).collect::<Vec<_>>();
        let Some(parameters) = self.parameters.get(&context.function.name) else { return Some(own()) };
        let is_known = |member: &&Member| parameters.contains(&member.key);
        if field == "inputs" || members.iter().all(is_known) {
            return Some(own());
        }
        if members.len() > parameters.len() {
            let (given, takes) = (members.len(), parameters.join(", "));
            let message = format!("{given} values are given, and {} takes {takes}", context.function.name);
            fields.fault(field, node.line, report, ("too_many", &message));
            return None;
        }
        Some(parameters.iter().cloned().zip(members.iter().map(|member| &member.value)).collect())
    }

    /// The file that an input names, beside the test cases or at the package's root.
    fn attached(
        &self,
        port: String,
        node: &Node,
        (context, place): (&Context<'_>, Place<'_>),
        report: &mut Report,
    ) -> Option<(String, FileName)> {
        let text = node.text().unwrap_or_default().trim_start_matches("./");
        let beside = if context.folder.is_empty() { text.to_owned() } else { format!("{}/{text}", context.folder) };
        let named = [beside.as_str(), text].into_iter().filter_map(|name| FileName::parse(name).ok());
        let found = named.into_iter().find(|name| self.files.get(name.as_str()).is_some());
        if found.is_none() {
            let message =
                format!("the package has no file {}, neither beside the test cases nor at its root", quoted(text));
            report.fault(Place { line: node.line, ..place }, "file_missing", message);
        }
        found.map(|file| (port, file))
    }
}

/// `expected` or `expected_outputs` with `tolerance`, or `expected_exception`.
fn read_expected(fields: &mut Fields<'_, '_>, report: &mut Report) -> Option<Expected> {
    let tolerance = fields.object("tolerance", report, read_tolerance).unwrap_or_default();
    let given = [("expected", fields.take("expected")), ("expected_outputs", fields.take("expected_outputs"))];
    let exception = fields.take("expected_exception");
    let mut outputs = given.into_iter().filter_map(|(field, node)| node.map(|node| (field, node)));
    match (outputs.next(), outputs.next(), exception) {
        (Some((_, node)), None, None) => {
            // A function that gives no object is shown as {"result": value}.
            let outputs = match node.map() {
                Some(_) => node.to_json(),
                None => object([("result", node)]),
            };
            Some(Expected::Outputs { outputs, tolerance })
        }
        (None, _, Some(node)) => {
            let exception = fields.parse("expected_exception", node, report, Exception::parse)?;
            Some(Expected::Exception(exception))
        }
        (None, _, None) => {
            let message = "say what must come of it: expected_outputs (or expected), or expected_exception";
            fields.fault("expected_outputs", fields.place().line, report, ("required", message));
            None
        }
        _ => {
            let message = "give one of expected, expected_outputs and expected_exception";
            fields.fault("expected_outputs", fields.place().line, report, ("conflict", message));
            None
        }
    }
}

fn read_tolerance(fields: &mut Fields<'_, '_>, report: &mut Report) -> Tolerance {
    let mut number = |name: &'static str| {
        let node = fields.take(name)?;
        let number = node.number().filter(|number| *number >= 0.0);
        if number.is_none() {
            fields.fault(name, node.line, report, ("wrong_type", "a number that is not negative is needed here"));
        }
        number
    };
    match (number("numeric"), number("relative")) {
        (None, None) => Tolerance::default(),
        (absolute, relative) => {
            Tolerance { absolute: absolute.unwrap_or_default(), relative: relative.unwrap_or_default() }
        }
    }
}
