#!/usr/bin/env bash
# Runs packaging/run.sh as a newcomer does, and sends it the very requests that
# the documentation shows: first the demo, then the real thing on real libvirt.
#
# All in namespaces of its own, with an empty directory in place of each one that
# run.sh writes to: port 8080 is free there, and neither this machine's libvirt
# nor a server's state is touched. The system user is made for real.
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ROOT=$(cd "$HERE/../.." && pwd)
SELF=$HERE/check-packaging.sh
# shellcheck source=packaging/lib.sh
. "$ROOT/packaging/lib.sh"
extend_path

# What run.sh, libvirt and the program write to.
PRIVATE_DIRS=(/etc/libvirt /etc/quantixkvm /run/libvirt /var/lib/libvirt /var/cache/libvirt /var/log/libvirt
    /run/quantixkvm /var/lib/quantixkvm /var/lib/quantixkvm-libvirt /usr/local/lib/quantixkvm)
BASE=http://localhost:8080
CHECKS=0

usage() {
    printf 'Usage: check-packaging.sh\n\nRuns packaging/run.sh, with --demo and without, and checks its answers. Builds\nthe program unoptimised unless QKVM_PROFILE=release. Needs root or sudo.\n'
}

# ------------------------------------------------------------------ checks --

now_ms() { date +%s%3N; }

check() {
    local what=$1 began
    shift
    STEP_TITLE=$what
    began=$(now_ms)
    "$@"
    CHECKS=$((CHECKS + 1))
    printf 'ok %2d - %s (%d ms)\n' "$CHECKS" "$what" "$(($(now_ms) - began))"
}

die() {
    fail "check \"$STEP_TITLE\": $1
The last lines of run.sh:
$(tail -n 25 "$WORK/run.log" 2>/dev/null)" ""
}

# Runs run.sh in a process group of its own, as a terminal would.
start_run() {
    set -m
    bash "$ROOT/packaging/run.sh" "$@" >"$WORK/run.log" 2>&1 </dev/null &
    RUN=$!
    set +m
}

is_gone() { ! kill -0 "$RUN" 2>/dev/null; }
is_up() { command curl -fsS -o /dev/null --max-time 5 "$BASE/healthz" 2>/dev/null; }
is_ready() { as_root env curl -fsS -o /dev/null --max-time 5 "$BASE/readyz" 2>/dev/null; }
ready_or_gone() { is_ready || is_gone; }

comes_up() {
    start_run "$@"
    wait_until 180 ready_or_gone || die "not ready within 180 s"
    if is_gone; then die "run.sh has ended"; fi
}

# Is the server's process owned by the service user?
runs_as_service_user() {
    local owner
    owner=$(stat -c %U "/proc/$RUN")
    [ "$owner" = quantixkvm ] || die "the server runs as $owner"
}

ctrl_c_ends_it() {
    kill -INT -- "-$RUN"
    wait_until 15 is_gone || die "still there 15 s after Ctrl-C"
    if is_up; then die "something still answers on $BASE"; fi
}

# The server's answer to the last request: its body, and its HTTP status.
BODY=""
STATUS=""

# The four requests of the documentation, word for word.
request_list_vms() {
    curl -X POST http://localhost:8080/Quantixkvm.compute.v1.VMService/ListVMs \
        -H "Content-Type: application/json" \
        -d '{}'
}
request_create_vm() {
    curl -X POST http://localhost:8080/Quantixkvm.compute.v1.VMService/CreateVM \
        -H "Content-Type: application/json" \
        -d '{
    "name": "my-vm",
    "projectId": "00000000-0000-0000-0000-000000000001",
    "spec": {
      "cpu": {"cores": 2},
      "memory": {"sizeMib": 4096}
    }
  }'
}
request_start_vm() {
    curl -X POST http://localhost:8080/Quantixkvm.compute.v1.VMService/StartVM \
        -H "Content-Type: application/json" \
        -d '{"id": "11111111-1111-1111-1111-111111111111"}'
}
request_list_nodes() {
    curl -X POST http://localhost:8080/Quantixkvm.compute.v1.NodeService/ListNodes \
        -H "Content-Type: application/json" \
        -d '{}'
}

# curl as the requests call it, as root, which also keeps the status.
curl() {
    as_root env curl -sS --max-time 120 -w '\n%{http_code}' "$@"
}

# ask COMMAND...: fills BODY and STATUS.
ask() {
    local answer
    answer=$("$@")
    STATUS=${answer##*$'\n'}
    BODY=${answer%$'\n'*}
}

# expect STATUS EXPRESSION: the status, and a JavaScript expression about the
# answer `a` that must be true.
expect() {
    if [ "$STATUS" != "$1" ]; then die "HTTP $STATUS instead of $1: $BODY"; fi
    node -e 'const a = JSON.parse(process.argv[1]); process.exit(eval(process.argv[2]) ? 0 : 1)' "$BODY" "$2" ||
        die "not so: $2, in: $BODY"
}

call() { curl -X POST "$BASE/Quantixkvm.compute.v1.$1" -H 'Content-Type: application/json' -d "$2"; }

# The page is in the program: it is answered at its address and at a deep link,
# and so is every script and style that it names.
page_is_there() {
    local address html asset
    local -a assets
    for address in / /vms/new; do
        html=$(command curl -fsS --max-time 30 "$BASE$address")
        [[ $html == *'<script type="module"'* ]] || die "no page at $address: $html"
    done
    mapfile -t assets < <(grep -oE '(src|href)="/assets/[^"]+' <<<"$html" | cut -d'"' -f2)
    [ "${#assets[@]}" -ge 2 ] || die "the page names no scripts and styles: $html"
    for asset in "${assets[@]}"; do
        command curl -fsS -o /dev/null --max-time 30 "$BASE$asset" || die "the page names $asset, which is not there"
    done
}

demo_list_vms() {
    ask request_list_vms
    expect 200 'a.vms.map(v => v.name).sort().join() === "cache-server,db-server-01,dev-workstation,web-server-01"'
}
demo_create_vm() {
    ask request_create_vm
    expect 200 'a.name === "my-vm" && a.spec.cpu.cores === 2 && a.spec.memory.sizeMib === "4096"'
}
demo_start_vm() {
    ask request_start_vm
    expect 200 'a.name === "dev-workstation" && a.status.state === "RUNNING"'
}
demo_list_nodes() {
    ask request_list_nodes
    expect 200 'a.nodes.map(n => n.hostname).sort().join() === "hypervisor-01,hypervisor-02,hypervisor-03"'
}

real_list_vms() {
    ask request_list_vms
    expect 200 '(a.vms || []).length === 0'
}
real_create_vm() {
    ask request_create_vm
    expect 200 'a.name === "my-vm" && a.status.state === "STOPPED"'
    VM=$(node -p 'JSON.parse(process.argv[1]).id' "$BODY")
}
real_start_unknown() {
    ask request_start_vm
    expect 404 'a.code === "not_found"'
}
real_start_vm() {
    ask call VMService/StartVM "{\"id\": \"$VM\"}"
    expect 200 'a.status.state === "RUNNING"'
}
real_list_nodes() {
    ask request_list_nodes
    expect 200 'a.nodes.length === 1'
}
virsh_sees_it() {
    local state
    state=$(virsh -q -c qemu:///system domstate "$VM")
    [ "$state" = running ] || die "virsh says that $VM is $state"
}
still_known() {
    ask call VMService/GetVM "{\"id\": \"$VM\"}"
    expect 200 'a.name === "my-vm" && a.status.state === "RUNNING"'
}
delete_it() {
    ask call VMService/DeleteVM "{\"id\": \"$VM\", \"force\": true}"
    expect 200 'true'
    if virsh -q -c qemu:///system dominfo "$VM" >/dev/null 2>&1; then die "virsh still knows $VM"; fi
}
stop_stops() {
    bash "$ROOT/packaging/run.sh" --stop >"$WORK/stop.log" 2>&1 || die "run.sh --stop failed: $(cat "$WORK/stop.log")"
    if virsh -q -c qemu:///system uri >/dev/null 2>&1; then die "libvirt still answers"; fi
}
says_how_it_runs() {
    grep -q 'PID 1 is not systemd' "$WORK/run.log" || die "run.sh does not say that it starts libvirt by itself"
    grep -q -- '--accelerator tcg' "$WORK/run.log" || die "run.sh does not say that guests are emulated"
}

prints_a_code() {
    local code
    code=$(as_root /usr/local/lib/quantixkvm/quantixkvm setup-code 2>/dev/null)
    [[ $code =~ ^[A-Z0-9]{4}(-[A-Z0-9]{4}){3}$ ]] || die "it prints: $code"
}

check_demo() {
    check "run.sh --demo comes up" comes_up --demo
    check "not as root" runs_as_service_user
    check "the page is there" page_is_there
    check "ListVMs lists the demo's four VMs" demo_list_vms
    check "CreateVM creates my-vm" demo_create_vm
    check "StartVM starts the example's VM" demo_start_vm
    check "ListNodes lists the demo's three nodes" demo_list_nodes
    check "Ctrl-C ends it" ctrl_c_ends_it
}

check_host() {
    check "run.sh comes up, with libvirt" comes_up
    check "it says how guests will run" says_how_it_runs
    check "the server is not root" runs_as_service_user
    check "setup-code prints a code, by the API socket" prints_a_code
    check "ListVMs lists nothing yet" real_list_vms
    check "CreateVM creates my-vm" real_create_vm
    check "StartVM of the example's id is not_found" real_start_unknown
    check "StartVM starts my-vm on QEMU" real_start_vm
    check "virsh sees it run" virsh_sees_it
    check "ListNodes lists this host" real_list_nodes
    check "Ctrl-C ends the server" ctrl_c_ends_it
    check "and my-vm runs on" virsh_sees_it
    check "run.sh comes up again" comes_up
    check "my-vm is still known, and running" still_known
    check "DeleteVM with force deletes it" delete_it
    check "Ctrl-C ends the server again" ctrl_c_ends_it
    check "run.sh --stop ends libvirt" stop_stops
}

# --------------------------------------------------------------- isolation --

# The first process of the namespaces: what it leaves behind ends with it.
inside() {
    local dir
    WORK=$1
    mount -t sysfs sysfs /sys 2>/dev/null || true
    ip link set lo up
    mkdir -p "$WORK/dirs/etc"
    cp -a /etc/libvirt "$WORK/dirs/etc/"
    # This machine's own guests are none of the check's business.
    rm -rf "$WORK"/dirs/etc/libvirt/qemu/*.xml "$WORK/dirs/etc/libvirt/qemu/autostart"
    for dir in "${PRIVATE_DIRS[@]}"; do
        mkdir -p "$dir" "$WORK/dirs$dir"
        mount --bind "$WORK/dirs$dir" "$dir"
    done
    # run.sh is to start libvirt by itself, as where there is no systemd.
    if [ -d /run/systemd/system ]; then mount -t tmpfs none /run/systemd; fi
    check_demo
    check_host
    printf 'packaging: %d checks, 0 failed\n' "$CHECKS"
}

build_ahead() {
    need_rust
    page_is_built "$ROOT" || build_page "$ROOT"
    local -a flags=(--locked --bin quantixkvm --features embedded-page)
    if [ "$QKVM_PROFILE" = release ]; then flags+=(--release); fi
    (cd "$ROOT" && cargo build "${flags[@]}")
}

main() {
    case ${1:-} in
    -h | --help) usage && exit 0 ;;
    --inside)
        explain_failures
        inside "$2"
        exit 0
        ;;
    esac
    explain_failures
    # There is no network inside, so everything is fetched and built before.
    export QKVM_PROFILE=${QKVM_PROFILE:-debug} CARGO_NET_OFFLINE=true
    build_ahead
    WORK=$(mktemp -d /tmp/qk-XXXX)
    chmod 755 "$WORK"
    # shellcheck disable=SC2064 # this very directory
    trap "as_root rm -rf '$WORK'" EXIT
    as_root unshare -m -n -p -f --mount-proc --kill-child --propagation private "$BASH" "$SELF" --inside "$WORK"
}

main "$@"
