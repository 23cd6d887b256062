#!/usr/bin/env bash
# From a source tree to a running Quantix-KVM, on a Debian machine that has only
# Rust and Node.js. `run.sh --help` tells what it does.
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ROOT=$(cd "$HERE/.." && pwd)
# shellcheck source=packaging/lib.sh
. "$HERE/lib.sh"
extend_path

SERVICE_USER=quantixkvm
# Whose members may use the API socket.
ADMIN_GROUP=quantixkvm-admin
DATA_DIR=/var/lib/quantixkvm
RUNTIME_DIR=/run/quantixkvm
PROGRAM_DIR=/usr/local/lib/quantixkvm
BOX=$HERE/libvirtd-box.sh
BOX_DIR=/var/lib/quantixkvm-libvirt

usage() {
    cat <<H
Usage: packaging/run.sh [--demo | --stop] [--kvm] [-- FLAG...]

Without options: installs what is missing from Debian, builds the page and the
program, makes the system user "$SERVICE_USER", brings libvirt up where nothing has, and serves
on http://localhost:8080 as that user until Ctrl-C. Guests run on after that.

  --demo   no libvirt daemon, no root beyond installing the build's libraries,
           nothing kept: four VMs and three nodes on libvirt's test driver
  --stop   shut the guests down and end the libvirt that this script started
           (a libvirt that the machine runs by itself is left alone)
  --kvm    where this script starts libvirt: let guests use /dev/kvm. Without
           it they are emulated, because a machine without an init of its own
           often has a /dev/kvm that cannot be used
  FLAG...  handed to \`quantixkvm serve\`, such as --listen 127.0.0.1:8090

Environment: QKVM_PROFILE=debug builds faster and runs slower;
QKVM_HOST_NET=1 lets the started libvirt share the machine's network, instead of
one of its own that reaches guests only; CARGO_TARGET_DIR as for cargo.

Kept: state in $DATA_DIR, the program in $PROGRAM_DIR, and of a libvirt started
here its settings in $BOX_DIR.
H
}

# ----------------------------------------------------------------- program --

# Puts the program where its user can read it: a source tree often lies in a
# home that is closed to others.
install_program() {
    as_root install -d -m 755 "$PROGRAM_DIR"
    as_root install -m 755 "$BUILT" "$PROGRAM_DIR/quantixkvm"
    PROGRAM=$PROGRAM_DIR/quantixkvm
}

# -------------------------------------------------------------------- user --

make_user() {
    step "The system user $SERVICE_USER" "make it by hand: useradd --system --user-group $SERVICE_USER"
    if id "$SERVICE_USER" >/dev/null 2>&1; then
        say "it exists"
    else
        as_root useradd --system --user-group --home-dir "$DATA_DIR" --no-create-home \
            --shell /usr/sbin/nologin "$SERVICE_USER"
        say "made"
    fi
}

give_user_libvirt() {
    as_root groupadd --system --force "$ADMIN_GROUP"
    as_root usermod --append --groups "libvirt,$ADMIN_GROUP" "$SERVICE_USER"
    as_root install -d -m 700 -o "$SERVICE_USER" -g "$SERVICE_USER" "$DATA_DIR"
    as_root install -d -m 755 -o "$SERVICE_USER" -g "$SERVICE_USER" "$RUNTIME_DIR"
    say "it is in the group libvirt; its state is kept in $DATA_DIR"
}

# Prints the words that run a command as the service user, with its groups and
# without a way back to root.
user_words() {
    printf '%s\n' setpriv --reuid="$SERVICE_USER" --regid="$SERVICE_USER" --init-groups \
        --no-new-privs --inh-caps=-all env HOME="$DATA_DIR" USER="$SERVICE_USER" LOGNAME="$SERVICE_USER"
}

# ----------------------------------------------------------------- libvirt --

libvirt_answers() {
    as_root timeout 10 virsh -q -c qemu:///system uri >/dev/null 2>&1
}

start_with_systemd() {
    as_root systemctl start libvirtd ||
        fail "systemd could not start libvirtd." "see why: journalctl -u libvirtd -n 50"
    wait_until 30 libvirt_answers ||
        fail "libvirtd runs but does not answer on qemu:///system." "see why: journalctl -u libvirtd -n 50"
    say "libvirtd runs under systemd"
}

start_in_box() {
    local -a options=(--host-dirs)
    say "PID 1 is not systemd and nothing answers on qemu:///system, so libvirtd is"
    say "started here, in namespaces whose init reaps what QEMU leaves behind."
    if [ "$WITH_KVM" = yes ]; then
        [ -e /dev/kvm ] || fail "--kvm was given and there is no /dev/kvm." "leave --kvm out: guests are then emulated."
        options+=(--kvm)
        say "Guests may use /dev/kvm."
    else
        say "It sees no /dev/kvm: guests are emulated (--accelerator tcg), which is"
        say "slower but works anywhere. Give --kvm if this machine's KVM is good."
    fi
    as_root env QKVM_HOST_NET="${QKVM_HOST_NET:-}" "$BASH" "$BOX" start "$BOX_DIR" "${options[@]}"
}

box_runs() { [ -e "$BOX_DIR/box/init" ] && as_root "$BASH" "$BOX" pid "$BOX_DIR" >/dev/null 2>&1; }

# Where the default network is defined but down, guests with a NIC cannot start.
start_default_network() {
    local info
    info=$(as_root virsh -q -c qemu:///system net-info default 2>/dev/null || true)
    if grep -q '^Active: *no' <<<"$info"; then
        as_root virsh -q -c qemu:///system net-autostart default >/dev/null || true
        as_root virsh -q -c qemu:///system net-start default >/dev/null ||
            warn "the network \"default\" did not start; guests attached to it will not either. Try: virsh -c qemu:///system net-start default"
    fi
}

bring_libvirt_up() {
    step "libvirt" "start libvirtd by hand and run this again."
    ACCELERATOR=auto
    if libvirt_answers; then
        say "it answers already on qemu:///system"
    elif have_systemd; then
        start_with_systemd
    else
        start_in_box
    fi
    if box_runs && [ ! -e "$BOX_DIR/box/kvm" ]; then ACCELERATOR=tcg; fi
    start_default_network
    local -a as_user
    mapfile -t as_user < <(user_words)
    as_root "${as_user[@]}" timeout 10 virsh -q -c qemu:///system uri >/dev/null ||
        fail "the user $SERVICE_USER may not talk to libvirt on qemu:///system." \
            "look at unix_sock_group and auth_unix_rw in /etc/libvirt/libvirtd.conf, and at: ls -l /run/libvirt/libvirt-sock"
}

# ------------------------------------------------------------------- serve --

announce() {
    local address=http://localhost:8080 flag previous=""
    for flag in "$@"; do
        if [ "$previous" = --listen ]; then
            case $flag in
            127.* | localhost:* | '[::1]:'*) address=http://$flag ;;
            *) address=https://$flag ;;
            esac
        fi
        previous=$flag
    done
    say "The page: $address"
    say "The API, for instance, as root of this host:"
    say "curl -X POST $address/Quantixkvm.compute.v1.VMService/ListVMs -H 'Content-Type: application/json' -d '{}'"
}

# What a browser needs, which a demonstration does not.
announce_sign_in() {
    say "A browser asks for the set-up code, once. This prints it:"
    say "sudo $PROGRAM setup-code"
}

# Replaces this script by the server, as the service user. A user who had to
# ask sudo for the rest keeps his own QUANTIXKVM_* settings.
serve_as_service_user() {
    local -a as_user
    mapfile -t as_user < <(user_words)
    cd /
    if [ "$(id -u)" -eq 0 ]; then
        exec "${as_user[@]}" "$PROGRAM" serve "$@"
    fi
    local kept
    kept=$(compgen -v QUANTIXKVM_ | paste -sd, - || true)
    exec sudo --preserve-env="$kept" "${as_user[@]}" "$PROGRAM" serve "$@"
}

run_demo() {
    install_build_packages
    build_web_ui "$ROOT"
    build_program "$ROOT"
    if [ "$(id -u)" -eq 0 ]; then
        make_user
        install_program
        step "Serving the demo as $SERVICE_USER; Ctrl-C ends it, and nothing is kept"
        announce "$@"
        serve_as_service_user --demo "$@"
    fi
    step "Serving the demo as $(id -un); Ctrl-C ends it, and nothing is kept"
    announce "$@"
    exec "$BUILT" serve --demo "$@"
}

run_host() {
    install_build_packages "${HOST_PACKAGES[@]}"
    build_web_ui "$ROOT"
    build_program "$ROOT"
    make_user
    give_user_libvirt
    install_program
    bring_libvirt_up
    step "Serving as $SERVICE_USER"
    say "Ctrl-C ends the server; guests and libvirt run on."
    if box_runs; then say "To end those too: packaging/run.sh --stop"; fi
    announce "$@"
    announce_sign_in
    serve_as_service_user --data-dir "$DATA_DIR" --libvirt-uri qemu:///system --accelerator "$ACCELERATOR" "$@"
}

# -------------------------------------------------------------------- stop --

running_guests() { as_root virsh -q -c qemu:///system list --name 2>/dev/null | grep -v '^$' || true; }
no_guest_runs() { [ -z "$(running_guests)" ]; }

stop_everything() {
    step "Stopping the libvirt that this script started" "end it by hand: $BOX stop $BOX_DIR"
    if ! box_runs; then
        say "there is none; a libvirt that the machine runs by itself is left alone"
        return 0
    fi
    local guest
    while read -r guest; do
        [ -n "$guest" ] || continue
        say "shutting down $guest"
        as_root virsh -q -c qemu:///system shutdown "$guest" --mode acpi >/dev/null || true
    done < <(running_guests)
    if ! wait_until 60 no_guest_runs; then
        warn "still running after 60 s, and powered off now: $(running_guests | paste -sd' ' -)"
    fi
    as_root "$BASH" "$BOX" stop "$BOX_DIR"
    say "stopped; definitions and disks are kept"
}

main() {
    local mode=host
    WITH_KVM=no
    while [ "$#" -gt 0 ]; do
        case $1 in
        -h | --help) usage && exit 0 ;;
        --demo) mode=demo ;;
        --stop) mode=stop ;;
        --kvm) WITH_KVM=yes ;;
        --) shift && break ;;
        *) usage >&2 && fail "there is no option \"$1\"." "flags of the server go after --" ;;
        esac
        shift
    done
    explain_failures
    case $mode in
    host) run_host "$@" ;;
    demo) run_demo "$@" ;;
    stop) stop_everything ;;
    esac
}

main "$@"
