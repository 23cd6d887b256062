# shellcheck shell=bash
# What the project's scripts share: saying what is being done, stopping with a
# remedy, and getting packages from Debian. Sourced, never run; bash 5.
#
# A script announces each piece of work with `step TITLE REMEDY`. If a command
# then fails without having been asked about, the script ends by naming the
# step, the command and that remedy, so that nobody is left with a bare exit
# code.

STEP_COUNT=0
STEP_TITLE=""
STEP_REMEDY=""

say() { printf '    %s\n' "$*"; }

warn() { printf '    NOTE: %s\n' "$*" >&2; }

# step TITLE [REMEDY]: announces the next piece of work.
step() {
    STEP_COUNT=$((STEP_COUNT + 1))
    STEP_TITLE=$1
    STEP_REMEDY=${2:-}
    printf '\n==> %d. %s\n' "$STEP_COUNT" "$STEP_TITLE"
}

# fail WHAT REMEDY: ends the script with a sentence about each.
fail() {
    printf '\n%s: %s\n' "${0##*/}" "$1" >&2
    if [ -n "${2:-}" ]; then printf 'What to do: %s\n' "$2" >&2; fi
    trap - ERR
    exit 1
}

# Reports a command that failed unasked. Installed by explain_failures.
explain_failure() {
    local code=$1 command=$2 line=$3
    fail "step \"${STEP_TITLE:-start}\" failed: \`$command\` (line $line) ended with code $code." \
        "${STEP_REMEDY:-read the lines above; the last one before this tells what it could not do.}"
}

explain_failures() {
    set -E
    trap 'explain_failure "$?" "$BASH_COMMAND" "$LINENO"' ERR
}

have() { command -v "$1" >/dev/null 2>&1; }

# Runs a command as root, by sudo where the caller is not root.
as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif have sudo; then
        sudo "$@"
    else
        fail "\`$1\` needs root, and this is $(id -un) on a machine without sudo." \
            "run the script as root, or install sudo and allow $(id -un) to use it."
    fi
}

# Debian tools that live in sbin are wanted even where the caller's PATH leaves
# it out, and Rust's where root has borrowed a user's shell.
extend_path() {
    local dir
    for dir in "${HOME:-/root}/.cargo/bin" /usr/local/cargo/bin /usr/local/sbin /usr/sbin /sbin; do
        case ":$PATH:" in
        *":$dir:"*) ;;
        *) if [ -d "$dir" ]; then PATH="$PATH:$dir"; fi ;;
        esac
    done
    export PATH
}

# Prints those of the named packages that are not installed.
missing_packages() {
    local package status
    for package in "$@"; do
        status=$(dpkg-query -W -f='${db:Status-Abbrev}' "$package" 2>/dev/null || true)
        case $status in
        ?i*) ;;
        *) printf '%s\n' "$package" ;;
        esac
    done
}

apt_get() {
    as_root env DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 \
        apt-get -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300 "$@"
}

# Prints the extra arguments that an installation needs where the machine
# carries a qemu-utils newer than the distribution's QEMU: apt would otherwise
# give up, or remove one of the two.
qemu_utils_override() {
    local plan codename
    if [ -n "$(missing_packages qemu-utils)" ]; then return 0; fi
    if plan=$(LC_ALL=C.UTF-8 apt-get -s install -y --no-install-recommends "$@" 2>&1) &&
        ! grep -q '^Remv ' <<<"$plan"; then
        return 0
    fi
    # shellcheck source=/dev/null
    codename=$(. /etc/os-release && printf '%s' "${VERSION_CODENAME:-bookworm}")
    printf '%s\n' --allow-downgrades "qemu-utils/$codename"
}

install_from_debian() {
    local -a extra
    mapfile -t extra < <(qemu_utils_override "$@")
    apt_get install -qq -y --no-install-recommends "${extra[@]}" "$@"
}

# need_packages NAME...: installs what is missing, and only that.
need_packages() {
    local -a missing
    if ! have dpkg-query || ! have apt-get; then
        fail "this is not a Debian system: there is no apt-get." \
            "install by hand what matches these Debian packages, or use Debian 12: $*"
    fi
    mapfile -t missing < <(missing_packages "$@")
    if [ "${#missing[@]}" -eq 0 ]; then
        say "nothing to install: $*"
        return 0
    fi
    say "installing from Debian: ${missing[*]}"
    # The first try uses the package lists as they are: on most machines that
    # saves the update. A machine with none, or with old ones, gets it.
    if ! install_from_debian "${missing[@]}" >/dev/null 2>&1; then
        say "refreshing the package lists first"
        apt_get update -qq || warn "apt-get update reported errors; trying with what it got"
        install_from_debian "${missing[@]}" ||
            fail "apt-get could not install: ${missing[*]}" \
                "see apt's message above; check the network and /etc/apt/sources.list, then run this again."
    fi
    mapfile -t missing < <(missing_packages "${missing[@]}")
    if [ "${#missing[@]}" -gt 0 ]; then
        fail "apt-get ended well but these are still missing: ${missing[*]}" \
            "run \`apt-get install ${missing[*]}\` by hand and read what it says."
    fi
}

# What compiling and linking the program needs.
# shellcheck disable=SC2034 # used by those who source this
BUILD_PACKAGES=(gcc libc6-dev pkg-config libvirt-dev)

# What a host needs to run guests.
# shellcheck disable=SC2034 # used by those who source this
HOST_PACKAGES=(libvirt-daemon-system libvirt-clients qemu-system-x86 qemu-utils
    dnsmasq-base iptables iproute2 ovmf swtpm swtpm-tools)

need_rust() {
    if ! have cargo; then
        fail "cargo is not installed, or not on PATH." \
            "install Rust 1.95 or newer from https://rustup.rs and open a new shell."
    fi
}

need_node() {
    local remedy="install Node.js 20.19 or newer from https://nodejs.org."
    if ! have node || ! have npm; then fail "Node.js with npm is not installed, or not on PATH." "$remedy"; fi
    node -e 'const [major, minor] = process.versions.node.split(".").map(Number);
process.exit(major > 20 || (major === 20 && minor >= 19) ? 0 : 1);' ||
        fail "Node.js $(node --version) is too old for the page's build." "$remedy"
}

# install_npm DIR: its pinned packages, where they are not there. npm leaves a
# file behind after each installation: newer than the lock file means up to date.
install_npm() {
    need_node
    if [ "$1/node_modules/.package-lock.json" -nt "$1/package-lock.json" ]; then return 0; fi
    (cd "$1" && npm ci --no-progress --no-audit --no-fund --loglevel=error)
    touch "$1/node_modules/.package-lock.json"
}

# page_is_built ROOT: is web/dist newer than all that it is made from? The stamp
# is written after the whole build, so that one cut short does not count.
page_is_built() {
    local stamp=$1/web/node_modules/.page-built newer
    if [ ! -e "$stamp" ] || [ ! -e "$1/web/dist/index.html" ]; then return 1; fi
    newer=$(find "$1/web" "$1/proto" \( -name node_modules -o -name dist -o -path "$1/web/src/gen" \) -prune \
        -o -type f -newer "$stamp" -print -quit)
    [ -z "$newer" ]
}

# build_page ROOT: the page that the program embeds.
build_page() {
    install_npm "$1/web"
    (cd "$1/web" && npm run build)
    touch "$1/web/node_modules/.page-built"
}

# install_build_packages NAME...: what building needs, and these.
install_build_packages() {
    step "Packages from Debian" \
        "check the network and /etc/apt/sources.list; where you cannot be root, ask for the packages named above to be installed."
    if have cc; then say "a C compiler is there"; else need_packages gcc libc6-dev; fi
    need_packages pkg-config libvirt-dev "$@"
}

# build_web_ui ROOT: the page, where it is not built yet. Before the program,
# which takes it in.
build_web_ui() {
    step "The page" "Node.js 20.19 or newer with npm is needed, and access to the npm registry; the first error above tells."
    if page_is_built "$1"; then
        say "it is built, and nothing that it is made from has changed since"
    else
        build_page "$1"
    fi
}

# build_program ROOT: the program by QKVM_PROFILE, with the page inside. Sets BUILT.
build_program() {
    local profile=${QKVM_PROFILE:-release}
    local -a flags=(--locked --bin quantixkvm)
    case $profile in
    release)
        step "The program (a first build takes some minutes)" "the compiler's first error above tells; Rust 1.95 or newer is needed: rustup update."
        flags+=(--release)
        ;;
    debug)
        step "The program, unoptimised" "the compiler's first error above tells; Rust 1.95 or newer is needed: rustup update."
        # It would read the page from the source tree, which is often closed to
        # the user that it runs as.
        flags+=(--features embedded-page)
        ;;
    *) fail "QKVM_PROFILE is \"$profile\"; it can be release or debug." "unset it, or set one of the two." ;;
    esac
    need_rust
    (cd "$1" && cargo build "${flags[@]}")
    # shellcheck disable=SC2034 # used by those who source this
    BUILT=${CARGO_TARGET_DIR:-$1/target}/$profile/quantixkvm
    say "built $BUILT"
}

# have_systemd: is PID 1 systemd?
have_systemd() { [ -d /run/systemd/system ]; }

# wait_until SECONDS COMMAND...: true as soon as the command is, false after the
# deadline.
wait_until() {
    local deadline=$((SECONDS + $1))
    shift
    until "$@"; do
        if [ "$SECONDS" -ge "$deadline" ]; then return 1; fi
        sleep 0.05
    done
}

# Prints field 22 of /proc/PID/stat, the start time, which together with the
# pid names a process even after the pid was used again.
start_time() {
    local stat
    { read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 1
    # The second field is the command's name in brackets and may hold blanks.
    stat=${stat##*) }
    # shellcheck disable=SC2086
    set -- $stat
    printf '%s' "${20}"
}
