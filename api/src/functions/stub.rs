//! The Python that a call of a package's function runs: it imports the function, and hands files in and out as paths.

use crate::packages::{Function, Handler};
use mecapy_model::ports::{Fields, PortType};

/// Where a package's own files are in the guest.
pub(super) const FILES_FOLDER: &str = "/usr/local/lib/package/files";
/// Where its wheels are, each unpacked in a folder of its own.
pub(super) const WHEELS_FOLDER: &str = "/usr/local/lib/package/wheels";

/// What makes a package's modules importable: run once where an image is made.
pub(super) fn prepare(folders: &[String], modules: impl IntoIterator<Item = String>) -> String {
    let mut source = format!("import sys\nsys.path[:0] = {}\n", list(folders));
    for module in modules {
        source.push_str(&format!("import {module}\n"));
    }
    source
}

/// The source of one call, and its entry.
pub(super) fn call(handler: &Handler, function: &Function) -> String {
    let Handler { module, function: name } = handler;
    let inputs = files_of(function.signature.inputs());
    let outputs = files_of(function.signature.outputs());
    if inputs.is_empty() && outputs.is_empty() {
        return format!("from {module} import {name}\n");
    }
    // A function that declares its ports itself takes and gives files by their names.
    format!(
        "from {module} import {name}\n\
         if not hasattr({name}, '__mecapy__'):\n    \
             from mecapy_runner.paths import by_path\n    \
             {name} = by_path({name}, {}, {})\n",
        list(&inputs),
        list(&outputs)
    )
}

/// The ports that hold files, at any depth of lists.
fn files_of(ports: Option<&Fields>) -> Vec<String> {
    let ports = ports.into_iter().flatten();
    ports.filter(|(_, port)| holds_files(port.ty())).map(|(name, _)| name.clone()).collect()
}

fn holds_files(ty: &PortType) -> bool {
    match ty {
        PortType::File(_) => true,
        PortType::List(item) | PortType::Dict(item) => holds_files(item),
        _ => false,
    }
}

/// A list of texts as Python writes it. Names of modules, ports and folders hold nothing that would need more.
fn list(texts: &[String]) -> String {
    let quoted: Vec<String> = texts.iter().map(|text| format!("{text:?}")).collect();
    format!("[{}]", quoted.join(", "))
}
