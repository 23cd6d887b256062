#!/usr/bin/env bash
# A private libvirtd for a test: own directories, network, processes and host
# UUID, so that suites run side by side and never touch the machine's own.
# `private-libvirtd.sh --help` shows the actions: start, stop, restart, kill,
# exec, pid, uri. Directories should be short: /tmp/qk-XXXX.
set -euo pipefail
exec "$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/../../packaging/libvirtd-box.sh" "$@"
