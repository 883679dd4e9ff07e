#!/usr/bin/env bash
# Prepares the peers, then measures and prints the table; the figures are kept in target/bench as JSON. Needs what
# `make bench` builds before. Arguments go to the bench: --no-peers, --strict (a missed target is a failure), --only with
# some of platform, functions, batches, workflows, shared, containers, inside, kernels, peers and celery, commas
# between them (`ONLY=shared,celery make bench`).
set -euo pipefail
cd "$(dirname "$0")/../.."

cargo build --quiet --release --workspace --examples
tests/toolchain/services.sh
# Root alone may start an engine and mount the work folders of containers.
if [ "$(id -u)" = 0 ] && ! tests/toolchain/docker.sh; then
    echo "   what needs a Docker engine is left out" >&2
fi
tests/bench/peers.sh
mkdir -p target/bench
exec target/release/bench --out "target/bench/$(date -u +%Y-%m-%dT%H%M%SZ).json" "$@"
