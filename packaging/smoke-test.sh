#!/usr/bin/env bash
# Installs, upgrades, removes and purges the Debian package in a fresh Debian of
# its own, with guests that run meanwhile, and says step by step what is so.
# `smoke-test.sh --help` tells the rest.
#
# The Debian is real but for its kernel: its own systemd starts the service by
# the installed unit, with everything that confines it, and its own libvirtd,
# polkit and dbus answer it. See systemd-box.sh.
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ROOT=$(cd "$HERE/.." && pwd)
# shellcheck source=packaging/lib.sh
. "$HERE/lib.sh"
extend_path

SUITE=bookworm
PREVIOUS=0.0.9
CACHE=${QKVM_SMOKE_DIR:-${CARGO_TARGET_DIR:-$ROOT/target}/smoke}
BOX=$HERE/systemd-box.sh
GOLDEN=$ROOT/tests/golden/store
STATE=/var/lib/quantixkvm/state.redb
BASE=http://localhost:8080
CHECKS=0
# What it ends with where this machine cannot run such a Debian at all.
CANNOT=77
SHOWN=""

usage() {
    cat <<'H'
Usage: packaging/smoke-test.sh [--suite bookworm|trixie] [DEB]

Tries DEB, or what build-deb.sh builds, in a fresh Debian of that suite, made by
mmdebstrap from the mirrors that this machine's apt uses, once: it is kept under
target/smoke. Needs root or sudo. Exits with 77 where the machine lets no second
systemd run.

Environment: QKVM_PROFILE, QKVM_PROGRAM and CARGO_TARGET_DIR as for build-deb.sh;
QKVM_SMOKE_KEEP=1 leaves the box running, to be looked at.
H
}

# ------------------------------------------------------------------ checks --

# check WHAT COMMAND...: runs it and prints what it has put into SHOWN.
check() {
    local what=$1 began
    shift
    STEP_TITLE=$what
    SHOWN=""
    began=$(date +%s%3N)
    "$@"
    CHECKS=$((CHECKS + 1))
    printf 'ok %2d - %s%s (%d ms)\n' "$CHECKS" "$what" "${SHOWN:+: $SHOWN}" "$(($(date +%s%3N) - began))"
}

die() {
    fail "check \"$STEP_TITLE\": $1
The service's last lines:
$(inside journalctl -u quantixkvm -n 15 --no-pager -o cat 2>/dev/null || true)
The last lines of apt:
$(tail -n 15 "$WORK/apt.log" 2>/dev/null || true)" "look inside with QKVM_SMOKE_KEEP=1: $BOX exec $WORK bash"
}

inside() { as_root "$BASH" "$BOX" exec "$WORK" "$@"; }
on_its_network() { as_root "$BASH" "$BOX" net "$WORK" "$@"; }

# apt as the README says it, on what lies in /packages of the box.
apt_inside() {
    as_root "$BASH" "$BOX" apt "$WORK" apt -o Dpkg::Use-Pty=0 -y --no-install-recommends "$@" >"$WORK/apt.log" 2>&1 ||
        die "apt $* failed"
}
purge() { apt_inside purge quantixkvm; }
apt_said() { grep -qF -- "$1" "$WORK/apt.log" || die "apt did not print \"$1\""; }

# shellcheck disable=SC2016 # dpkg's own
installed_version() { inside dpkg-query -W -f '${Version}' quantixkvm; }
property() { inside systemctl show -p "$1" --value quantixkvm.service; }
is_active() { [ "$(property ActiveState)" = active ]; }
is_failed() { [ "$(property ActiveState)" = failed ]; }
becomes_active() { wait_until 60 is_active || die "the service is $(property ActiveState)"; }
is_ready() { on_its_network curl -fsS -o /dev/null --max-time 5 "$BASE/readyz" 2>/dev/null; }
becomes_ready() { wait_until 60 is_ready || die "it does not say that it is ready"; }
# Not by a pipe into grep -q, which cuts the writer off and so fails.
log_has() { [[ $(inside journalctl -u quantixkvm --no-pager -o cat) == *"$1"* ]]; }

# ask METHOD BODY: root's plain curl on the host, as the documentation shows it.
ask() {
    ANSWER=$(on_its_network curl -sS --max-time 120 -X POST "$BASE/Quantixkvm.compute.v1.$1" \
        -H "Content-Type: application/json" -d "$2")
}

# so EXPRESSION: a JavaScript expression about the answer `a` that must be true.
so() {
    node -e 'const a = JSON.parse(process.argv[1]); process.exit(eval(process.argv[2]) ? 0 : 1)' "$ANSWER" "$1" ||
        die "not so: $1, in: $ANSWER"
}

# ------------------------------------------------------------- a fresh one --

# Prints the suite's lines of sources.list, on this machine's own mirrors.
sources() {
    # shellcheck disable=SC2016 # apt's own
    local site suite part format='$(SITE)|$(RELEASE)|$(ORIGIN)|$(COMPONENT)'
    while IFS='|' read -r site suite; do
        part=${suite#"$CODENAME"}
        printf 'deb %s %s%s main\n' "$site" "$SUITE" "$part"
    done < <(apt-get indextargets --format "$format" 'Identifier: Packages' |
        awk -F'|' -v codename="$CODENAME" '$3 == "Debian" && $4 == "main" && index($2, codename) == 1 { print $1 "|" $2 }' | sort -u)
}

# Prints how this machine's apt reaches its mirrors: proxies, and what it does
# not look at.
apt_settings() { apt-config dump | grep -E '^Acquire::(Check-|https?::Proxy|Retries)' || true; }

make_base() {
    local -a options=()
    local setting
    step "A Debian $SUITE" "check the network, and that apt-get works on this machine."
    if [ -s "$CACHE/$SUITE.tar" ]; then
        say "kept from an earlier run: $CACHE/$SUITE.tar"
        return 0
    fi
    # shellcheck source=/dev/null
    CODENAME=$(. /etc/os-release && printf '%s' "$VERSION_CODENAME")
    while read -r setting; do options+=("--aptopt=$setting"); done < <(apt_settings)
    sources >"$CACHE/$SUITE.list"
    as_root mmdebstrap --quiet --variant=minbase --include=systemd,systemd-sysv,dbus "${options[@]}" \
        --keyring=/usr/share/keyrings/debian-archive-keyring.gpg "$SUITE" "$CACHE/$SUITE.new.tar" - <"$CACHE/$SUITE.list"
    mv "$CACHE/$SUITE.new.tar" "$CACHE/$SUITE.tar"
    say "made by mmdebstrap, and kept for later runs: $CACHE/$SUITE.tar"
}

end_box() {
    if [ -n "${QKVM_SMOKE_KEEP:-}" ]; then
        say "the box is left running: $BOX exec $WORK bash, and $BOX stop $WORK"
        return 0
    fi
    as_root "$BASH" "$BOX" stop "$WORK" || true
    as_root rm -rf "$WORK"
}

boot_box() {
    WORK=$CACHE/box-$SUITE
    if [ -d "$WORK" ]; then
        as_root "$BASH" "$BOX" stop "$WORK"
        as_root rm -rf "$WORK"
    fi
    mkdir -p "$WORK/root" "$CACHE/archives-$SUITE"
    ln -s "$CACHE/archives-$SUITE" "$WORK/archives"
    trap end_box EXIT
    as_root tar -C "$WORK/root" -xf "$CACHE/$SUITE.tar"
    as_root mkdir "$WORK/root/packages"
    as_root cp "$DEB" "$PREVIOUS_DEB" "$WORK/root/packages/"
    as_root cp "$GOLDEN"/*.redb "$WORK/root/packages/"
    as_root cp /etc/resolv.conf "$WORK/root/etc/resolv.conf"
    echo hypervisor | as_root tee "$WORK/root/etc/hostname" >/dev/null
    printf '127.0.0.1 localhost\n::1 localhost\n127.0.1.1 hypervisor\n' | as_root tee "$WORK/root/etc/hosts" >/dev/null
    echo 'Binary::apt::APT::Keep-Downloaded-Packages "true";' | as_root tee "$WORK/root/etc/apt/apt.conf.d/90keep" >/dev/null
    if ! as_root "$BASH" "$BOX" start "$WORK"; then
        warn "this machine lets no second systemd run, in namespaces and a control group of its own: nothing can be tried here"
        exit "$CANNOT"
    fi
    apt_inside update
    SHOWN=$(inside cat /etc/debian_version)
}

# ------------------------------------------------------------ on a busy port --

installs_on_a_busy_port() {
    on_its_network node -e 'require("net").createServer().listen(8080, "0.0.0.0", () => console.log(process.pid))' >"$WORK/holder.out" || true &
    wait_until 10 test -s "$WORK/holder.out" || die "the port cannot be held"
    HOLDER=$(cat "$WORK/holder.out")
    apt_inside install "./packages/${DEB##*/}"
    wait_until 60 is_failed || die "the service is $(property ActiveState)"
    wait_until 10 log_has "cannot listen on 0.0.0.0:8080" || die "the log does not name the address"
    apt_said "the service did not start"
    apt_said "cannot listen on 0.0.0.0:8080"
    SHOWN=$(inside journalctl -u quantixkvm --no-pager -o cat | grep -F 'cannot listen' | head -n 1)
}
port_is_free() { ! as_root kill -0 "$HOLDER" 2>/dev/null; }
serves_once_the_port_is_free() {
    as_root kill "$HOLDER"
    wait_until 10 port_is_free || die "the port is still held"
    inside systemctl reset-failed quantixkvm
    inside systemctl start quantixkvm || die "it does not start"
    SHOWN=$(property StatusText)
}
dependencies_are_all_there() {
    local broken
    broken=$(inside dpkg --audit)
    [ -z "$broken" ] || die "$broken"
    # What a plain `apt install` takes in besides, without fetching it.
    inside apt-get -s -y install --reinstall ovmf swtpm swtpm-tools dnsmasq-base iproute2 >"$WORK/apt.log" 2>&1 ||
        die "what is recommended cannot be installed beside it"
}
guests_end_with_the_host() {
    local action
    [ "$(inside systemctl is-enabled libvirt-guests)" = enabled ] || die "libvirt-guests is not enabled"
    # What its script makes of its own defaults and of the administrator's file.
    # shellcheck disable=SC2016 # for the shell inside
    action=$(inside sh -c 'eval "$(grep -hE "^ON_SHUTDOWN=" /usr/lib/libvirt/libvirt-guests.sh /usr/libexec/libvirt-guests.sh 2>/dev/null)"
        [ ! -f /etc/default/libvirt-guests ] || . /etc/default/libvirt-guests
        echo "$ON_SHUTDOWN"')
    [ "$action" = shutdown ] || die "libvirt-guests would do \"$action\""
    SHOWN="libvirt-guests is enabled, ON_SHUTDOWN=$action"
}

# ------------------------------------------------------------ what is left --

# Everything that is or was named after us. Journals and apt's own memory aside.
named_after_us() {
    inside find / -xdev \( -path /packages -o -path /var/log/journal -o -path /proc -o -path /tmp \) -prune -o -iname '*quantix*' -print
    inside grep -l quantixkvm /etc/passwd /etc/group /etc/shadow /etc/gshadow || true
}
nothing_is_left_by_name() {
    local left
    purge
    left=$(named_after_us)
    [ -z "$left" ] || die "after the purge there still are: $left"
}

# Paths of everything, but for what logs and caches of others add by the hour.
paths() {
    inside find / -xdev \( -path /proc -o -path /packages -o -path /tmp -o -path /var/log/journal -o -path /var/tmp \
        -o -path /var/cache/apt -o -path /var/lib/apt -o -path /var/cache/libvirt -o -path /var/cache/man \) -prune -o -print | sort
}
accounts_of_all() { inside cat /etc/passwd /etc/group /etc/shadow /etc/gshadow; }

# ---------------------------------------------------- what is not ours at all --

on_libvirt() { inside virsh -q -c qemu:///system "$@"; }
others() {
    on_libvirt dumpxml --inactive precious
    on_libvirt net-dumpxml --inactive theirs
    on_libvirt pool-dumpxml default | grep -vE '<(allocation|available)'
    on_libvirt net-list --all --name
    on_libvirt pool-list --all --name
    if have iptables-save; then on_its_network iptables-save | sed '/^#/d'; fi
}
administrator_has_things() {
    as_root tee "$WORK/root/packages/precious.xml" >/dev/null <<'X'
<domain type='qemu'><name>precious</name><memory unit='MiB'>64</memory><os><type arch='x86_64'>hvm</type></os></domain>
X
    as_root tee "$WORK/root/packages/theirs.xml" >/dev/null <<'X'
<network><name>theirs</name><bridge name='theirs0'/></network>
X
    on_libvirt define /packages/precious.xml >/dev/null
    on_libvirt net-define /packages/theirs.xml >/dev/null
    on_libvirt pool-define-as default dir --target /var/lib/libvirt/images >/dev/null
    on_libvirt pool-start default >/dev/null
    OTHERS=$(others)
    BEFORE=$(paths)
    BEFORE_ACCOUNTS=$(accounts_of_all)
    SHOWN="a VM, a network and a pool; $(wc -l <<<"$BEFORE") paths"
}
others_are_untouched() {
    diff <(printf '%s\n' "$OTHERS") <(others) >"$WORK/others.diff" || die "it changed what is not its own: $(cat "$WORK/others.diff")"
}

# --------------------------------------------------------------- the service --

installs_the_previous_version() {
    apt_inside install "./packages/${PREVIOUS_DEB##*/}"
    becomes_active
    apt_said "Quantix-KVM is running"
    apt_said "https://hypervisor:8080"
    # apt has another network there, and so other addresses.
    grep -qE '^  https://(\[[0-9a-f:]+\]|[0-9.]+):8080$' "$WORK/apt.log" || die "apt names no address to open"
    apt_said "sudo quantixkvm setup-code"
    SHOWN=$(grep -E '^  https?://' "$WORK/apt.log" | paste -sd' ' | tr -s ' ')
}
runs_as_its_unit_says() {
    local pid owner groups
    pid=$(property MainPID)
    owner=$(inside stat -c %U "/proc/$pid")
    [ "$owner" = quantixkvm ] || die "it runs as $owner"
    groups=$(inside sh -c "for g in \$(sed -n 's/^Groups://p' /proc/$pid/status); do getent group \$g | cut -d: -f1; done" | sort | paste -sd,)
    case $groups in
    *libvirt*quantixkvm-admin*) ;;
    *) die "its groups are $groups" ;;
    esac
    [ "$(inside sed -n 's/^CapBnd:\t//p' "/proc/$pid/status")" = 0000000000000000 ] || die "it may have capabilities"
    [ "$(inside sed -n 's/^Seccomp:\t//p' "/proc/$pid/status")" = 2 ] || die "its system calls are not filtered"
    [ "$(inside stat -c '%a %U:%G' /var/lib/quantixkvm)" = "700 quantixkvm:quantixkvm" ] || die "its state is open"
    [ "$(inside stat -c '%a %U:%G' /etc/quantixkvm/config.toml)" = "640 root:quantixkvm" ] || die "its settings are open"
    [ "$(inside stat -c %a /run/quantixkvm)" = 755 ] || die "/run/quantixkvm is not there"
    SHOWN="user $owner, groups $groups, no capability, system calls filtered"
}
sees_devices_and_opens_none() {
    local pid group refusal
    pid=$(property MainPID)
    inside nsenter -t "$pid" -m stat -c %n /dev/net/tun >/dev/null || die "it sees no /dev/net/tun"
    # As root, from within the service's control group: even there it is refused.
    group=$(inside sed -n 's/^0:://p' "/proc/$pid/cgroup")
    refusal=$(inside sh -c "echo \$\$ >/sys/fs/cgroup$group/cgroup.procs; head -c 1 /dev/net/tun" 2>&1 || true)
    [[ $refusal == *'Operation not permitted'* ]] || die "it may open /dev/net/tun: $refusal"
    inside nsenter -t "$pid" -m sh -c '! touch /usr/x 2>/dev/null && ! touch /home/x 2>/dev/null' || die "it sees a file system that can be written to"
}
listens_everywhere() {
    local sockets
    sockets=$(on_its_network ss -Hltn 'sport = :8080' | awk '{ print $4 }' | sort | paste -sd' ')
    case $sockets in
    *0.0.0.0:8080*\[::\]:8080*) ;;
    *) die "it listens on: $sockets" ;;
    esac
    SHOWN=$sockets
}
LAN=https://192.0.2.10:8080
# from_elsewhere URL BODY [CURL-OPTION...]: as a machine of the network asks.
from_elsewhere() {
    local url=$1 body=$2
    shift 2
    ANSWER=$(on_its_network curl -skS --max-time 30 -X POST "$url" -H 'Content-Type: application/json' -d "$body" \
        -w '\n%{http_code}' "$@")
    STATUS=${ANSWER##*$'\n'}
    ANSWER=${ANSWER%$'\n'*}
}
lets_in_who_signs_in() {
    local code token
    from_elsewhere "$LAN/Quantixkvm.compute.v1.VMService/ListVMs" '{}'
    [ "$STATUS" = 401 ] || die "a stranger is answered $STATUS: $ANSWER"
    from_elsewhere "http://192.0.2.10:8080/Quantixkvm.compute.v1.VMService/ListVMs" '{}'
    [[ $STATUS = 403 && $ANSWER == *$LAN* ]] || die "in clear a stranger is answered $STATUS: $ANSWER"
    on_its_network curl -sS -o /dev/null -w '%{http_code} %{redirect_url}' "http://192.0.2.10:8080/" | grep -qx "308 $LAN/" ||
        die "the page in clear does not lead to $LAN"
    code=$(inside cat /var/lib/quantixkvm/setup-code)
    from_elsewhere "$LAN/Quantixkvm.auth.v1.AuthService/SetUp" "{\"code\": \"$code\", \"name\": \"admin\", \"password\": \"correct horse\"}"
    so 'a.user.role === "ADMIN"'
    token=$(node -p 'JSON.parse(process.argv[1]).accessToken' "$ANSWER")
    from_elsewhere "$LAN/Quantixkvm.compute.v1.VMService/ListVMs" '{}' -H "Authorization: Bearer $token"
    [ "$STATUS" = 200 ] || die "who has signed in is answered $STATUS: $ANSWER"
    inside sh -c '! test -e /var/lib/quantixkvm/setup-code' || die "the code stays"
}

# The state of the oldest format, as of a service that was stopped for a while.
takes_up_the_oldest_state() {
    inside systemctl stop quantixkvm
    inside install -m 600 -o quantixkvm -g quantixkvm /packages/format-1.redb "$STATE"
    inside systemctl start quantixkvm || die "it does not start on it"
    becomes_ready
    ask VMService/ListVMs '{}'
    so '["web-0", "web-7", "precious"].every(name => a.vms.some(vm => vm.name === name))'
    SHOWN=$(node -p 'JSON.parse(process.argv[1]).vms.map(vm => vm.name).join(" ")' "$ANSWER")
}
makes_a_vm() {
    ask VMService/CreateVM '{"name": "smoke", "projectId": "00000000-0000-0000-0000-000000000001",
        "spec": {"cpu": {"cores": 1}, "memory": {"sizeMib": 256}, "disks": [{"sizeGib": 1}]}}'
    so 'a.name === "smoke" && a.status.state === "STOPPED"'
    VM=$(node -p 'JSON.parse(process.argv[1]).id' "$ANSWER")
    ask VMService/StartVM "{\"id\": \"$VM\"}"
    so 'a.status.state === "RUNNING"'
    QEMU=$(qemu_pid)
    DISK=$(on_libvirt domblklist "$VM" | awk '$2 ~ /^\// { print $2; exit }')
    SHOWN="QEMU is process $QEMU, its disk $DISK"
}
qemu_pid() { inside cat /run/libvirt/qemu/smoke.pid; }
vm_runs_on() {
    [ "$(qemu_pid)" = "$QEMU" ] || die "QEMU is not the process it was"
    inside test -d "/proc/$QEMU" || die "QEMU has ended"
    [ "$(on_libvirt domstate smoke)" = running ] || die "libvirt says that it is $(on_libvirt domstate smoke)"
}
vm_is_known() {
    becomes_ready
    ask VMService/GetVM "{\"id\": \"$VM\"}"
    so 'a.name === "smoke" && a.status.state === "RUNNING"'
    vm_runs_on
}
upgrades() {
    local old
    old=$(property MainPID)
    apt_inside install "./packages/${DEB##*/}"
    becomes_active
    [ "$(property MainPID)" != "$old" ] || die "the service was not restarted"
    [ "$(installed_version)" != "$PREVIOUS" ] || die "the version is the same"
    vm_is_known
    SHOWN="$PREVIOUS to $(installed_version); QEMU is still process $QEMU"
}
has_other_pid() { is_active && [ "$(property MainPID)" != "$OLD" ]; }
comes_back_after_kill() {
    OLD=$(property MainPID)
    inside sh -c "kill -KILL $OLD"
    wait_until 30 has_other_pid || die "systemd did not start it again"
    vm_is_known
}
comes_back_after_a_hang() {
    # The unit's 30 s, made short. All these starts are more than the unit allows
    # in so short a time, which is not what is tried here.
    inside sh -c 'mkdir -p /run/systemd/system/quantixkvm.service.d
        printf "[Service]\nWatchdogSec=2\n" >/run/systemd/system/quantixkvm.service.d/short.conf
        systemctl daemon-reload && systemctl reset-failed quantixkvm && systemctl restart quantixkvm' || die "it does not start"
    becomes_active
    OLD=$(property MainPID)
    inside sh -c "kill -STOP $OLD"
    wait_until 60 has_other_pid || die "systemd did not notice that it hangs"
    wait_until 10 log_has "Watchdog timeout" || die "the log does not say that it hung"
    inside sh -c 'rm -r /run/systemd/system/quantixkvm.service.d && systemctl daemon-reload &&
        systemctl reset-failed quantixkvm && systemctl restart quantixkvm' || die "it does not start with its own 30 s"
    vm_is_known
}
comes_back_after_a_boot() {
    on_libvirt destroy smoke >/dev/null
    as_root "$BASH" "$BOX" stop "$WORK"
    as_root "$BASH" "$BOX" start "$WORK"
    becomes_ready
    ask VMService/StartVM "{\"id\": \"$VM\"}"
    so 'a.status.state === "RUNNING"'
    QEMU=$(qemu_pid)
}
refuses_a_newer_state() {
    local sum restarts
    inside systemctl stop quantixkvm
    inside cp -a "$STATE" /packages/kept.redb
    inside install -m 600 -o quantixkvm -g quantixkvm /packages/format-newer.redb "$STATE"
    sum=$(inside sha256sum "$STATE")
    apt_inside install --allow-downgrades "./packages/${PREVIOUS_DEB##*/}"
    apt_said "version $PREVIOUS replaces the newer"
    wait_until 30 is_failed || die "the service is $(property ActiveState)"
    [ "$(property ExecMainStatus)" = 78 ] || die "it ended with $(property ExecMainStatus)"
    restarts=$(property NRestarts)
    [ "$restarts" = 0 ] || die "it was started again $restarts times"
    [ "$(inside sha256sum "$STATE")" = "$sum" ] || die "the file was changed"
    vm_runs_on
    SHOWN="exit code 78, not started again, the file as it was"
}
mends_the_downgrade() {
    inside cp -a /packages/kept.redb "$STATE"
    apt_inside install "./packages/${DEB##*/}"
    inside systemctl reset-failed quantixkvm
    inside systemctl start quantixkvm || die "it does not start"
    vm_is_known
}
removes() {
    apt_inside remove quantixkvm
    ! inside test -e /usr/bin/quantixkvm || die "the program is still there"
    inside test -s "$STATE" || die "the state is gone"
    inside test -s /etc/quantixkvm/config.toml || die "the settings are gone"
    ! is_active || die "the service runs"
    vm_runs_on
    SHOWN="state, settings and the running VM stay"
}
knows_it_again() {
    apt_inside install "./packages/${DEB##*/}"
    becomes_active
    vm_is_known
}

purges() {
    local left
    as_root rm -rf "$WORK/root/etc/systemd/system/quantixkvm.service.d"
    purge
    apt_said "guest kept: smoke"
    apt_said "guest kept: precious"
    apt_said "/var/lib/libvirt/images"
    vm_runs_on
    inside test -s "$DISK" || die "the disk $DISK is gone"
    left=$(named_after_us)
    [ -z "$left" ] || die "there still are: $left"
    [ "$(accounts_of_all)" = "$BEFORE_ACCOUNTS" ] || die "accounts differ: $(diff <(echo "$BEFORE_ACCOUNTS") <(accounts_of_all))"
    SHOWN="smoke runs on, its disk is there"
}

# Whatever was added or taken away between the two listings must be what a guest
# that is kept consists of.
leaves_only_guests() {
    local added gone
    added=$(comm -13 <(echo "$BEFORE") <(paths) | grep -vE '^(/etc/libvirt/qemu/smoke\.xml|/var/log/libvirt/qemu/smoke\.log|/var/lib/libvirt/images/.*|/var/lib/libvirt/qemu/.*|/var/lib/systemd/.*)$' || true)
    gone=$(comm -23 <(echo "$BEFORE") <(paths) || true)
    [ -z "$added" ] || die "these were left behind: $added"
    [ -z "$gone" ] || die "these are missing: $gone"
    SHOWN="added: $(comm -13 <(echo "$BEFORE") <(paths) | paste -sd' '); missing: none"
}

run_checks() {
    check "a fresh Debian has booted under its own systemd" boot_box
    check "it installs on a busy port; the unit says who is in the way" installs_on_a_busy_port
    check "it serves once the port is free" serves_once_the_port_is_free
    check "everything that it depends on is there, and what it recommends can be" dependencies_are_all_there
    check "guests are shut down with the host" guests_end_with_the_host
    check "a purge leaves nothing by its name" nothing_is_left_by_name
    check "an administrator has things of his own" administrator_has_things
    check "the previous version installs and says where it is" installs_the_previous_version
    check "it runs as its unit says" runs_as_its_unit_says
    check "it sees devices and opens none, and writes nowhere" sees_devices_and_opens_none
    check "it listens on every address" listens_everywhere
    check "from the network it speaks TLS alone, and to who has signed in" lets_in_who_signs_in
    check "it serves a state file of the oldest format" takes_up_the_oldest_state
    check "a VM is made and runs" makes_a_vm
    check "it upgrades, and the VM runs on" upgrades
    check "what is not its own is untouched" others_are_untouched
    check "killed, it comes back" comes_back_after_kill
    check "hung, it is noticed and comes back" comes_back_after_a_hang
    check "after a boot it serves, and the VM starts" comes_back_after_a_boot
    check "downgraded, it refuses a newer state" refuses_a_newer_state
    check "upgraded again, with its own state, all is well" mends_the_downgrade
    check "removed, it leaves state and VM" removes
    check "installed again, it knows the VM" knows_it_again
    check "purged, it leaves guests and disks and names them" purges
    check "nothing else is left, nothing else is gone" leaves_only_guests
    check "and still, what is not its own is untouched" others_are_untouched
    printf 'smoke-test %s: %d/%d\n' "$SUITE" "$CHECKS" "$CHECKS"
}

build_packages() {
    local dir=${CARGO_TARGET_DIR:-$ROOT/target}/deb
    if [ -z "$DEB" ]; then
        bash "$HERE/build-deb.sh"
        DEB=$(find "$dir" -maxdepth 1 -name 'quantixkvm_*_amd64.deb' ! -name "*_${PREVIOUS}_*" -printf '%T@ %p\n' | sort -n | tail -n 1 | cut -d' ' -f2)
    fi
    PREVIOUS_DEB=$dir/quantixkvm_${PREVIOUS}_amd64.deb
    # The same program under a lower number: what is tried is the change of packages.
    if [ ! "$PREVIOUS_DEB" -nt "$DEB" ]; then QKVM_DEB_VERSION=$PREVIOUS bash "$HERE/build-deb.sh"; fi
}

main() {
    DEB=""
    while [ "$#" -gt 0 ]; do
        case $1 in
        -h | --help) usage && exit 0 ;;
        --suite) SUITE=${2:-} && shift ;;
        -*) usage >&2 && fail "there is no option \"$1\"." "" ;;
        *) DEB=$(realpath "$1") ;;
        esac
        shift
    done
    case $SUITE in
    bookworm | trixie) ;;
    *) fail "there is no suite \"$SUITE\" here." "it can be bookworm or trixie." ;;
    esac
    explain_failures
    build_packages
    step "Packages for the test" "check the network and /etc/apt/sources.list."
    need_packages mmdebstrap debian-archive-keyring curl iproute2 iptables
    mkdir -p "$CACHE"
    make_base
    step "The package in it" "see the check's own words."
    run_checks
}

main "$@"
