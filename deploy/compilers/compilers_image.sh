#!/usr/bin/env bash
# Makes the image of the compilers for tasks in C and Rust, as an archive for `docker load`, and prints its catalogue's
# entries. Needs root, mmdebstrap, Python 3, cargo (to fetch the sources of the crates that the SDK builds on) and some
# 3 GB of room meanwhile. Packages are Debian 13's, from the machine's own mirror.
#
# In it: clang, rustc, lld, the libraries of both languages for WASI, and the SDKs of guest-sdk, Rust's built with the
# crates that it needs. Not in it: a compiler or linker for the machine itself, cargo, a package manager, a shell.
set -euo pipefail
umask 022

usage() {
    cat <<'END'
usage: compilers_image.sh OUTPUT.tar NAME:TAG

Docker loads the image with: docker load --input OUTPUT.tar
What is printed belongs into the file that --solvers names.
END
}

[ $# = 2 ] || { usage >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
sdk=$here/../../guest-sdk
output=$1 name=$2
suite=trixie
target=wasm32-wasip1
packages=base-files,dash,coreutils,rustc,cargo,libstd-rust-dev-wasm32,lld,clang,wasi-libc,libclang-rt-19-dev-wasm32

say() { printf 'compilers: %s\n' "$*" >&2; }

# The first mirror of the Debian archive that apt knows, whatever release it is used for.
mirror() {
    apt-get update --print-uris | sed -n "s|^'\(.*\)/dists/\([^/]*\)/InRelease'.*|\1 \2|p" |
        awk '$1 !~ /security|ubuntu/ { print $1; exit }'
}

uri=${MECAPY_DEBIAN_MIRROR:-$(mirror)}
[ -n "$uri" ] || { say "apt knows no Debian mirror: set MECAPY_DEBIAN_MIRROR to the URL of one"; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
root=$work/root image=$work/image

say "unpacking the compilers"
printf 'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s %s main\n' "$uri" "$suite" >"$work/sources.list"
SOURCE_DATE_EPOCH=0 mmdebstrap --quiet --variant=extract --include="$packages" \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/info/*' \
    "$suite" "$root" "$work/sources.list" >&2

say "building the SDK for Rust"
mkdir -p "$root/build" "$root/dev"
[ -e "$root/dev/null" ] || mknod -m 666 "$root/dev/null" c 1 3
cp -R "$sdk/rust" "$root/build/rust"
rm -rf "$root/build/rust/target"
# The examples' projects are not in the image, and not among its members.
sed -i 's|^members = .*|members = ["mecapy-task", "mecapy-task-macros"]|' "$root/build/rust/Cargo.toml"
cargo vendor --quiet --manifest-path "$root/build/rust/Cargo.toml" "$root/build/vendor" >/dev/null
mkdir "$root/build/rust/.cargo"
printf '[source.crates-io]\nreplace-with = "vendored"\n[source.vendored]\ndirectory = "/build/vendor"\n' \
    >"$root/build/rust/.cargo/config.toml"
# Not optimised at link time, which would take longer for each task than it is worth.
chroot "$root" /usr/bin/env -i PATH=/usr/bin:/bin HOME=/build SOURCE_DATE_EPOCH=0 CARGO_PROFILE_RELEASE_LTO=off \
    CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_LINKER=gcc \
    /bin/sh -c "cd /build/rust && cargo build --quiet --offline --release --target $target --package mecapy-task" >&2
libraries=$root/opt/mecapy/rust
mkdir -p "$libraries" "$root/opt/mecapy/c" "$root/work"
for library in "$root/build/rust/target/$target/release/deps"/*.rlib "$root/build/rust/target/release/deps"/*.so; do
    # Without what tells builds apart.
    stem=$(basename "$library")
    cp "$library" "$libraries/${stem%-*}.${stem##*.}"
done
cp "$sdk/c/mecapy.h" "$sdk/c/mecapy_linalg.h" "$root/opt/mecapy/c/"

say "packing what compilers need"
list=$work/list
loader=/lib64/ld-linux-x86-64.so.2
programs=(/usr/bin/rustc /usr/lib/llvm-19/bin/clang /usr/lib/llvm-19/bin/lld)
{
    printf '%s\n' bin lib lib64 opt work usr/bin/rustc usr/bin/clang usr/bin/wasm-ld usr/bin/wasm-ld-19 \
        usr/lib/llvm-19/bin/clang usr/lib/llvm-19/bin/lld usr/lib/llvm-19/bin/wasm-ld usr/lib/llvm-19/lib/clang \
        usr/lib/clang "usr/lib/x86_64-linux-gnu/${loader##*/}" usr/lib/wasm32-wasi usr/include/wasm32-wasi "usr/lib/rustlib/$target" usr/lib64
    for program in "${programs[@]}" "${libraries#"$root"}"/libserde_derive.so; do
        chroot "$root" "$loader" --list "$program"
    done | sed -n 's|.* => \(/[^ ]*\) .*|\1|p' | sort -u | while read -r library; do
        # A link and what it leads to, neither through a folder that is itself a link.
        printf '%s\n' "$(realpath -s --relative-to="$root" "$(realpath "$root$(dirname "$library")")/$(basename "$library")")"
        realpath --relative-to="$root" "$root$library"
    done
} | sort -u >"$list"
mkdir "$image"
tar --create --file - --directory "$root" --files-from "$list" | tar --extract --file - --directory "$image"
# Sorted, and of one time, so that the same packages give the same image.
tar --create --file "$work/layer.tar" --directory "$image" --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner .
id=$(python3 "$here/../solvers/pack_image.py" "$work/layer.tar" "$work/image.tar" --name "$name")
mv "$work/image.tar" "$output"

version_of() { sed -n 's/^version = "\(.*\)"/\1/p' "$sdk/rust/Cargo.toml" | head -1; }
rust=$(chroot "$root" /usr/bin/rustc --version | cut -d' ' -f2)
clang=$(chroot "$root" /usr/lib/llvm-19/bin/clang --version | sed -n 's/.*clang version \([0-9.]*\).*/\1/p;q')
cat <<END
[[compiler]]
language = "c"
version = "clang-$clang-sdk-$(version_of)"
title = "C17 (clang $clang)"
licence = "Apache-2.0 WITH LLVM-exception; wasi-libc: MIT"
image = "$id"
command = ["/usr/bin/clang", "--target=wasm32-wasi", "-std=c17", "-O2", "-Wall", "-Wextra", "-s", "-I/opt/mecapy/c",
    "-Wl,-z,stack-size=1048576", "-Wl,--stack-first"]
note = "with mecapy.h and mecapy_linalg.h"

[[compiler]]
language = "rust"
version = "rust-$rust-sdk-$(version_of)"
title = "Rust $rust, edition 2024"
licence = "MIT OR Apache-2.0"
image = "$id"
command = ["/usr/bin/rustc", "--edition=2024", "--crate-name=main", "--crate-type=bin", "--target=$target",
    "-Copt-level=3", "-Ccodegen-units=1", "-Cpanic=abort", "-Cstrip=symbols", "-Clinker=wasm-ld",
    "-L/opt/mecapy/rust", "--extern=mecapy_task", "--extern=serde", "--extern=serde_json"]
note = "with mecapy_task, serde and serde_json"
END
