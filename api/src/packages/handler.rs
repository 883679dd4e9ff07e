//! Whether the functions that a manifest names are there, by reading the package's source.

use super::fields::{Place, Report};
use super::files::Files;
use super::function::{Function, Handler};
use super::manifest::Manifest;
use super::port::may_be_missing;
use super::python::Python;
use super::testcase::Parameters;
use super::wheel::{Wheel, modules_of};
use crate::{
    analysis::{self, Analysis, Catalogue, nearest},
    json::Path,
};
use mecapy_model::{Fault, Warning};
use std::collections::{BTreeMap, BTreeSet};

/// Source that is analysed for handlers, each function's module anew, bytes.
const ANALYSED_BYTES_MAX: usize = 16 << 20;

/// Checks every handler and what its source imports; gives the parameters of the functions where they are known, and what
/// the package may import of the platform's Python. What wheels import isn't looked at.
pub(super) fn check_handlers(
    manifest: &Manifest,
    (files, wheels): (&Files, &[Wheel]),
    python: &Python<'_>,
    report: &mut Report,
) -> (Parameters, BTreeSet<String>) {
    let own = modules_of(files);
    let brought = wheels.iter().flat_map(|wheel| &wheel.modules);
    let catalogue = python.catalogue.of_package(own.iter().chain(brought).cloned());
    let check = Check { files, python, catalogue, own };
    let mut parameters = Parameters::new();
    let mut imported = BTreeMap::new();
    let mut left = ANALYSED_BYTES_MAX;
    for function in &manifest.functions {
        let Some(handler) = &function.handler else { continue };
        let Some((file, source)) = check.source(function, handler, report) else { continue };
        let Some(rest) = left.checked_sub(source.len()) else {
            let message = format!(
                "{file} and the modules of the functions before are too large to be read once for each function: put fewer functions into a module"
            );
            at_handler(function, "modules_too_large", message, report);
            break;
        };
        left = rest;
        let analysis = analysis::analyse(source, Some(&handler.function), &check.catalogue);
        imported.insert(file.clone(), analysis.imports.clone());
        tell(&file, handler, function, &analysis, report);
        if let Some(found) = check_parameters(function, handler, &analysis, report) {
            parameters.insert(function.name.clone(), found);
        }
    }
    (parameters, check.rest(imported, report))
}

struct Check<'a> {
    files: &'a Files,
    python: &'a Python<'a>,
    catalogue: Catalogue,
    /// Top-level modules of the package itself.
    own: BTreeSet<String>,
}

impl<'a> Check<'a> {
    /// The file of a handler's module, and its text.
    fn source(&self, function: &Function, handler: &Handler, report: &mut Report) -> Option<(String, &'a str)> {
        let path = handler.module.replace('.', "/");
        let files = [format!("{path}.py"), format!("{path}/__init__.py")];
        let top = handler.module.split('.').next().unwrap_or_default();
        let Some((file, content)) = files.into_iter().find_map(|file| self.files.get(&file).map(|text| (file, text)))
        else {
            let message = self.missing_module(handler);
            at_handler(function, "handler_missing", message, report);
            return None;
        };
        if self.python.catalogue.names(top) {
            let message = format!(
                "{handler}: Python has a module {top} of its own, which is imported in place of {file}: rename the file"
            );
            at_handler(function, "module_hidden", message, report);
            return None;
        }
        match std::str::from_utf8(content) {
            Ok(source) => Some((file, source)),
            Err(_) => {
                at_handler(function, "not_utf8", format!("{handler}: {file} is not UTF-8"), report);
                None
            }
        }
    }

    fn missing_module(&self, handler: &Handler) -> String {
        let names = self.files.names().filter_map(|name| name.as_str().strip_suffix(".py"));
        let modules = names.map(|name| name.strip_suffix("/__init__").unwrap_or(name).replace('/', "."));
        let modules: Vec<String> = modules.filter(|module| !module.starts_with("tests.")).collect();
        let module = &handler.module;
        if let Some(meant) = nearest(module, modules.iter().map(String::as_str)) {
            return format!("the package has no module {module}: did you mean {meant}:{}?", handler.function);
        }
        if modules.is_empty() {
            return format!("the package has no module {module}, and no Python file at all");
        }
        let listed = modules.iter().take(10).map(String::as_str).collect::<Vec<_>>().join(", ");
        format!("the package has no module {module}: it has {listed}")
    }

    /// Looks at the package's other modules that handlers' modules may import: what is wrong there is a warning, since
    /// nobody can tell whether the functions come across it. Gives what all of them import of Python.
    fn rest(&self, mut imported: BTreeMap<String, BTreeSet<String>>, report: &mut Report) -> BTreeSet<String> {
        let known: BTreeSet<String> = imported.keys().cloned().collect();
        let mut reached: BTreeSet<String> = known.iter().map(|file| top_of(file).to_owned()).collect();
        loop {
            let named = imported.values().flatten().filter(|name| self.own.contains(*name));
            reached.extend(named.cloned());
            let next = self.files.iter().find(|(name, _)| {
                let name = name.as_str();
                name.ends_with(".py") && !imported.contains_key(name) && reached.contains(top_of(name))
            });
            let Some((file, content)) = next else { break };
            let source = String::from_utf8_lossy(content);
            let analysis = analysis::analyse(&source, None, &self.catalogue);
            for fault in &analysis.faults {
                let line = fault.line.map_or(String::new(), |line| format!(", line {line}"));
                report.add_warning(Warning {
                    code: fault.code.clone(),
                    message: format!("{file}{line}: {}", fault.message),
                    line: fault.line,
                    pointer: Some(pointer_of(file.as_str())),
                });
            }
            imported.insert(file.as_str().to_owned(), analysis.imports);
        }
        let of_python = |name: &String| self.python.catalogue.names(name);
        imported.into_values().flatten().filter(of_python).collect()
    }
}

fn top_of(file: &str) -> &str {
    let first = file.split('/').next().unwrap_or(file);
    first.strip_suffix(".py").unwrap_or(first)
}

fn pointer_of(file: &str) -> String {
    Path::Root.key("files").key(file).to_string()
}

fn at_handler(function: &Function, code: &'static str, message: String, report: &mut Report) {
    let path = Path::Root.key("functions");
    let path = path.key(function.name.as_str());
    report.fault(Place { path: path.key("handler"), line: function.line }, code, message);
}

/// Passes on what the analysis of a handler's source found.
fn tell(file: &str, handler: &Handler, function: &Function, analysis: &Analysis, report: &mut Report) {
    let placed = |line: Option<u32>| line.map_or(file.to_owned(), |line| format!("{file}, line {line}"));
    for fault in &analysis.faults {
        if matches!(fault.code.as_str(), "entry_missing" | "entry_invalid") {
            at_handler(function, "handler_missing", missing_function(file, handler, analysis), report);
            continue;
        }
        let message = format!("{}: {}", placed(fault.line), fault.message);
        report.add(Fault { pointer: pointer_of(file), message, ..fault.clone() });
    }
    for warning in &analysis.warnings {
        let message = format!("{}: {}", placed(warning.line), warning.message);
        report.add_warning(Warning { pointer: Some(pointer_of(file)), message, ..warning.clone() });
    }
}

fn missing_function(file: &str, handler: &Handler, analysis: &Analysis) -> String {
    let names = || analysis.functions.iter().map(|function| function.name.as_str());
    let first = format!("{file} defines no function {}", handler.function);
    if let Some(meant) = nearest(&handler.function, names()) {
        return format!("{first}: did you mean {}:{meant}?", handler.module);
    }
    let listed = names().take(10).collect::<Vec<_>>().join(", ");
    if listed.is_empty() { format!("{first}: it defines none") } else { format!("{first}: it defines {listed}") }
}

/// Checks that a function takes the inputs that the manifest declares. Gives its parameters, none where they can't be
/// told: a decorator may change them, and what is imported is defined elsewhere.
fn check_parameters(
    function: &Function,
    handler: &Handler,
    analysis: &Analysis,
    report: &mut Report,
) -> Option<Vec<String>> {
    let found = analysis.functions.iter().rfind(|found| found.name == handler.function)?;
    if found.is_decorated {
        return None;
    }
    let names = || found.parameters.iter().map(|parameter| parameter.name.as_str());
    if let Some(inputs) = function.signature.inputs() {
        let path = Path::Root.key("functions");
        let path = path.key(function.name.as_str());
        let place = Place { path: path.key("inputs"), line: function.line };
        for port in inputs.keys().filter(|port| !found.accepts_any && !names().any(|name| name == *port)) {
            let advice = match nearest(port, names().filter(|name| !inputs.keys().any(|port| port == name))) {
                Some(meant) => format!("did you mean {meant}?"),
                None => format!("it takes {}", names().collect::<Vec<_>>().join(", ")),
            };
            let place = Place { path: place.path.key(port), ..place };
            report.fault(place, "unknown_input", format!("{handler} has no parameter {port}: {advice}"));
        }
        for parameter in found.parameters.iter().filter(|parameter| parameter.required) {
            let name = &parameter.name;
            match inputs.get(name) {
                None => {
                    let message = format!(
                        "{handler} needs {name}, which is not among the inputs: declare it, or give the parameter a default"
                    );
                    report.fault(place, "input_missing", message);
                }
                Some(port) if may_be_missing(port) => {
                    let message = format!(
                        "{handler} needs {name}, which may be left out: give the port or the parameter a default, or say required: true"
                    );
                    let place = Place { path: place.path.key(name), ..place };
                    report.fault(place, "default_missing", message);
                }
                Some(_) => {}
            }
        }
    }
    (!found.accepts_any).then(|| names().map(str::to_owned).collect())
}
