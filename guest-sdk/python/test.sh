#!/usr/bin/env bash
# Runs the tests of the guest SDK and of the client for Python. They need the built server (MECAPY_BINARY, else
# target/release/mecapy), and what requirements.txt lists, which is installed into target/python-sdk.
set -euo pipefail
cd "$(dirname "$0")"
folder=$PWD
place=$folder/../../target/python-sdk

python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "error: the tests of guest-sdk/python need Python 3.11 or later" >&2
    exit 1
}
if ! cmp -s requirements.txt "$place/requirements.txt"; then
    rm -rf "$place"
    python3 -m venv "$place"
    "$place/bin/python" -m pip install --quiet --disable-pip-version-check --no-input -r requirements.txt
    cp requirements.txt "$place/requirements.txt"
fi
for package in mecapy mecapy_client; do
    printf '   guest-sdk/python/%s\n' "$package"
    (cd "$package" && PYTHONPATH=src:. "$place/bin/python" -W error::ResourceWarning -m unittest discover -s tests -t . "$@")
done
