#!/usr/bin/env bash
# Runs all tests of the workspace, once what they use is built (see `make test`). Arguments select tests.
# Tests that need PostgreSQL, Redis or S3 share one of each, which runs as long as this script does.
set -euo pipefail
cd "$(dirname "$0")/.."

# Of the tests through the binary, those whose server runs on either kind of backends: they run once with each.
on_both="tasks uploads modules auth errors limits operations preview text durability scheduling tenancy quotas webhooks sdk"
on_both="$on_both functions publishing archives packages batches batch_tables studies schedules"
on_both="$on_both workflows workflow_nodes workflow_crashes workflow_fixtures result_cache sdk_workflows"
services_pid=
status=0
# Work folders of containers are mounted, which root alone may.
containers=yes
[ "$(id -u)" = 0 ] || containers=no

# Starts what the environment does not name yet.
start_services() {
    local names=() line ready=no
    [ -n "${MECAPY_TEST_POSTGRES:-}" ] || names+=(postgres)
    [ -n "${MECAPY_TEST_REDIS:-}" ] || names+=(redis)
    [ -n "${MECAPY_TEST_S3:-}" ] || names+=(s3)
    [ "$containers" = no ] || [ -n "${MECAPY_TEST_DOCKER:-}" ] || names+=(docker)
    [ "${#names[@]}" != 0 ] || return 0
    coproc SERVICES { exec target/release/services "${names[@]}"; }
    services_pid=$SERVICES_PID services_input=${SERVICES[1]}
    while [ "$ready" = no ] && read -r line; do
        case $line in
            export\ MECAPY_TEST_*) eval "$line" ;;
            "# ready") ready=yes ;;
        esac
    done <&"${SERVICES[0]}"
    [ "$ready" = yes ] || { echo "error: the services of the tests can't be started" >&2; exit 1; }
}

# They end when their input does, so even where this script is killed.
stop_services() {
    [ -n "$services_pid" ] || return 0
    exec {services_input}>&-
    wait "$services_pid" 2>/dev/null || true
    services_pid=
}

run_tests() { # CARGO-ARGUMENT... -- SELECTION...
    local targets=()
    while [ "$1" != -- ]; do
        targets+=("$1")
        shift
    done
    shift
    if cargo nextest --version >/dev/null 2>&1; then
        local left_out=()
        [ "$containers" = yes ] || left_out=(-E 'not binary(/^(container|solvers|solver_faults|code_aster|compile)$/)')
        cargo nextest run --release --workspace --config-file .ci/nextest.toml --no-fail-fast "${targets[@]}" \
            "${left_out[@]}" "$@"
    else
        # Tests of one file share a process here: two at a time keep the timing ones honest.
        cargo test --release --workspace "${targets[@]}" --no-fail-fast -- --test-threads 2 "$@"
    fi
}

run_on_shared_backends() {
    local targets=(--test it) name
    for name in $on_both; do
        [ ! -e "tests/tests/$name.rs" ] || targets+=(--test "$name")
    done
    printf '\n   the tests of the store and through the binary again, on PostgreSQL, Redis and S3\n'
    # A selection may leave none of them.
    NEXTEST_NO_TESTS=pass MECAPY_TEST_BACKEND=shared run_tests "${targets[@]}" -- "$@"
}

tests/toolchain/services.sh
if [ "$containers" = yes ]; then
    tests/toolchain/docker.sh
else
    echo "   the tests of containers are left out: they need root" >&2
fi
tests/oidc/install.sh
tests/toolchain/suites.sh
trap stop_services EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
start_services

# A failing test shows its message; a backtrace of the test runner adds nothing.
export RUST_LIB_BACKTRACE=0
cargo test --release --workspace --doc --quiet
guest-sdk/check.sh || status=$?
MECAPY_BINARY=$PWD/target/release/mecapy guest-sdk/python/test.sh || status=$?
# The program that the tests of the compiler start: a selection of targets does not bring it.
cargo build --release --workspace --example compile_child
run_tests --lib --bins --tests -- "$@" || status=$?
run_on_shared_backends "$@" || status=$?
exit "$status"
