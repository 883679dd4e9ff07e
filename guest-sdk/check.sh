#!/bin/sh
# Tests the SDKs for Rust and C themselves, on this machine: the crates and the header. That projects made from the
# templates build and pass their tests is a test of the platform's, tests/tests/new_projects.rs.
#
# PYTHON  a Python that has the package ziglang, the C compiler for WASI (default: python3)
# CARGO_TARGET_DIR  where cargo keeps what it builds (default: target/guest-sdk of the repository)
set -eu

here=$(cd "$(dirname "$0")" && pwd)
PYTHON=${PYTHON:-python3}
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$here/../target/guest-sdk}"

say() { printf 'guest-sdk: %s\n' "$*"; }

say "the crates"
cargo test --quiet --locked --manifest-path "$here/rust/Cargo.toml" --workspace --features mecapy-task/log
say "the header"
"$PYTHON" "$here/c/tests/check.py"

say "all passed"
