# Sourced by the scripts beside it: what they say, and how they install Debian packages.
# shellcheck shell=bash

apt_updated=no

say() { printf '   %s\n' "$*"; }
fail() { printf 'error: %s\n' "$*" >&2; exit 1; }

can_be_root() {
    [ "$(id -u)" = 0 ] || { command -v sudo >/dev/null && sudo -n true 2>/dev/null; }
}

as_root() { # COMMAND...
    if [ "$(id -u)" = 0 ]; then
        "$@"
    else
        sudo -n "$@"
    fi
}

# Installs Debian packages where that is possible without a question, else names the command.
install_packages() {
    can_be_root || fail "these packages are missing: $*. Install them with: sudo apt-get install $*"
    command -v apt-get >/dev/null || fail "these are missing and this system has no apt-get: $*"
    say "installing: $*"
    if [ "$apt_updated" = no ]; then
        as_root apt-get update -qq
        apt_updated=yes
    fi
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$@" >/dev/null
}

require() { # COMMAND PACKAGE...
    local name=$1
    shift
    command -v "$name" >/dev/null || install_packages "$@"
    command -v "$name" >/dev/null || fail "$name is still missing after installing: $*"
}
