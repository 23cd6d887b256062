#!/usr/bin/env bash
# Builds the tiny Linux guest of the tests from Debian packages: a cloud kernel,
# busybox, the guest agent. Needs no root, no mount and no download but of the
# packages, takes seconds, and gives the same bytes each time for the same
# packages.
#
# What the guest does, for tests to wait on (all on the serial console):
#   TINY-UP <uptime>       the boot is over
#   DHCP <nic> <address>   a lease came
#   TINY-DOWN              it is going down (ACPI button, agent, or poweroff)
# It runs qemu-ga, and a login (root, no password) on ttyS0 and tty1; /mnt is a
# small ext4 partition that lasts, where the disk is attached. Two words on the
# kernel's command line make it a difficult guest: tiny.noagent runs no agent,
# tiny.noacpi ignores the power button.
set -euo pipefail
umask 022
export LC_ALL=C.UTF-8 TZ=UTC

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ROOT=$(cd "$HERE/../.." && pwd)
# shellcheck source=packaging/lib.sh
. "$ROOT/packaging/lib.sh"
extend_path

usage() {
    cat <<'H'
Usage: build-guest.sh [--force] [OUTDIR]

Builds into OUTDIR (default: target/testbed/guest of this tree):
  vmlinuz, initrd   for direct kernel boot; command line: console=ttyS0
  tiny.qcow2        a 96 MiB disk that boots under BIOS and UEFI (no Secure Boot)
  SHA256SUMS        of the three
and prints the sums. Does nothing where they are up to date, that is, built by
this script from the package versions that Debian offers now; --force builds
anyway. Downloaded packages are kept in OUTDIR/debs.
H
}

# What the guest is made of, beside the kernel.
GUEST_PACKAGES=(busybox-static qemu-guest-agent libglib2.0-0 libnuma1 libudev1
    liburing2 libc6 libpcre2-8-0)
# What makes it.
TOOL_PACKAGES=(syslinux syslinux-common syslinux-efi mtools dosfstools kmod cpio fdisk
    e2fsprogs qemu-utils gzip)
# Loaded in this order, each after what it depends on. Those that a kernel has
# built in, or lacks, are passed over.
MODULES=(virtio_pci virtio_blk virtio_net virtio_console virtio_scsi sd_mod sr_mod
    virtio_balloon virtio_rng virtio_mem evdev button ext4 isofs vfat nls_cp437 nls_ascii
    pvpanic_pci pvpanic-mmio ata_piix ahci e1000 i6300esb tpm_tis tpm_crb)
# Every time stamp in the images; mtools takes it from the environment.
EPOCH=1700000000
export SOURCE_DATE_EPOCH=$EPOCH
DISK_MIB=96
BOOT_MIB=48
DATA_UUID=7d1f4e0a-90a6-4c39-8f6e-2f6f35f0a001

# ---------------------------------------------------------------- packages --

kernel_package() {
    apt-cache depends linux-image-cloud-amd64 2>/dev/null |
        sed -n 's/^ *Depends: \(linux-image-[0-9].*\)$/\1/p' | head -n 1
}

# Prints "name version" of what apt would download.
candidates() {
    apt-cache policy "$@" | awk '
        /^[^ ]/ { name = $1; sub(/:$/, "", name); sub(/:amd64$/, "", name) }
        /^  Candidate:/ { print name, $2 }'
}

# The state of the world that decides the images' bytes.
cache_key() {
    {
        sha256sum <"${BASH_SOURCE[0]}"
        candidates "$KERNEL_PACKAGE" "${GUEST_PACKAGES[@]}"
        dpkg-query -W -f='${Package} ${Version}\n' "${TOOL_PACKAGES[@]}"
    } | sha256sum | cut -d' ' -f1
}

is_current() {
    [ -r "$OUT/key" ] && [ "$(cat "$OUT/key")" = "$KEY" ] &&
        (cd "$OUT" && sha256sum --quiet -c SHA256SUMS >/dev/null 2>&1)
}

# Fetches one package into OUT/debs unless that very version is there. (apt
# writes the colon of an epoch as %3a, and checks what it downloads.)
fetch() {
    local name=$1 version=$2 kept
    version=${version//:/%3a}
    for kept in "$OUT/debs/${name}_${version}"_*.deb; do
        if [ -e "$kept" ]; then return 0; fi
    done
    rm -f "$OUT/debs/${name}"_*.deb
    (cd "$OUT/debs" && apt-get -q -o APT::Sandbox::User="$(id -un)" download "$name=${2}" >&2)
}

fetch_all() {
    local name version
    while read -r name version; do
        fetch "$name" "$version" || return 1
    done < <(candidates "$KERNEL_PACKAGE" "${GUEST_PACKAGES[@]}")
}

# Package lists that have aged name versions that the mirror no longer has.
fetch_what_there_is() {
    if fetch_all; then return 0; fi
    say "refreshing the package lists" >&2
    apt_get update -qq >&2
    KERNEL_PACKAGE=$(kernel_package)
    KEY=$(cache_key)
    fetch_all || fail "apt-get could not download the guest's packages." "see apt's message above; check the network and /etc/apt/sources.list."
}

unpack_all() {
    local name version deb
    while read -r name version; do
        deb=$(echo "$OUT/debs/${name}"_*.deb)
        dpkg-deb -x "$deb" "$DEBS"
    done < <(candidates "$KERNEL_PACKAGE" "${GUEST_PACKAGES[@]}")
}

# ------------------------------------------------------------------- guest --

# Prints the module files to load, dependencies first, each once.
module_files() {
    local base=$WORK/modbase name
    mkdir -p "$base/lib"
    ln -s "$DEBS/lib/modules" "$base/lib/modules"
    depmod -b "$base" "$KERNEL_VERSION"
    for name in "${MODULES[@]}"; do
        modprobe -d "$base" -S "$KERNEL_VERSION" --show-depends "$name" 2>/dev/null || true
    done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }'
}

install_modules() {
    local file
    while read -r file; do
        cp "$file" "$TREE/lib/mods/"
        basename "$file" >>"$TREE/lib/mods/order"
    done < <(module_files)
    if [ ! -s "$TREE/lib/mods/order" ]; then
        fail "no kernel module was found in $KERNEL_PACKAGE." "see whether the package's layout has changed."
    fi
}

# Copies the agent with the libraries that the packages' own loader finds for
# it, so that nothing of the building machine gets in.
install_agent() {
    local libs=lib/x86_64-linux-gnu path
    cp "$DEBS/usr/sbin/qemu-ga" "$TREE/usr/sbin/"
    local listing
    listing=$("$DEBS/$libs/ld-linux-x86-64.so.2" --inhibit-cache --library-path "$DEBS/$libs:$DEBS/usr/$libs" \
        --list "$DEBS/usr/sbin/qemu-ga")
    if grep -q 'not found' <<<"$listing"; then
        fail "qemu-ga needs libraries that no package here holds: $(grep 'not found' <<<"$listing")" \
            "add their packages to GUEST_PACKAGES in $0."
    fi
    while read -r path; do
        cp -L "$path" "$TREE/$libs/$(basename "$path")"
    done < <(grep -o "$DEBS/[^ ]*" <<<"$listing" | sort -u)
    cp -L "$DEBS/$libs/ld-linux-x86-64.so.2" "$TREE/$libs/"
    ln -s "../$libs/ld-linux-x86-64.so.2" "$TREE/lib64/ld-linux-x86-64.so.2"
}

# put PATH [MODE]: writes standard input to a file of the guest.
put() {
    mkdir -p "$(dirname "$TREE/$1")"
    cat >"$TREE/$1"
    chmod "${2:-644}" "$TREE/$1"
}

write_boot_scripts() {
    put init 755 <<'G'
#!/bin/busybox sh
/bin/busybox --install -s /bin
exec /bin/init
G
    put etc/inittab <<'G'
::sysinit:/etc/boot
ttyS0::respawn:/bin/getty -L 115200 ttyS0 vt100
tty1::respawn:/bin/getty 38400 tty1 linux
::respawn:/etc/agent
::respawn:/bin/acpid -f -c /etc/acpi -l /var/log/acpid.log
::ctrlaltdel:/sbin/down reboot
::shutdown:/etc/settle
G
    put etc/boot 755 <<'G'
#!/bin/sh
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev 2>/dev/null
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
while read -r module; do insmod "/lib/mods/$module" 2>/dev/null; done </lib/mods/order
hostname tiny
# A disk shows up a moment after its driver; a guest without one waits 0.5 s.
for _ in 1 2 3 4 5; do
    ls -d /sys/block/[vsh]d* >/dev/null 2>&1 && break
    sleep 0.1
done
# The name from a NoCloud seed, if one is inserted. It is unmounted again, so
# that its drive can be ejected.
for label in cidata CIDATA; do
    seed=$(findfs LABEL=$label 2>/dev/null) || continue
    mkdir -p /seed
    mount -o ro "$seed" /seed || continue
    name=$(sed -n 's/^local-hostname: *//p' /seed/meta-data)
    [ -n "$name" ] && hostname "$name"
    umount /seed
done
data=$(findfs LABEL=DATA 2>/dev/null) && mount "$data" /mnt
ip link set lo up
for path in /sys/class/net/*; do
    nic=${path##*/}
    [ "$nic" = lo ] && continue
    ip link set "$nic" up
    udhcpc -b -i "$nic" -s /etc/lease -F "$(hostname)" -t 30 -T 1 -A 1 -S >/dev/null 2>&1 &
done
echo "TINY-UP $(cut -d' ' -f1 /proc/uptime)" >/dev/console
echo "TINY-UP" >/dev/tty1
G
    put etc/lease 755 <<'G'
#!/bin/sh
# udhcpc's hook.
case $1 in
bound | renew)
    ip addr flush dev "$interface"
    ip addr add "$ip/${mask:-24}" dev "$interface"
    [ -n "$router" ] && ip route replace default via "${router%% *}"
    : >/etc/resolv.conf
    for server in $dns; do echo "nameserver $server" >>/etc/resolv.conf; done
    [ "$1" = bound ] && echo "DHCP $interface $ip" >/dev/console
    ;;
deconfig) ip addr flush dev "$interface" ;;
esac
exit 0
G
}

write_power_scripts() {
    put etc/settle 755 <<'G'
#!/bin/sh
sync
umount -a -r 2>/dev/null
exit 0
G
    # Straight to the kernel: init would wait for each of its children first.
    put sbin/down 755 <<'G'
#!/bin/sh
echo TINY-DOWN >/dev/console
/etc/settle
exec "$1" -f
G
    # What the agent runs: shutdown -h -P|-H|-r +0 "message". It waits for the
    # end of that to answer, so the deed follows a moment later.
    put sbin/shutdown 755 <<'G'
#!/bin/sh
case " $* " in
*" -r "*) what=reboot ;;
*" -H "*) what=halt ;;
*) what=poweroff ;;
esac
(sleep 0.2; /sbin/down "$what") >/dev/null 2>&1 &
G
    put etc/acpi/PWRF/00000080 755 <<'G'
#!/bin/sh
grep -qw tiny.noacpi /proc/cmdline || /sbin/down poweroff
G
}

write_agent_scripts() {
    # A port may be plugged later, so the links are made again on each try.
    put etc/agent 755 <<'G'
#!/bin/sh
mkdir -p /dev/virtio-ports
for port in /sys/class/virtio-ports/*; do
    name=$(cat "$port/name" 2>/dev/null)
    [ -n "$name" ] && ln -sf "../${port##*/}" "/dev/virtio-ports/$name"
done
if [ -e /dev/virtio-ports/org.qemu.guest_agent.0 ] && ! grep -qw tiny.noagent /proc/cmdline; then
    exec /usr/sbin/qemu-ga -m virtio-serial -p /dev/virtio-ports/org.qemu.guest_agent.0 -t /run -l /var/log/qga.log
fi
sleep 5
G
    # What the agent runs to set a password: chpasswd [-e], "user:secret" on
    # its standard input.
    put usr/sbin/chpasswd 755 <<'G'
#!/bin/sh
IFS=: read -r user secret
[ "$1" = -e ] || secret=$(mkpasswd -m sha512 "$secret")
sed -i "s|^$user:[^:]*:|$user:$secret:|" /etc/shadow
G
}

build_tree() {
    mkdir -p "$TREE"/{bin,sbin,lib/mods,lib/x86_64-linux-gnu,lib64,etc,proc,sys,dev,run,tmp,mnt,root} \
        "$TREE"/{var/log,var/run,usr/bin,usr/sbin}
    cp "$DEBS/bin/busybox" "$TREE/bin/"
    install_modules
    install_agent
    put etc/passwd <<<'root:x:0:0:root:/root:/bin/sh'
    put etc/shadow 600 <<<'root::1:0:99999:7:::'
    put etc/group <<<'root:x:0:'
    write_boot_scripts
    write_power_scripts
    write_agent_scripts
}

pack_initrd() {
    find "$TREE" -exec touch -h -d "@$EPOCH" {} +
    (cd "$TREE" && find . -print0 | LC_ALL=C sort -z |
        cpio --null -o -H newc --quiet --reproducible -R 0:0 | gzip -9n) >"$WORK/initrd"
    touch -d "@$EPOCH" "$WORK/initrd" "$WORK/vmlinuz"
}

# -------------------------------------------------------------------- disk --

# loader_config PREFIX: syslinux wants absolute names under UEFI.
loader_config() {
    cat <<C
SERIAL 0 115200
DEFAULT tiny
PROMPT 0
LABEL tiny
 LINUX $1vmlinuz
 INITRD $1initrd
 APPEND console=tty0 console=ttyS0 net.ifnames=0 panic=0 quiet
C
}

build_boot_partition() {
    local fat=$1
    export MTOOLS_SKIP_CHECK=1
    truncate -s "${BOOT_MIB}M" "$fat"
    mkfs.vfat --invariant -i 51544b56 -n BOOT "$fat" >/dev/null
    loader_config "" >"$WORK/bios.cfg"
    loader_config / >"$WORK/uefi.cfg"
    cp /usr/lib/SYSLINUX.EFI/efi64/syslinux.efi /usr/lib/syslinux/modules/efi64/ldlinux.e64 "$WORK/"
    touch -d "@$EPOCH" "$WORK"/{bios.cfg,uefi.cfg,syslinux.efi,ldlinux.e64}
    mcopy -m -i "$fat" "$WORK/vmlinuz" "$WORK/initrd" ::/
    mcopy -m -i "$fat" "$WORK/bios.cfg" ::/syslinux.cfg
    mmd -i "$fat" ::/EFI ::/EFI/BOOT
    mcopy -m -i "$fat" "$WORK/syslinux.efi" ::/EFI/BOOT/BOOTX64.EFI
    mcopy -m -i "$fat" "$WORK/ldlinux.e64" ::/EFI/BOOT/ldlinux.e64
    mcopy -m -i "$fat" "$WORK/uefi.cfg" ::/EFI/BOOT/syslinux.cfg
    syslinux --install "$fat"
}

build_data_partition() {
    truncate -s "$((DISK_MIB - BOOT_MIB - 1))M" "$1"
    E2FSPROGS_FAKE_TIME=$EPOCH mke2fs -q -t ext4 -L DATA -U "$DATA_UUID" \
        -E "hash_seed=$DATA_UUID,root_owner=0:0" "$1"
}

# 1 MiB of nothing but the boot sector and the table, then the two partitions.
build_disk() {
    local raw=$WORK/disk.raw
    build_boot_partition "$WORK/boot.img"
    build_data_partition "$WORK/data.img"
    truncate -s "${DISK_MIB}M" "$raw"
    sfdisk -q "$raw" <<P
label: dos
label-id: 0x514b564d
start=2048, size=$((BOOT_MIB * 2048)), type=c, bootable
start=$(((BOOT_MIB + 1) * 2048)), type=83
P
    dd if=/usr/lib/syslinux/mbr/mbr.bin of="$raw" bs=440 count=1 conv=notrunc status=none
    dd if="$WORK/boot.img" of="$raw" bs=1M seek=1 conv=notrunc,sparse status=none
    dd if="$WORK/data.img" of="$raw" bs=1M seek=$((BOOT_MIB + 1)) conv=notrunc,sparse status=none
    qemu-img convert -f raw -O qcow2 "$raw" "$WORK/tiny.qcow2"
}

# -------------------------------------------------------------------- main --

build() {
    WORK=$(mktemp -d "$OUT/.build.XXXXXX")
    trap 'rm -rf "$WORK"' EXIT
    DEBS=$WORK/debs TREE=$WORK/tree
    mkdir -p "$DEBS" "$OUT/debs"
    fetch_what_there_is
    unpack_all
    KERNEL_VERSION=${KERNEL_PACKAGE#linux-image-}
    cp "$DEBS/boot/vmlinuz-$KERNEL_VERSION" "$WORK/vmlinuz"
    chmod 644 "$WORK/vmlinuz"
    build_tree
    pack_initrd
    build_disk
    chmod 644 "$WORK"/{vmlinuz,initrd,tiny.qcow2}
    rm -f "$OUT/key"
    mv "$WORK"/{vmlinuz,initrd,tiny.qcow2} "$OUT/"
    (cd "$OUT" && sha256sum vmlinuz initrd tiny.qcow2 >SHA256SUMS)
    printf '%s\n' "$KEY" >"$OUT/key"
}

main() {
    local force=no out=""
    while [ "$#" -gt 0 ]; do
        case $1 in
        -h | --help) usage && exit 0 ;;
        --force) force=yes ;;
        -*) usage >&2 && exit 2 ;;
        *) out=$1 ;;
        esac
        shift
    done
    explain_failures
    mkdir -p "${out:-$ROOT/target/testbed/guest}"
    OUT=$(cd "${out:-$ROOT/target/testbed/guest}" && pwd)
    # QEMU reads the images as another user.
    chmod 755 "$OUT"
    exec 9>"$OUT/.lock"
    flock 9

    STEP_TITLE="tools"
    need_packages "${TOOL_PACKAGES[@]}" >&2
    STEP_TITLE="package lists"
    KERNEL_PACKAGE=$(kernel_package)
    if [ -z "$KERNEL_PACKAGE" ]; then
        apt_get update -qq >&2
        KERNEL_PACKAGE=$(kernel_package)
    fi
    if [ -z "$KERNEL_PACKAGE" ]; then
        fail "apt knows no linux-image-cloud-amd64." "this needs Debian's package lists for amd64: apt-get update."
    fi
    KEY=$(cache_key)
    STEP_TITLE="building the guest"
    if [ "$force" = yes ] || ! is_current; then build; fi
    cat "$OUT/SHA256SUMS"
}

main "$@"
