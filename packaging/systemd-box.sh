#!/usr/bin/env bash
# A Debian machine of its own in namespaces of its own: its systemd is PID 1
# there, with a network, a /dev and a process table that nothing else sees. For
# tests of what is installed, on machines that must not be touched by it.
#
# It is no guest: it has this machine's kernel, and root inside is root. Nothing
# is to be run in it that would not be run here.
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
SELF=$HERE/systemd-box.sh
# shellcheck source=packaging/lib.sh
. "$HERE/lib.sh"
extend_path

# What the box calls itself and how it is reached, from inside alone.
ADDRESS=192.0.2.10

usage() {
    cat <<'H'
Usage: systemd-box.sh ACTION DIR [ARGUMENT...]

  start DIR        boot the Debian in DIR/root, which has systemd installed;
                   returns when the boot is over. DIR/archives, where it exists,
                   is where its apt keeps packages
  exec DIR CMD...  run CMD inside
  apt DIR CMD...   the same on this machine's network: the box's own leads nowhere
  net DIR CMD...   run this machine's CMD on the box's network
  stop DIR         end it and all in it; files stay
H
}

open_box() {
    DIR=$(cd "$1" 2>/dev/null && pwd) || fail "there is no directory $1." "put a Debian root into $1/root."
    ROOT_DIR=$DIR/root
    STATE=$DIR/state
    CGROUP=qk-box-$(cksum <<<"$DIR" | cut -d' ' -f1)
}

# Prints the pid of the box's systemd if it is alive.
init_pid() {
    local pid started
    [ -r "$STATE/init" ] || return 1
    read -r pid started <"$STATE/init" || return 1
    [ "$(start_time "$pid" || true)" = "$started" ] || return 1
    printf '%s' "$pid"
}
init_is_gone() { ! init_pid >/dev/null; }

need_init() {
    INIT=$(init_pid) || fail "no box runs in $DIR." "start it: $SELF start $DIR"
}

# A known environment, whatever this machine's is.
CLEAN=(env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8
    DEBIAN_FRONTEND=noninteractive)

box_exec() { need_init && nsenter -t "$INIT" -m -n -u -i -p -C -r -w -- "${CLEAN[@]}" "$@"; }
box_apt() { need_init && nsenter -t "$INIT" -m -u -i -p -C -r -w -- "${CLEAN[@]}" "$@"; }
box_net() { need_init && nsenter -t "$INIT" -n -- "$@"; }

# -------------------------------------------------------------- namespaces --

# A control group that is the root of what the box sees. Its mount is in the
# mount namespace of this process alone.
mount_cgroups() {
    mkdir -p "$STATE/cgroup"
    mount -t cgroup2 cgroup2 "$STATE/cgroup"
}

boot() {
    mount_cgroups
    mkdir -p "$STATE/cgroup/$CGROUP"
    echo "$$" >"$STATE/cgroup/$CGROUP/cgroup.procs"
    exec unshare -m -n -u -i -p -C -f --kill-child --propagation private "$BASH" "$SELF" init "$DIR"
}

build_dev() {
    local dev=$ROOT_DIR/dev name
    mount -t tmpfs -o mode=755,size=16m dev "$dev"
    # Without /dev/kvm: guests are emulated, everywhere alike.
    for name in null zero full random urandom tty fuse net/tun; do
        if [ -e "/dev/$name" ]; then
            mkdir -p "$(dirname "$dev/$name")"
            cp -a "/dev/$name" "$dev/$name"
        fi
    done
    mkdir -p "$dev/pts" "$dev/shm"
    mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts "$dev/pts"
    ln -s pts/ptmx "$dev/ptmx"
    ln -s /proc/self/fd "$dev/fd"
    mount -t tmpfs -o mode=1777 shm "$dev/shm"
}

# Runs as PID 1 of the box, and becomes its systemd.
init_main() {
    # The outer /proc is still mounted here, so this is the pid seen outside.
    local pid
    read -r pid _ </proc/self/stat
    printf '%s %s\n' "$pid" "$(start_time "$pid")" >"$STATE/init.new"
    ip link set lo up
    ip link add host0 type veth peer name wire0
    ip addr add "$ADDRESS/24" dev host0
    ip link set host0 up
    ip link set wire0 up
    mount --bind "$ROOT_DIR" "$ROOT_DIR"
    mount -t proc proc "$ROOT_DIR/proc"
    mount -t sysfs sysfs "$ROOT_DIR/sys"
    mount -t cgroup2 cgroup2 "$ROOT_DIR/sys/fs/cgroup"
    build_dev
    mount -t tmpfs -o mode=755 run "$ROOT_DIR/run"
    mkdir -p "$ROOT_DIR/run/lock"
    if [ -d "$DIR/archives" ]; then mount --bind "$DIR/archives" "$ROOT_DIR/var/cache/apt/archives"; fi
    mv "$STATE/init.new" "$STATE/init"
    mkdir -p "$ROOT_DIR/.outside"
    cd "$ROOT_DIR"
    pivot_root . .outside
    cd /
    umount -l /.outside
    rmdir /.outside
    exec "${CLEAN[@]}" container=systemd-box /lib/systemd/systemd --log-target=journal </dev/null >/dev/null 2>&1
}

# ----------------------------------------------------------------- actions --

has_booted() {
    local state
    state=$(box_exec systemctl is-system-running 2>/dev/null || true)
    case $state in
    running | degraded) return 0 ;;
    *) return 1 ;;
    esac
}

box_start() {
    if init_pid >/dev/null; then fail "a box runs in $DIR already." "stop it: $SELF stop $DIR"; fi
    [ -e "$ROOT_DIR/lib/systemd/systemd" ] || fail "$ROOT_DIR holds no Debian with systemd." "make one with mmdebstrap."
    mkdir -p "$STATE"
    rm -f "$STATE/init"
    (setsid unshare -m --propagation private "$BASH" "$SELF" boot "$DIR" </dev/null >"$STATE/boot.log" 2>&1 &)
    wait_until 20 init_pid >/dev/null ||
        fail "the namespaces did not come up: $(cat "$STATE/boot.log")" \
            "this needs root with the right to make namespaces and mounts (CAP_SYS_ADMIN); a container must be privileged."
    wait_until 60 has_booted ||
        fail "systemd has not booted within 60 s: $(cat "$STATE/boot.log"; box_exec journalctl -n 20 --no-pager 2>&1 || true)" \
            "look inside: $SELF exec $DIR journalctl -b"
}

remove_cgroups() {
    mount_cgroups
    if [ -d "$STATE/cgroup/$CGROUP" ]; then
        find "$STATE/cgroup/$CGROUP" -depth -type d -exec rmdir {} +
    fi
}

box_stop() {
    local init
    if init=$(init_pid); then
        kill -KILL "$init" 2>/dev/null || true
        wait_until 30 init_is_gone || fail "the box in $DIR did not end within 30 s of SIGKILL." "see: ps -o pid,stat,wchan,cmd $init"
    fi
    rm -f "$STATE/init"
    # In a mount namespace of its own, again.
    wait_until 10 unshare -m --propagation private "$BASH" "$SELF" remove-cgroups "$DIR" 2>/dev/null ||
        warn "the control group $CGROUP stays until the next boot"
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
        exec sudo "$BASH" "$SELF" "$@"
    fi
    shift
    open_box "$1"
    shift
    case $action in
    start) box_start ;;
    exec) box_exec "$@" ;;
    apt) box_apt "$@" ;;
    net) box_net "$@" ;;
    stop) box_stop ;;
    boot) boot ;;
    init) init_main ;;
    remove-cgroups) remove_cgroups ;;
    *) fail "there is no action \"$action\"." "see $SELF --help" ;;
    esac
}

main "$@"
