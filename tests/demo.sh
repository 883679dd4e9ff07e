#!/usr/bin/env bash
# The demonstration of `make demo`: starts a server on a free port with an empty data folder, computes a plane truss
# by the command line client, shows result, figure and timing, and stops the server. Usage: demo.sh BINARY
set -euo pipefail
cd "$(dirname "$0")/.."

mecapy=$1
case_folder=fixtures/engineering/truss
out=target/demo
data=$(mktemp -d "${TMPDIR:-/tmp}/mecapy-demo-XXXXXX")
ready_seconds_max=60
server=

clean_up() {
    if [ -n "$server" ] && kill -0 "$server" 2>/dev/null; then
        kill "$server"
        wait "$server" || true
    fi
    rm -rf "$data"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

answers() { python3 -c 'import sys, urllib.request; urllib.request.urlopen(sys.argv[1], timeout=1)' "$1" 2>/dev/null; }

start_server() {
    MECAPY_API_URL="http://127.0.0.1:$(free_port)"
    export MECAPY_API_URL MECAPY_DATA_DIR="$data/data"
    MECAPY_LISTEN="${MECAPY_API_URL#http://}" "$mecapy" serve >"$data/server.log" 2>&1 &
    server=$!
    local end=$((SECONDS + ready_seconds_max))
    until answers "$MECAPY_API_URL/ready"; do
        if ! kill -0 "$server" 2>/dev/null || [ "$SECONDS" -gt "$end" ]; then
            cat "$data/server.log" >&2
            echo "error: the server is not ready" >&2
            exit 1
        fi
        sleep 0.05
    done
}

timed() { # WHAT COMMAND...
    local what=$1 began ended
    shift
    began=$(date +%s%N)
    "$@"
    ended=$(date +%s%N)
    printf '   %s: %s ms, command line client included\n' "$what" "$(((ended - began) / 1000000))"
}

echo "   the server starts"
timed "server start to ready" start_server

printf '\n   a preview: %s/task.py with inputs.json, in a fresh sandbox\n\n' "$case_folder"
rm -rf "$out"
timed "preview" "$mecapy" preview "$case_folder/task.py" --inputs "@$case_folder/inputs.json" --out "$out/preview"

printf '\n   the same as a durable task\n\n'
timed "task" "$mecapy" submit "$case_folder/task.py" --inputs "@$case_folder/inputs.json" \
    --name "demo truss" --wait --out "$out/task"

printf '\n   figure: %s\n' "$(find "$PWD/$out/preview" -name '*.png' | head -n 1)"
