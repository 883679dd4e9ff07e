#!/usr/bin/env bash
# Prepares what the tests of containers need: a Docker engine's programs, images of solvers in target/solvers (made from
# Debian packages and from the stand-in of Code_Aster), and the image of the compilers in target/compilers. All are kept
# until their sources change. Starts nothing.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/toolchain/packages.sh

# Asked by packages' scripts before they start a service.
start_policy=/usr/sbin/policy-rc.d
images=target/solvers
changed=no

begin_quiet() {
    changed=yes
    [ ! -e "$start_policy" ] || as_root mv "$start_policy" "$start_policy.before-mecapy-tests"
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$start_policy" >/dev/null
    as_root chmod 755 "$start_policy"
}

end_quiet() {
    [ "$changed" = yes ] || return 0
    changed=no
    as_root rm -f "$start_policy"
    [ ! -e "$start_policy.before-mecapy-tests" ] || as_root mv "$start_policy.before-mecapy-tests" "$start_policy"
}

missing=()
command -v dockerd >/dev/null || missing+=(docker.io)
command -v mmdebstrap >/dev/null || missing+=(mmdebstrap)
command -v mkfs.ext4 >/dev/null || missing+=(e2fsprogs)
command -v mount >/dev/null || missing+=(mount)
if [ "${#missing[@]}" != 0 ]; then
    trap end_quiet EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    ! can_be_root || begin_quiet
    install_packages "${missing[@]}"
    end_quiet
fi

make_image() { # FILE NAME:TAG SOURCE... -- ARGUMENT...
    local file=$images/$1 name=$2 sources=()
    shift 2
    while [ "$1" != -- ]; do
        sources+=("$1")
        shift
    done
    shift
    local wanted
    wanted=$(cat deploy/solvers/*.sh deploy/solvers/*.py "${sources[@]}" | sha256sum | cut -c1-64)
    if [ -s "$file.tar" ] && [ "$(cat "$file.key" 2>/dev/null)" = "$wanted" ]; then
        return
    fi
    say "making the image $name (Debian packages; up to a minute)"
    as_root deploy/solvers/debian_image.sh "$file.tar" "$name" "$@" >/dev/null
    echo "$wanted" >"$file.key"
}

mkdir -p "$images"
make_image calculix mecapy/calculix:2.20 -- --package calculix-ccx \
    --env LD_LIBRARY_PATH=/usr/lib/x86_64-linux-gnu/blas:/usr/lib/x86_64-linux-gnu/lapack
stand_in=fixtures/solvers/code_aster/stand-in/run_aster
make_image stand-in mecapy/code-aster-stand-in:1 "$stand_in" -- --file "$stand_in=/usr/bin/run_aster"
compilers=target/compilers
wanted=$(git ls-files -z deploy/compilers deploy/solvers/pack_image.py guest-sdk/rust guest-sdk/c/*.h |
    xargs -0 sha256sum | sha256sum | cut -c1-64)
if [ ! -s "$compilers/compilers.tar" ] || [ "$(cat "$compilers/compilers.key" 2>/dev/null)" != "$wanted" ]; then
    say "making the image mecapy/compilers:1 (Debian packages and the SDKs; two or three minutes)"
    mkdir -p "$compilers"
    as_root env PATH="$PATH" HOME="$HOME" deploy/compilers/compilers_image.sh "$compilers/compilers.tar" \
        mecapy/compilers:1 >"$compilers/compilers.toml"
    echo "$wanted" >"$compilers/compilers.key"
fi
say "$(dockerd --version | cut -d, -f1), images $(ls "$images"/*.tar | xargs -n 1 basename -s .tar | tr '\n' ' ')"
