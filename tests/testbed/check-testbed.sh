#!/usr/bin/env bash
# Checks what the other tests stand on: the guest image and the private libvirtd.
# Prints a line a check with its time; ends at the first that fails.
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ROOT=$(cd "$HERE/../.." && pwd)
# shellcheck source=packaging/lib.sh
. "$ROOT/packaging/lib.sh"
extend_path

case ${1:-} in
-h | --help)
    printf 'Usage: check-testbed.sh\n\nChecks the guest image in QKVM_GUEST (default: target/testbed/guest) and\nprivate-libvirtd.sh with it. Takes about a minute.\n'
    exit 0
    ;;
esac

BOX=$HERE/private-libvirtd.sh
GUEST=${QKVM_GUEST:-$ROOT/target/testbed/guest}
WORK=$(mktemp -d /tmp/qk-XXXX)
chmod 755 "$WORK"
CHECKS=0

clean_up() {
    local name
    for name in a b; do
        if [ -d "$WORK/$name/box" ]; then "$BOX" stop "$WORK/$name" || true; fi
    done
    rm -rf "$WORK"
}
trap clean_up EXIT
explain_failures

now_ms() { date +%s%3N; }

# check WHAT COMMAND...: runs it, and prints what it showed and how long it took.
check() {
    local what=$1 began
    shift
    STEP_TITLE=$what
    began=$(now_ms)
    "$@"
    CHECKS=$((CHECKS + 1))
    printf 'ok %2d - %s (%d ms)\n' "$CHECKS" "$what" "$(($(now_ms) - began))"
}

die() { fail "check \"$STEP_TITLE\": $1" "${2:-}"; }

uri() { "$BOX" uri "$WORK/$1"; }
vsh() {
    local name=$1
    shift
    virsh -q -c "$(uri "$name")" "$@"
}

# shows PATTERN BOX COMMAND...: does virsh's answer match? (A pipe into grep -q
# would fail now and then, because virsh minds a closed pipe.)
shows() {
    local pattern=$1 answer
    shift
    answer=$(vsh "$@") && grep -q "$pattern" <<<"$answer"
}

# ------------------------------------------------------------------ guest --

same_bytes_twice() {
    mkdir -p "$WORK/guest"
    cp -r "$GUEST/debs" "$WORK/guest/debs"
    bash "$HERE/build-guest.sh" "$WORK/guest" >/dev/null 2>&1
    cmp "$GUEST/SHA256SUMS" "$WORK/guest/SHA256SUMS" ||
        die "two builds differ: $(cat "$GUEST/SHA256SUMS" "$WORK/guest/SHA256SUMS")"
    (cd "$WORK/guest" && sha256sum --quiet -c SHA256SUMS)
    rm -rf "$WORK/guest"
}

up_to_date_is_quick() {
    local began
    began=$(now_ms)
    bash "$HERE/build-guest.sh" "$GUEST" >/dev/null 2>&1
    if [ $(($(now_ms) - began)) -gt 8000 ]; then
        die "an up-to-date guest took $(($(now_ms) - began)) ms to be found so"
    fi
}

# ---------------------------------------------------------------- libvirtd --

start_two() {
    "$BOX" start "$WORK/a" >"$WORK/a.out" &
    local first=$!
    "$BOX" start "$WORK/b" >"$WORK/b.out"
    wait "$first"
    [ "$(cat "$WORK/a.out")" = "qemu:///system?socket=$WORK/a/run/libvirt/libvirt-sock" ] ||
        die "the printed URI is $(cat "$WORK/a.out")"
}

are_apart() {
    local name
    for name in a b; do
        shows '^Active: *yes' "$name" net-info default || die "network default of $name is not active"
        vsh "$name" capabilities | sed -n 's:.*<uuid>\(.*\)</uuid>.*:\1:p' >"$WORK/$name.uuid"
    done
    if cmp -s "$WORK/a.uuid" "$WORK/b.uuid"; then die "both have the host UUID $(cat "$WORK/a.uuid")"; fi
    vsh a pool-define-as default dir --target /var/lib/libvirt/images >/dev/null
    vsh a pool-start default >/dev/null
    vsh a vol-create-as default apart.qcow2 1M --format qcow2 >/dev/null
    [ -e "$WORK/a/var/lib/libvirt/images/apart.qcow2" ] || die "the pool's volume is not under $WORK/a"
    if [ -n "$(vsh b pool-list --all --name)" ]; then die "b sees the pool of a"; fi
    vsh a vol-delete apart.qcow2 --pool default >/dev/null
}

others_reach_it() {
    setpriv --reuid=nobody --clear-groups virsh -q -c "$(uri a)" uri >/dev/null
}

# guest_xml FIRMWARE-XML: a plain definition around the tiny disk.
guest_xml() {
    cat <<X
<domain type='qemu'><name>tiny</name><memory unit='MiB'>256</memory><vcpu>1</vcpu>
<os><type arch='x86_64' machine='q35'>hvm</type></os><features><acpi/></features><cpu mode='maximum'/>
<devices>
<disk type='file' device='disk'><driver name='qemu' type='qcow2'/>
<source file='/var/lib/libvirt/images/tiny.qcow2'/><target dev='vda' bus='virtio'/></disk>
<interface type='network'><source network='default'/><model type='virtio'/></interface>
<serial type='pty'><log file='/var/log/libvirt/serial.log'/></serial>
<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
<video><model type='vga'/></video>
</devices></domain>
X
}

serial_shows() { grep -q "$1" "$WORK/a/var/log/libvirt/serial.log" 2>/dev/null; }
agent_answers() { vsh a qemu-agent-command tiny '{"execute":"guest-ping"}' >/dev/null 2>&1; }
is_off() { [ "$(vsh a domstate tiny)" = "shut off" ]; }
is_running() { [ "$(vsh a domstate tiny)" = running ]; }

define_and_start() {
    cp "$GUEST/tiny.qcow2" "$WORK/a/var/lib/libvirt/images/"
    guest_xml >"$WORK/tiny.xml"
    vsh a define "$WORK/tiny.xml" >/dev/null
    vsh a start tiny >/dev/null
}

boots() { wait_until 90 serial_shows TINY-UP || die "no TINY-UP within 90 s"; }
has_lease() {
    wait_until 30 serial_shows 'DHCP eth0 192.168.122.' || die "no lease within 30 s"
    shows 192.168.122. a net-dhcp-leases default || die "libvirt knows no lease"
}
has_agent() { wait_until 30 agent_answers || die "no agent within 30 s"; }

restart_keeps_guest() {
    local before
    before=$("$BOX" pid "$WORK/a")
    "$BOX" restart "$WORK/a" >/dev/null
    if [ "$("$BOX" pid "$WORK/a")" = "$before" ]; then die "the daemon is the same process, $before"; fi
    is_running || die "the guest is $(vsh a domstate tiny)"
    agent_answers || die "the agent no longer answers"
    shows '^Active: *yes' a net-info default || die "the network is down"
}

survives_kill() {
    "$BOX" kill "$WORK/a" KILL
    restart_or_die
    is_running || die "the guest is $(vsh a domstate tiny)"
}

restart_or_die() { "$BOX" restart "$WORK/a" >/dev/null; }

hung_daemon_restarts() {
    "$BOX" kill "$WORK/a" STOP
    restart_or_die
    is_running || die "the guest is $(vsh a domstate tiny)"
}

acpi_stops_it() {
    vsh a shutdown tiny --mode acpi >/dev/null
    wait_until 15 is_off || die "still $(vsh a domstate tiny) after 15 s"
    serial_shows TINY-DOWN || die "no TINY-DOWN on the serial console"
}

stop_leaves_nothing() {
    local name path line
    for name in a b; do "$BOX" stop "$WORK/$name"; done
    if grep -q "$WORK" /proc/self/mounts; then die "mounts are left: $(grep "$WORK" /proc/self/mounts)"; fi
    for path in /proc/[0-9]*/cmdline; do
        # A zombie has no command line: what is found here lives.
        { line=$(tr '\0' ' ' <"$path"); } 2>/dev/null || continue
        case $line in
        *"$WORK/"*) die "a process is left: $path: $line" ;;
        esac
    done
    if "$BOX" pid "$WORK/a" >/dev/null 2>&1; then die "a daemon still runs"; fi
}

main() {
    check "the guest is built to the same bytes twice" same_bytes_twice
    check "a guest that is up to date is not built again" up_to_date_is_quick
    check "two private libvirtds start side by side" start_two
    check "they have their own host UUID, network and storage" are_apart
    check "another user reaches the socket from outside" others_reach_it
    check "a plain definition starts" define_and_start
    check "the guest boots from its disk and says TINY-UP" boots
    check "it gets a lease and says which" has_lease
    check "its agent answers" has_agent
    check "restarting the daemon keeps guest and network" restart_keeps_guest
    check "so does killing it" survives_kill
    check "and a hung one is replaced" hung_daemon_restarts
    check "the ACPI button stops the guest" acpi_stops_it
    check "after stop no process and no mount is left" stop_leaves_nothing
    printf 'testbed: %d checks, 0 failed\n' "$CHECKS"
}

main
