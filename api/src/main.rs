//! The binary `mecapy`. Every role is a subcommand: see `commands`.

use std::process::ExitCode;

fn main() -> ExitCode {
    mecapy_api::run()
}
