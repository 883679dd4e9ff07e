//! Lists the conformance guests, so that a guest without a test of its name fails the build of the tests.
//!
//! The macro that it writes, `foreach_guest!`, calls another macro with each guest's name.

use std::{fs, io, path::Path};

const GUESTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/conformance");

#[expect(clippy::disallowed_methods, reason = "cargo tells a build script where to write through the environment")]
fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={GUESTS}");
    let mut names = Vec::new();
    for entry in fs::read_dir(GUESTS)? {
        let path = entry?.path();
        let is_guest = path.extension().is_some_and(|extension| extension == "c" || extension == "wat");
        if let (true, Some(name)) = (is_guest, path.file_stem().and_then(|stem| stem.to_str())) {
            names.push(name.to_owned());
        }
    }
    names.sort();
    let calls: String = names.iter().map(|name| format!("        $mac!({name});\n")).collect();
    let out = std::env::var_os("OUT_DIR").ok_or_else(|| io::Error::other("OUT_DIR is not set"))?;
    let text = format!("macro_rules! foreach_guest {{\n    ($mac:ident) => {{\n{calls}    }};\n}}\n");
    fs::write(Path::new(&out).join("guests.rs"), text)
}
