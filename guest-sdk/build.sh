#!/bin/sh
# Builds the modules that show and test the SDKs:
#
#     build.sh [OUTDIR]          default: target/guests of the repository
#
# PYTHON            a Python that has the package ziglang, the C compiler (default: python3)
# CARGO_TARGET_DIR  where cargo keeps what it builds (default: target/guest-sdk of the repository)
# For Rust see fixtures/wasi/rustc-wasi.sh.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
fixtures=$here/../fixtures
out=${1:-$here/../target/guests}
PYTHON=${PYTHON:-python3}
mkdir -p "$out"
out=$(cd "$out" && pwd)

# Written beside and moved, so that a module that is there is whole.
put() { # FILE NAME
    cp "$1" "$out/.$2.$$"
    chmod 0644 "$out/.$2.$$"
    mv "$out/.$2.$$" "$out/$2.wasm"
}

compile_c() { # SOURCE NAME
    newer=yes
    for source in "$1" "$here/c/mecapy.h" "$here/c/mecapy_linalg.h"; do
        [ "$out/$2.wasm" -nt "$source" ] || newer=no
    done
    if [ "$newer" = yes ]; then return; fi
    "$PYTHON" -m ziglang cc -target wasm32-wasi -std=c11 -O2 -s -Wall -Wextra -Werror -I "$here/c" \
        -o "$out/.$2.$$.wasm" "$1"
    put "$out/.$2.$$.wasm" "$2"
    rm "$out/.$2.$$.wasm"
}

compile_rust() {
    export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$here/../target/guest-sdk}"
    compiler=$(sh "$fixtures/wasi/rustc-wasi.sh" --compiler)
    RUSTC=$compiler cargo build --quiet --locked --release --target wasm32-wasip1 \
        --manifest-path "$here/rust/Cargo.toml" --package bolted-joint --package space-frame --package mecapy-task \
        --example every --example linalg --bins
    built=$CARGO_TARGET_DIR/wasm32-wasip1/release
    put "$built/bolted-joint.wasm" bolted_joint_rust
    put "$built/space-frame.wasm" space_frame_rust
    put "$built/examples/every.wasm" sdk_rust
    put "$built/examples/linalg.wasm" linalg_rust
}

# Core modules for WASI preview 1, each turned into a component by `componentize`, which runs on this machine.
compile_components() {
    manifest=$here/component/Cargo.toml
    for command in "build --release --target wasm32-wasip1 --package bolted-joint-component --package component-conformance" \
        "build --package componentize"; do
        # shellcheck disable=SC2086
        RUSTC=$compiler cargo $command --quiet --locked --manifest-path "$manifest"
    done
    for name in bolted_joint_component component_conformance; do
        "$CARGO_TARGET_DIR/debug/componentize" "$CARGO_TARGET_DIR/wasm32-wasip1/release/$name.wasm" "$out/.$name.$$.wasm"
        put "$out/.$name.$$.wasm" "$name"
        rm "$out/.$name.$$.wasm"
    done
}

compile_c "$fixtures/bolted_joint/c/main.c" bolted_joint_c
compile_c "$here/c/tests/task.c" sdk_c
compile_c "$here/c/tests/linalg.c" linalg_c
compile_rust
compile_components
names='bolted_joint_c bolted_joint_rust bolted_joint_component component_conformance linalg_c linalg_rust sdk_c sdk_rust'
printf 'guest-sdk: %s and space_frame_rust in %s\n' "$names" "$out"
