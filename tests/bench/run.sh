#!/usr/bin/env bash
# Measures speed and size against their floors on this machine and prints ours,
# the floor and the ratio; fails where a goal is missed by half again.
# `run.sh P3 P5` measures those alone. Needs root, for a libvirtd of its own.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
exec cargo test --release --locked --test bench -- "$@"
