#!/bin/sh
# Tests the SDKs themselves, on this machine: the crates, the header, and that projects made from the templates
# build, pass their tests and give modules.
#
# PYTHON  a Python that has the package ziglang, the C compiler for WASI (default: python3)
# CARGO_TARGET_DIR  where cargo keeps what it builds (default: target/guest-sdk of the repository)
set -eu

here=$(cd "$(dirname "$0")" && pwd)
PYTHON=${PYTHON:-python3}
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$here/../target/guest-sdk}"
project=$(mktemp -d)
trap 'rm -rf "$project"' EXIT

say() { printf 'guest-sdk: %s\n' "$*"; }

# As `mecapy new` does: the template, and the SDK beside it.
new_rust() {
    cp -R "$here/rust/template" "$project/rust"
    cp -R "$here/rust/mecapy-task" "$here/rust/mecapy-task-macros" "$project"
    sed 's/^members = .*/members = ["mecapy-task", "mecapy-task-macros"]/' "$here/rust/Cargo.toml" >"$project/Cargo.toml"
    cp "$here/rust/Cargo.lock" "$project/rust"
}

new_c() {
    cp -R "$here/c/template" "$project/c"
    cp "$here/c/mecapy.h" "$project/c"
}

say "the crates"
cargo test --quiet --locked --manifest-path "$here/rust/Cargo.toml" --workspace --features mecapy-task/log
say "the header"
"$PYTHON" "$here/c/tests/check.py"

say "a new project in Rust"
new_rust
cargo test --quiet --manifest-path "$project/rust/Cargo.toml"
RUSTC=$(sh "$here/../fixtures/wasi/rustc-wasi.sh" --compiler) \
    cargo build --quiet --release --target wasm32-wasip1 --manifest-path "$project/rust/Cargo.toml"
say "a new project in C"
new_c
# The same Python as everywhere here, for a Makefile that calls it python3.
mkdir "$project/bin"
printf '#!/bin/sh\nexec "%s" "$@"\n' "$(command -v "$PYTHON")" >"$project/bin/python3"
chmod +x "$project/bin/python3"
PATH="$project/bin:$PATH" make --silent -C "$project/c" test package/my-task.wasm
for module in "$CARGO_TARGET_DIR/wasm32-wasip1/release/my-task.wasm" "$project/c/package/my-task.wasm"; do
    [ "$(od -An -tx1 -N4 "$module" | tr -d ' ')" = 0061736d ] || { say "$module is no module"; exit 1; }
done
say "all passed"
