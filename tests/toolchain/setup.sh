#!/usr/bin/env bash
# Prepares what the builds and tests need beside Rust: a C linker, Python with pip, and a pinned C compiler for
# WASI in target/toolchain. Installs what is missing where it may, and says what to install where it may not.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/toolchain/packages.sh

toolchain=target/toolchain
requirements=tests/toolchain/requirements.txt
python_minimum="3.9"

require_rust() {
    command -v cargo >/dev/null || fail "Rust is missing: install it with rustup (see the rust-version in Cargo.toml)"
    local needed found
    needed=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
    found=$(rustc --version | awk '{print $2}')
    [ "$(printf '%s\n%s\n' "$needed" "$found" | sort -V | head -n 1)" = "$needed" ] ||
        fail "Rust $found is too old: $needed or newer is needed (rustup update)"
}

require_python() {
    require python3 python3 python3-venv
    python3 -c "import sys; sys.exit(sys.version_info < tuple(map(int, '$python_minimum'.split('.'))))" ||
        fail "python3 is older than $python_minimum"
    # Debian splits these off: without ensurepip a virtual environment has no pip.
    python3 -c 'import ensurepip, venv' 2>/dev/null || install_packages python3-venv
}

build_toolchain() {
    if [ -x "$toolchain/bin/python3" ] && cmp -s "$requirements" "$toolchain/requirements.txt"; then
        return
    fi
    say "making $toolchain (Python packages of $requirements)"
    rm -rf "$toolchain"
    python3 -m venv "$toolchain"
    "$toolchain/bin/python3" -m pip install --quiet --disable-pip-version-check --no-input -r "$requirements"
    cp "$requirements" "$toolchain/requirements.txt"
}

require_rust
require cc gcc libc6-dev
require make make
require_python
build_toolchain
say "$(rustc --version | cut -d' ' -f1-2), $("$toolchain/bin/python3" --version), zig $("$toolchain/bin/python3" -m ziglang version)"
