//! The Python that a call of a package's function runs: it imports the function, and hands files in and out as paths.

use crate::packages::{Function, Handler};
use mecapy_model::ports::{Fields, PortType};
use mecapy_runtime::PACKAGE_FOLDER;

/// Where a package's own files are in the guest: errors name them from here on.
pub(super) const FILES_FOLDER: &str = PACKAGE_FOLDER;
/// Where its wheels are, each unpacked in a folder of its own.
pub(super) const WHEELS_FOLDER: &str = "/usr/local/lib/wheels";

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
