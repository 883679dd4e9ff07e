#!/usr/bin/env bash
# Runs all tests of the workspace, once what they use is built (see `make test`). Arguments select tests.
set -euo pipefail
cd "$(dirname "$0")/.."

# A failing test shows its message; a backtrace of the test runner adds nothing.
export RUST_LIB_BACKTRACE=0
cargo test --release --workspace --doc --quiet
if cargo nextest --version >/dev/null 2>&1; then
    exec cargo nextest run --release --workspace --config-file .ci/nextest.toml --no-fail-fast "$@"
fi
# Tests of one file share a process here: two at a time keep the timing ones honest.
exec cargo test --release --workspace --lib --bins --tests --no-fail-fast -- --test-threads 2 "$@"
