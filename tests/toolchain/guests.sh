#!/usr/bin/env bash
# Builds every WebAssembly guest from its sources into target/guests, with the toolchain that setup.sh made.
set -euo pipefail
cd "$(dirname "$0")/../.."

mkdir -p target/guests
export PATH="$PWD/target/toolchain/bin:$PATH"
for build in fixtures/conformance/build.sh fixtures/wasi/build.sh guest-sdk/build.sh; do
    printf '   %s\n' "$build"
    bash "$build"
done
printf '   %s modules in target/guests\n' "$(find target/guests -name '*.wasm' | wc -l)"
