#!/usr/bin/env bash
# Prepares the programs of the services that the tests start for themselves: PostgreSQL, Redis, and Node.js for an
# identity provider. Installs what is missing where it may, and says what to install where it may not. Nothing of it is
# left running: what Debian would start at once, or at the next boot, is kept from it.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/toolchain/packages.sh

postgres_minimum=13
# The identity provider's packages use what came with this version.
node_minimum=20.12
postgres_folder=/usr/lib/postgresql
# Read by the package's script, which else makes a cluster of its own and starts it.
cluster_folder=/etc/postgresql-common/createcluster.d
cluster_settings=$cluster_folder/mecapy-tests.conf
# Asked by packages' scripts before they start a service.
start_policy=/usr/sbin/policy-rc.d
changed=no

newest_postgres() {
    local program
    for program in "$postgres_folder"/*/bin/initdb; do
        [ -x "$program" ] && basename "$(dirname "$(dirname "$program")")"
    done | sort -n | tail -n 1
}

begin_quiet() {
    changed=yes
    as_root mkdir -p "$cluster_folder"
    echo "create_main_cluster = false" | as_root tee "$cluster_settings" >/dev/null
    [ ! -e "$start_policy" ] || as_root mv "$start_policy" "$start_policy.before-mecapy-tests"
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$start_policy" >/dev/null
    as_root chmod 755 "$start_policy"
}

end_quiet() {
    [ "$changed" = yes ] || return 0
    changed=no
    as_root rm -f "$cluster_settings" "$start_policy"
    [ ! -e "$start_policy.before-mecapy-tests" ] || as_root mv "$start_policy.before-mecapy-tests" "$start_policy"
}

missing=()
[ -n "$(newest_postgres)" ] || missing+=(postgresql)
command -v redis-server >/dev/null || missing+=(redis-server)
command -v node >/dev/null || missing+=(nodejs)
command -v npm >/dev/null || missing+=(npm)
# A test stops a server for a while with the program; the shell's own is of no use to it.
[ -x /bin/kill ] || [ -x /usr/bin/kill ] || missing+=(procps)

if [ "${#missing[@]}" != 0 ]; then
    if can_be_root; then
        trap end_quiet EXIT
        trap 'exit 130' INT
        trap 'exit 143' TERM
        begin_quiet
    fi
    install_packages "${missing[@]}"
    end_quiet
    if [[ " ${missing[*]} " == *" redis-server "* ]] && [ -d /run/systemd/system ]; then
        as_root systemctl disable --quiet redis-server
    fi
fi

postgres=$(newest_postgres)
[ -n "$postgres" ] || fail "there is no PostgreSQL server in $postgres_folder after installing it"
[ "$postgres" -ge "$postgres_minimum" ] ||
    fail "PostgreSQL $postgres is too old: $postgres_minimum or newer is needed in $postgres_folder"
for name in redis-server node npm; do
    command -v "$name" >/dev/null || fail "$name is still missing after installing it"
done
node=$(node --version)
printf '%s\n' "$node_minimum" "${node#v}" | sort --check=quiet --version-sort ||
    fail "Node.js $node is too old for the identity provider of the tests: install $node_minimum or newer (the distribution's may be older; its makers offer packages and archives)"
say "PostgreSQL $postgres, $(redis-server --version | sed 's/.*v=\([^ ]*\).*/Redis \1/'), Node.js $node"
