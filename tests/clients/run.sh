#!/bin/sh
# Drives a running demo server with the clients that other people use: `tests/clients/run.sh
# [URL]`, where URL is by default http://localhost:8080. Needs Node.js 20 or later and npm; installs
# the pinned clients beside itself, generates their code from proto/, and runs every test.
set -eu

QKVM_URL="${1:-http://localhost:8080}"
export QKVM_URL
cd "$(dirname "$0")"

step() { printf '== %s\n' "$*"; }
fail() { printf 'tests/clients/run.sh: %s\n' "$*" >&2; exit 1; }

command -v node >/dev/null || fail 'Node.js is missing; install version 20 or later'
[ "$(node -p 'process.versions.node.split(".")[0]')" -ge 20 ] ||
    fail "Node.js $(node --version) is too old; version 20 or later is needed"

# npm leaves this file behind after every installation: newer than the lock means up to date.
# shellcheck disable=SC3013 # every sh here knows -nt
if [ ! node_modules/.package-lock.json -nt package-lock.json ]; then
    step 'installing the pinned clients'
    npm ci --no-progress || fail 'npm ci failed; is the network or a mirror reachable?'
    touch node_modules/.package-lock.json
fi

step 'generating their code from proto/'
npm run --silent generate

step "driving $QKVM_URL"
node -e 'fetch(process.argv[1] + "/healthz").then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))' \
    "${QKVM_URL%/}" || fail "no server answers at $QKVM_URL; start one with: quantixkvm serve --demo"
# It is made to exit: a stream that was let go may leave a connection of fetch's
# open, for which the process would wait until its time is over.
npm run --silent test
