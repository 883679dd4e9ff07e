//! The binary `mecapy`.

use std::process::ExitCode;

fn main() -> ExitCode {
    mecapy_api::run()
}
