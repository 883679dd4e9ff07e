//! The hidden command of the binary alone, for this crate's own tests of compilation.

use std::process::ExitCode;

fn main() -> ExitCode {
    mecapy_runtime::module::compile_child(std::env::args_os()).unwrap_or(ExitCode::FAILURE)
}
