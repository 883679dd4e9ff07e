#!/usr/bin/env bash
# Puts the OpenID Connect provider of the tests into target/oidc, from the pinned packages of package-lock.json. Does
# nothing where they are there. Needs Node.js and npm.
set -euo pipefail
cd "$(dirname "$0")/../.."

folder=target/oidc
command -v npm >/dev/null || { echo "error: npm is missing: install Node.js (Debian: apt-get install nodejs npm)" >&2; exit 1; }
mkdir -p "$folder"
# Tests of several processes may ask at once.
exec 9>"$folder/lock"
flock 9
for file in provider.mjs package.json; do
    # Another test may be reading it: replaced in one step, and only where it changed.
    cmp -s "tests/oidc/$file" "$folder/$file" || { cp "tests/oidc/$file" "$folder/$file.new" && mv "$folder/$file.new" "$folder/$file"; }
done
if cmp -s tests/oidc/package-lock.json "$folder/installed.json"; then
    exit 0
fi
cp tests/oidc/package-lock.json "$folder"
npm ci --prefix "$folder" --ignore-scripts --omit-lockfile-registry-resolved=true --no-audit --no-fund --loglevel=error
cp tests/oidc/package-lock.json "$folder/installed.json"
