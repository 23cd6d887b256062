#!/usr/bin/env bash
# A libvirtd of its own in namespaces of its own, for machines and tests where
# the host's is absent or must not be touched.
#
# Why it exists: libvirt expects an init that reaps orphans and a /dev/kvm that
# QEMU may open. Where PID 1 reaps nothing, libvirtd waits up to a minute on each
# dead QEMU it probed; where /dev/kvm is there and cannot be used, it probes
# QEMU anew, for seconds, on every call. The box gives it a PID namespace whose
# init reaps, and a /dev that holds what a guest may use and nothing else.
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
SELF=$HERE/libvirtd-box.sh
# shellcheck source=packaging/lib.sh
. "$HERE/lib.sh"
extend_path

usage() {
    cat <<'H'
Usage: libvirtd-box.sh ACTION DIR [ARGUMENT...]

  start DIR [--kvm] [--host-dirs]
                     start a libvirtd whose everything lies under DIR, with the
                     network "default" running; returns when it answers and
                     prints its URI. Started already: prints the URI.
                     --kvm        let it see /dev/kvm (without: QEMU emulates)
                     --host-dirs  use the machine's own /etc, /var/lib and
                                  /run/libvirt instead, so that definitions last
                                  and plain `virsh` reaches it
  uri DIR            print the URI, for use from anywhere on this machine
  stop DIR           end the daemon, its guests and its networks; files stay
  restart DIR        restart the daemon alone; guests and networks live on
  kill DIR [SIGNAL]  send SIGNAL (default TERM) to the daemon alone
  exec DIR CMD...    run CMD inside the namespaces
  pid DIR            print the daemon's process id, as seen from outside
  stop-owned OWNER DIR...
                     stop those boxes that were started with QKVM_OWNER=OWNER

Environment of `start`:
  HUGE=1             mount hugetlbfs before the daemon starts (reserve pages with
                     /proc/sys/vm/nr_hugepages)
  QKVM_OWNER=TEXT    whose box this is, for stop-owned
  QKVM_HOST_NET=1    share the machine's network instead of a private one

DIR holds unix sockets, so its path may have at most 70 characters.
H
}

# ------------------------------------------------------------------ layout --

# Sets the paths of the box. STATE is what `start` leaves for the other actions.
open_box() {
    DIR=$1
    case $DIR in
    /*) ;;
    *) DIR=$PWD/$DIR ;;
    esac
    STATE=$DIR/box
}

is_host_dirs() { [ -e "$STATE/host-dirs" ]; }

socket_path() {
    if is_host_dirs; then
        printf '/run/libvirt/libvirt-sock'
    else
        printf '%s/run/libvirt/libvirt-sock' "$DIR"
    fi
}

box_uri() {
    if is_host_dirs; then
        printf 'qemu:///system\n'
    else
        printf 'qemu:///system?socket=%s\n' "$(socket_path)"
    fi
}

# --------------------------------------------------------------- processes --

# Prints the pid of the box's init if it is alive.
init_pid() {
    local pid started
    [ -r "$STATE/init" ] || return 1
    read -r pid started <"$STATE/init" || return 1
    [ "$(start_time "$pid" || true)" = "$started" ] || return 1
    printf '%s' "$pid"
}

# Prints the pid of the libvirtd whose parent is the box's init. (While it
# daemonizes there are others of that name, with other parents.)
daemon_pid() {
    local init path stat fields
    init=$(init_pid) || return 1
    for path in /proc/[0-9]*/stat; do
        { read -r stat <"$path"; } 2>/dev/null || continue
        case $stat in
        *"(libvirtd) "*) ;;
        *) continue ;;
        esac
        read -r -a fields <<<"${stat##*) }"
        if [ "${fields[1]}" = "$init" ] && [ "${fields[0]}" != Z ]; then
            path=${path%/stat}
            printf '%s\n' "${path#/proc/}"
            return 0
        fi
    done
    return 1
}

init_is_gone() { ! init_pid >/dev/null; }
daemon_is_gone() { ! daemon_pid >/dev/null; }

enter() {
    local init
    init=$(init_pid) || fail "no box runs in $DIR." "start it: $SELF start $DIR"
    local -a spaces=(-m -u -p)
    if [ ! -e "$STATE/host-net" ]; then spaces+=(-n); fi
    nsenter -t "$init" "${spaces[@]}" --wd=/ -- "$@"
}

# True if the daemon answers a client.
answers() {
    [ -S "$(socket_path)" ] &&
        timeout 5 virsh -q -c "$(box_uri)" uri >/dev/null 2>&1
}

# -------------------------------------------------------------- namespaces --

# Everything from here to init_main runs as PID 1 of the box.

bind_private_dirs() {
    local dir
    for dir in run/libvirt etc/libvirt var/lib/libvirt var/cache/libvirt var/log/libvirt; do
        mkdir -p "/$dir"
        mount --bind "$DIR/$dir" "/$dir"
    done
}

# A host's own configuration files belong to its administrator; these settings
# are laid over them inside the box only.
bind_config_files() {
    local name
    mkdir -p /etc/libvirt
    for name in libvirtd.conf qemu.conf; do
        [ -e "/etc/libvirt/$name" ] || : >"/etc/libvirt/$name"
        mount --bind "$STATE/$name" "/etc/libvirt/$name"
    done
}

copy_devices() {
    local target=$1 name
    shift
    for name in "$@"; do
        if [ -e "/dev/$name" ]; then
            mkdir -p "$(dirname "$target/$name")"
            cp -a "/dev/$name" "$target/$name"
        fi
    done
}

# Builds a /dev with its own terminals and without /dev/kvm, unless wanted.
build_dev() {
    local dev=$STATE/dev
    mkdir -p "$dev"
    mount -t tmpfs -o mode=755,size=16m dev "$dev"
    copy_devices "$dev" null zero full random urandom tty fuse net/tun loop-control \
        loop0 loop1 loop2 loop3 loop4 loop5 loop6 loop7
    if [ -e "$STATE/kvm" ]; then
        copy_devices "$dev" kvm
        # What udev does on a host: QEMU does not run as root there.
        chmod 666 "$dev/kvm"
    fi
    mkdir -p "$dev/pts" "$dev/shm" "$dev/mapper" "$dev/hugepages"
    mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts "$dev/pts"
    ln -s pts/ptmx "$dev/ptmx"
    ln -s /proc/self/fd "$dev/fd"
    mount -t tmpfs -o mode=1777 shm "$dev/shm"
    if [ -e "$STATE/huge" ]; then mount -t hugetlbfs hugetlbfs "$dev/hugepages"; fi
    mount --rbind "$dev" /dev
    # libvirt locks consoles by the names of their terminals, which are this box's own.
    if [ -d /run/lock ]; then mount -t tmpfs -o mode=1777,size=1m lock /run/lock; fi
}

init_main() {
    open_box "$1"
    # The outer /proc is still mounted here, so this is the pid seen outside.
    local pid
    read -r pid _ </proc/self/stat
    printf '%s %s\n' "$pid" "$(start_time "$pid")" >"$STATE/init.new"

    mount -t proc proc /proc
    if [ ! -e "$STATE/host-net" ]; then
        # /sys/class/net shows the network namespace it was mounted in.
        mount -t sysfs sysfs /sys 2>/dev/null || true
        mount -t cgroup2 cgroup2 /sys/fs/cgroup 2>/dev/null || true
        ip link set lo up
        echo 1 >/proc/sys/net/ipv4/ip_forward
    fi
    hostname "$(cat "$STATE/hostname")"
    if ! is_host_dirs; then bind_private_dirs; fi
    bind_config_files
    build_dev
    mv "$STATE/init.new" "$STATE/init"

    # From here on this process only reaps: bash collects every child that
    # falls to it. It ends by SIGKILL from outside, and all in here with it.
    exec </dev/null >/dev/null 2>&1
    while :; do
        sleep 86400 &
        wait "$!" || true
    done
}

# ------------------------------------------------------------------- files --

write_config() {
    local socket_access='unix_sock_rw_perms = "0777"'
    if is_host_dirs; then
        socket_access='unix_sock_group = "libvirt"
unix_sock_rw_perms = "0770"'
    fi
    if [ ! -s "$STATE/host-uuid" ]; then cat /proc/sys/kernel/random/uuid >"$STATE/host-uuid"; fi
    cat >"$STATE/libvirtd.conf" <<C
$socket_access
unix_sock_ro_perms = "0777"
auth_unix_ro = "none"
auth_unix_rw = "none"
host_uuid = "$(cat "$STATE/host-uuid")"
log_filters = "${QKVM_LIBVIRT_LOG:-3:*}"
log_outputs = "1:file:/var/log/libvirt/libvirtd.log"
C
    # No virtlogd, security driver, cgroup or per-guest namespace: none of them
    # can be counted on where a box is needed.
    cat >"$STATE/qemu.conf" <<'C'
stdio_handler = "file"
namespaces = [ ]
cgroup_controllers = [ ]
remember_owner = 0
C
    if ! is_host_dirs; then
        cat >>"$STATE/qemu.conf" <<'C'
security_driver = "none"
user = "root"
group = "root"
dynamic_ownership = 0
C
    fi
}

# Lays out DIR. What lives in run/ belongs to processes of an earlier box, all
# gone by now, and is cleared as a reboot would.
write_private_dirs() {
    rm -rf "$DIR/run"
    mkdir -p "$DIR/run/libvirt" "$DIR/etc/libvirt" "$DIR/var/lib/libvirt/images" \
        "$DIR/var/cache/libvirt" "$DIR/var/log/libvirt"
    if [ -d /etc/libvirt/nwfilter ] && [ ! -d "$DIR/etc/libvirt/nwfilter" ]; then
        cp -a /etc/libvirt/nwfilter "$DIR/etc/libvirt/nwfilter"
    fi
}

write_files() {
    mkdir -p "$DIR" "$STATE"
    chmod 755 "$DIR" "$STATE"
    rm -f "$STATE/init" "$STATE/kvm" "$STATE/huge" "$STATE/host-dirs" "$STATE/host-net"
    local option
    for option in "$@"; do
        case $option in
        --kvm) : >"$STATE/kvm" ;;
        --host-dirs) : >"$STATE/host-dirs" ;;
        *) fail "start does not know \"$option\"." "see $SELF --help" ;;
        esac
    done
    if [ -n "${HUGE:-}" ]; then : >"$STATE/huge"; fi
    if [ -n "${QKVM_HOST_NET:-}" ]; then : >"$STATE/host-net"; fi
    printf '%s\n' "${QKVM_OWNER:-}" >"$STATE/owner"
    if is_host_dirs; then
        hostname >"$STATE/hostname"
        # These mark "networks and guests were autostarted since boot". They
        # died with the last box, so for libvirt this is a new boot.
        find /run/libvirt -name autostarted -delete 2>/dev/null || true
    else
        basename "$DIR" | tr -cd 'A-Za-z0-9-' >"$STATE/hostname"
        write_private_dirs
    fi
    write_config
}

# ----------------------------------------------------------------- actions --

start_namespaces() {
    local -a spaces=(-m -u -p)
    if [ ! -e "$STATE/host-net" ]; then spaces+=(-n); fi
    # The double fork leaves no child to this shell; --kill-child ends the box
    # should the outer process be killed by hand.
    (setsid unshare "${spaces[@]}" -f --kill-child --propagation private \
        "$BASH" "$SELF" init "$DIR" </dev/null >"$STATE/init.log" 2>&1 9>&- &)
    wait_until 10 init_pid >/dev/null ||
        fail "the namespaces of $DIR did not come up: $(cat "$STATE/init.log")" \
            "this needs root with the right to make namespaces and mounts (CAP_SYS_ADMIN); a container must be privileged."
}

start_daemon() {
    enter libvirtd -d -p /run/libvirt/libvirtd.pid -f "$STATE/libvirtd.conf" </dev/null >"$STATE/libvirtd.out" 2>&1 9>&- ||
        fail "libvirtd ended at once: $(cat "$STATE/libvirtd.out")" "see $(daemon_log)"
    wait_until 30 answers ||
        fail "libvirtd did not answer within 30 s." "see $(daemon_log)"
}

daemon_log() {
    if is_host_dirs; then
        printf '/var/log/libvirt/libvirtd.log'
    else
        printf '%s/var/log/libvirt/libvirtd.log' "$DIR"
    fi
}

# The network has the usual addresses, which collide with nothing because the
# network namespace is the box's own. no-ping: dnsmasq otherwise waits 3 s
# for an answer from each address before it lets it.
default_network_xml() {
    cat <<'X'
<network xmlns:dnsmasq='http://libvirt.org/schemas/network/dnsmasq/1.0'>
  <name>default</name>
  <forward mode='nat'/>
  <bridge name='virbr0' stp='off' delay='0'/>
  <ip address='192.168.122.1' netmask='255.255.255.0'>
    <dhcp><range start='192.168.122.2' end='192.168.122.254'/></dhcp>
  </ip>
  <dnsmasq:options><dnsmasq:option value='no-ping'/></dnsmasq:options>
</network>
X
}

network_is_active() {
    local names
    names=$(virsh -q -c "$1" net-list --name 2>/dev/null) && grep -qx default <<<"$names"
}

# A network that cannot start is no reason to have no libvirt: guests without a
# NIC still run, and the user is told.
start_default_network() {
    local uri out
    uri=$(box_uri)
    if ! virsh -q -c "$uri" net-info default >/dev/null 2>&1; then
        default_network_xml >"$STATE/default-network.xml"
        virsh -q -c "$uri" net-define "$STATE/default-network.xml" >/dev/null
    fi
    virsh -q -c "$uri" net-autostart default >/dev/null
    if network_is_active "$uri"; then return 0; fi
    if ! out=$(virsh -q -c "$uri" net-start default 2>&1) && ! network_is_active "$uri"; then
        warn "the network \"default\" did not start: $out"
    fi
}

check_needs() {
    if [ "${#DIR}" -gt 70 ]; then
        fail "the path $DIR has ${#DIR} characters; unix sockets under it allow 70." \
            "choose a short one, such as /tmp/qk-1."
    fi
    local tool
    for tool in libvirtd virsh unshare nsenter ip qemu-system-x86_64 dnsmasq; do
        have "$tool" || fail "\`$tool\` is not installed." \
            "install it: apt-get install ${HOST_PACKAGES[*]}"
    done
}

box_start() {
    check_needs
    mkdir -p "$DIR"
    # One start at a time; the lock ends with this process. (Whatever lives on
    # is started with the descriptor closed.)
    exec 9>"$DIR/.lock"
    flock -w 60 9 || fail "another start of $DIR has been busy for a minute." "see who: fuser $DIR/.lock"
    if ! init_pid >/dev/null; then
        write_files "$@"
        start_namespaces
    fi
    if ! answers; then
        start_daemon
        start_default_network
    fi
    box_uri
}

# Says whether any process is left in the PID namespace of the given init.
box_stop() {
    local init
    if init=$(init_pid); then
        kill -KILL "$init" 2>/dev/null || true
        wait_until 30 init_is_gone ||
            fail "the box in $DIR did not end within 30 s of SIGKILL (init $init)." \
                "a process in it hangs in the kernel; see \`ps -o pid,stat,wchan,cmd\`."
    fi
    rm -f "$STATE/init"
}

box_restart() {
    local pid
    if pid=$(daemon_pid); then
        kill -TERM "$pid" 2>/dev/null || true
        kill -CONT "$pid" 2>/dev/null || true
        if ! wait_until 10 daemon_is_gone; then
            kill -KILL "$pid" 2>/dev/null || true
            wait_until 10 daemon_is_gone || fail "libvirtd (pid $pid) cannot be ended." ""
        fi
    fi
    start_daemon
    box_uri
}

box_kill() {
    local pid
    pid=$(daemon_pid) || fail "no libvirtd runs in $DIR." "start it: $SELF start $DIR"
    kill -s "${1:-TERM}" "$pid"
}

stop_owned() {
    local owner=$1 dir
    shift
    for dir in "$@"; do
        [ -r "$dir/box/owner" ] || continue
        if [ "$(cat "$dir/box/owner")" = "$owner" ]; then
            open_box "$dir"
            box_stop
            rm -rf "$DIR"
        fi
    done
}

main() {
    local action=${1:-}
    case $action in
    "" | -h | --help | help) usage && exit 0 ;;
    esac
    if [ "$#" -lt 2 ]; then
        usage >&2
        exit 2
    fi
    if [ "$(id -u)" -ne 0 ]; then
        have sudo || fail "this needs root, for namespaces and mounts." "run it as root, or install sudo."
        exec sudo --preserve-env=HUGE,QKVM_OWNER,QKVM_HOST_NET,QKVM_LIBVIRT_LOG "$BASH" "$SELF" "$@"
    fi
    shift
    if [ "$action" = stop-owned ]; then
        stop_owned "$@"
        return
    fi
    open_box "$1"
    shift
    case $action in
    start) box_start "$@" ;;
    uri) box_uri ;;
    stop) box_stop ;;
    restart) box_restart ;;
    kill) box_kill "$@" ;;
    exec) enter "$@" ;;
    pid) daemon_pid || fail "no libvirtd runs in $DIR." "start it: $SELF start $DIR" ;;
    init) init_main "$DIR" ;;
    *) fail "there is no action \"$action\"." "see $SELF --help" ;;
    esac
}

main "$@"
