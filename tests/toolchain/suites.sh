#!/usr/bin/env bash
# Fetches the wheels whose own tests run in the sandbox into target/suites. Nothing of them is installed.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/toolchain/packages.sh

suites=target/suites
pins=tests/toolchain/suites.txt
python=target/toolchain/bin/python3

if [ -e "$suites/pins.txt" ] && cmp -s "$pins" "$suites/pins.txt"; then
    exit 0
fi
[ -x "$python" ] || python=python3
say "fetching the suites of $pins"
rm -rf "$suites"
mkdir -p "$suites"
"$python" -m pip download --quiet --disable-pip-version-check --no-input --no-deps --require-hashes \
    --only-binary :all: --python-version 3.13 --platform manylinux_2_27_x86_64 --platform manylinux_2_28_x86_64 \
    --requirement "$pins" --dest "$suites" || fail "the wheels of $pins can't be fetched"
for name in numpy scipy; do
    mv "$suites/$name"-*.whl "$suites/$name.whl"
done
cp "$pins" "$suites/pins.txt"
