#!/usr/bin/env bash
# Sets up and runs the tests, tier by tier, and ends with a table of what ran, how
# long it took and how it ended. `run.sh --help` lists the tiers.
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ROOT=$(cd "$HERE/.." && pwd)
SELF=$HERE/run.sh
# shellcheck source=packaging/lib.sh
. "$ROOT/packaging/lib.sh"
extend_path

TIERS=(lint unit driver clients web ui testbed qemu faults packaging deb bench)

usage() {
    cat <<'H'
Usage: tests/run.sh [TIER...|all] [--long] [--help]

  lint       formatting, clippy, shellcheck, buf lint; with --long, or where
             cargo-deny is installed, licences and sources of what is linked
  unit       the rooms by themselves
  driver     the whole program on libvirt's own test driver, and its other
             subcommands
  clients    generated clients of every protocol against the demo
  web        the page by itself: types, lint, its logic, the budget of its size
  ui         the page in a browser against the whole program, on the test driver
             and with real guests; screenshots go to target/screenshots/
  testbed    the tests' own guest image and private libvirtd
  qemu       the whole program and real guests on QEMU, emulated
  faults     killed, starved and interrupted: nothing is lost
  packaging  packaging/run.sh, as a newcomer runs it
  deb        the Debian package: the same bytes twice, lintian, how its unit
             confines it, and its whole life in a fresh Debian
  bench      speed and size against their floors

Without a tier: all of them. --long takes the full number of rounds where a tier
has rounds (hours, rather than minutes). Needs Rust, Node.js and, for what the
tiers install from Debian and for private libvirtds, root or sudo.

CI=true sets a deadline of 20 minutes for each tier (17 hours with --long), and builds without what only
helps the next build.
H
}

export QKVM_TESTBED=$HERE/testbed
export QKVM_GUEST=${QKVM_GUEST:-$ROOT/target/testbed/guest}
LOGS=$ROOT/target/testbed/logs

# ------------------------------------------------------------------- setup --

has_rust_test() { [ -e "$HERE/$1/main.rs" ] || [ -e "$HERE/$1.rs" ]; }

# Says whether a tier has anything to run in this tree.
tier_exists() {
    case $1 in
    lint | unit | testbed | packaging | deb) return 0 ;;
    driver) has_rust_test it || has_rust_test cli ;;
    qemu) has_rust_test qemu ;;
    faults) has_rust_test faults ;;
    clients) [ -e "$HERE/clients/run.sh" ] ;;
    web) [ -e "$ROOT/web/package.json" ] ;;
    ui) [ -e "$HERE/ui/package.json" ] ;;
    bench) [ -e "$HERE/bench/run.sh" ] ;;
    *) return 1 ;;
    esac
}

wants() {
    local wanted tier
    for wanted in "$@"; do
        for tier in "${CHOSEN[@]}"; do
            if [ "$tier" = "$wanted" ]; then return 0; fi
        done
    done
    return 1
}

install_packages() {
    local -a packages=("${BUILD_PACKAGES[@]}")
    if wants lint; then packages+=(shellcheck); fi
    if wants clients packaging bench qemu faults; then packages+=(curl ca-certificates); fi
    if wants testbed qemu faults packaging bench ui; then packages+=("${HOST_PACKAGES[@]}"); fi
    if wants ui bench; then packages+=(chromium); fi
    if wants driver; then packages+=(qemu-utils); fi
    if wants deb; then packages+=(systemd debhelper lintian dpkg-dev mmdebstrap debian-archive-keyring curl); fi
    step "Packages from Debian" "check the network and /etc/apt/sources.list, and that you are root or may use sudo."
    need_packages "${packages[@]}"
}

# Prometheus' own judge of /metrics, out of its package: installing that would start a server.
fetch_promtool() {
    local dir=$ROOT/target/testbed/promtool
    export QKVM_PROMTOOL=$dir/usr/bin/promtool
    if [ -x "$QKVM_PROMTOOL" ]; then return 0; fi
    step "Prometheus' promtool" "without it the tests judge /metrics by their own rules."
    mkdir -p "$dir"
    if (cd "$dir" && apt-get download -qq prometheus && dpkg-deb -x prometheus_*.deb . && rm prometheus_*.deb); then
        say "taken from Debian's package, into target/testbed"
    else
        warn "promtool could not be had; the tests judge /metrics by their own rules"
    fi
}

build_guest() {
    step "The guest image" "run tests/testbed/build-guest.sh by hand and read what it says."
    bash "$HERE/testbed/build-guest.sh" "$QKVM_GUEST"
}

# Before what embeds it is compiled. What does not build fails the tiers that
# need it, and the others still run.
build_page_ahead() {
    step "The page" "npm's first error above tells; Node.js 20.19 or newer is needed."
    if page_is_built "$ROOT"; then
        say "it is built, and nothing that it is made from has changed since"
    else
        build_page "$ROOT" || warn "the page does not build; the tiers that need it will fail"
    fi
}

# Compiles ahead, so that a tier's time is its own. What does not compile fails
# the tiers that need it, and the others still run.
build_tests() {
    local name
    local -a flags=(--locked --workspace --bins --lib)
    for name in it cli qemu faults; do
        if has_rust_test "$name"; then flags+=(--test "$name"); fi
    done
    step "Compiling the program and its tests" "the compiler's first error above tells."
    (cd "$ROOT" && cargo test "${flags[@]}" --no-run) ||
        warn "something does not compile; the tiers that need it will fail"
}

print_versions() {
    step "On this machine"
    say "$(nproc) processors, $(awk '/^MemTotal/ { print int($2 / 1048576) }' /proc/meminfo) GiB, load $(cut -d' ' -f1-3 /proc/loadavg)"
    say "$(rustc --version); node $(node --version 2>/dev/null || echo none)"
    if have libvirtd; then say "$(libvirtd --version); $(qemu-system-x86_64 --version | head -n 1)"; fi
}

set_up() {
    install_packages
    need_rust
    print_versions
    if wants driver; then fetch_promtool; fi
    if wants testbed qemu faults packaging bench ui; then build_guest; fi
    if wants ui packaging bench; then build_page_ahead; fi
    if wants unit driver clients ui qemu faults; then build_tests; fi
}

# ------------------------------------------------------------------- tiers --

check_shell_scripts() {
    local -a scripts
    mapfile -t scripts < <(cd "$ROOT" && git ls-files -co --exclude-standard -- '*.sh' .ci/run)
    say "shellcheck: ${#scripts[@]} scripts"
    (cd "$ROOT" && shellcheck -x "${scripts[@]}")
}

check_contract() {
    if [ ! -e "$HERE/clients/package.json" ]; then return 0; fi
    install_npm "$HERE/clients"
    say "buf lint"
    (cd "$HERE/clients" && npm run --silent lint)
}

# The advisories come from a repository that not every network reaches; what is
# said without it still holds.
check_dependencies() {
    if ! have cargo-deny; then
        if [ -z "${QKVM_LONG:-}" ]; then
            say "cargo-deny is not installed: skipped (--long installs it, in some minutes)"
            return 0
        fi
        cargo install cargo-deny --locked
    fi
    cargo deny --locked check licenses bans sources
    if ! cargo deny --locked fetch db; then
        warn "the advisory database cannot be reached from here: not checked"
        return 0
    fi
    cargo deny --locked check advisories
}

tier_lint() {
    cd "$ROOT"
    check_shell_scripts
    check_contract
    say "cargo fmt"
    cargo fmt --all --check
    say "cargo clippy"
    cargo clippy --locked --workspace --all-targets -- -D warnings
    check_dependencies
}

tier_unit() {
    cd "$ROOT"
    if have cargo-nextest; then
        cargo nextest run --locked --workspace --lib --bins --no-tests=pass
    else
        cargo test --locked --workspace --lib --bins
    fi
    # The examples in the documentation.
    cargo test --locked --workspace --doc
}

# What passes says its figures too.
run_rust_test() { (cd "$ROOT" && cargo test --locked --test "$1" -- --show-output); }

tier_driver() {
    local name
    for name in it cli; do
        if has_rust_test "$name"; then run_rust_test "$name"; fi
    done
}
# First the hypervisor's room by itself, under a libvirtd of its own.
tier_qemu() {
    local box=/tmp/qk-tier-$$
    # shellcheck disable=SC2064 # this very box
    trap "'$HERE/testbed/private-libvirtd.sh' stop '$box' >/dev/null; rm -rf '$box'" EXIT
    "$HERE/testbed/private-libvirtd.sh" start "$box" >/dev/null
    QKVM_LIBVIRT_URI=$("$HERE/testbed/private-libvirtd.sh" uri "$box")
    export QKVM_LIBVIRT_URI
    (cd "$ROOT" && cargo test --locked --lib hypervisor::libvirt)
    run_rust_test qemu
}
tier_faults() { run_rust_test faults; }

free_port() {
    node -e 'const s = require("net").createServer();
s.listen(0, "127.0.0.1", () => { console.log(s.address().port); s.close(); });'
}

answers() { curl -fsS -o /dev/null --max-time 5 "$1" 2>/dev/null; }
is_gone() { ! kill -0 "$1" 2>/dev/null; }
answers_or_gone() { answers "$1" || is_gone "$2"; }

tier_clients() {
    cd "$ROOT"
    mkdir -p "$LOGS"
    cargo build --locked --bin quantixkvm
    local program=${CARGO_TARGET_DIR:-$ROOT/target}/debug/quantixkvm log=$LOGS/clients-server.log
    local url server failed=0
    local -a flags=(--demo)
    url=127.0.0.1:$(free_port)
    flags+=(--listen "$url")
    if [ "$(id -u)" -eq 0 ]; then flags+=(--allow-root); fi
    "$program" serve "${flags[@]}" >"$log" 2>&1 &
    server=$!
    # shellcheck disable=SC2064 # this very server
    trap "kill -KILL $server 2>/dev/null || true" EXIT
    wait_until 30 answers_or_gone "http://$url/healthz" "$server" || true
    answers "http://$url/healthz" ||
        fail "the demo server did not answer within 30 s: $(tail -n 20 "$log")" "its whole log is $log"
    "$HERE/clients/run.sh" "http://$url" || failed=1
    kill -TERM "$server" 2>/dev/null || true
    if ! wait_until 15 is_gone "$server"; then
        fail "the server did not end within 15 s of SIGTERM." "its log is $log"
    fi
    if [ "$failed" -ne 0 ]; then
        fail "a client's test failed; the server's last lines were:
$(tail -n 20 "$log")" "the whole log is $log"
    fi
}

tier_web() {
    build_page "$ROOT"
    cd "$ROOT/web"
    say "tsc and eslint"
    npm run --silent check
    say "vitest"
    npm run --silent test
}

tier_ui() {
    page_is_built "$ROOT" || build_page "$ROOT"
    (cd "$ROOT" && cargo build --locked --bin quantixkvm)
    export QKVM_PROGRAM=${CARGO_TARGET_DIR:-$ROOT/target}/debug/quantixkvm
    install_npm "$HERE/ui"
    (cd "$HERE/ui" && npm run --silent test && npm run --silent test:qemu)
}

tier_testbed() { bash "$HERE/testbed/check-testbed.sh"; }
tier_packaging() { bash "$HERE/testbed/check-packaging.sh"; }

# Of 10, as systemd judges it: 0 is confined most.
EXPOSURE_MAX=15

# Where no second systemd can run, that is said, and the rest of the tier stands.
smoke_test() {
    local code=0
    bash "$ROOT/packaging/smoke-test.sh" --suite "$1" || code=$?
    case $code in
    0) ;;
    77) warn "the package's life in a fresh Debian $1 was not tried on this machine" ;;
    *) fail "the smoke test of Debian $1 ended with code $code." "run it alone: packaging/smoke-test.sh --suite $1" ;;
    esac
}

tier_deb() {
    export QKVM_PROFILE=${QKVM_PROFILE:-debug}
    local out=${CARGO_TARGET_DIR:-$ROOT/target}/deb first second
    bash "$ROOT/packaging/build-deb.sh"
    first=$(sha256sum "$out"/quantixkvm_*_amd64.deb)
    bash "$ROOT/packaging/build-deb.sh"
    second=$(sha256sum "$out"/quantixkvm_*_amd64.deb)
    [ "$first" = "$second" ] || fail "packed twice, the package differs: $first and $second" "see $out/build.log"
    say "packed twice, the package is the same"
    systemd-analyze security --offline=true --threshold="$EXPOSURE_MAX" --no-pager \
        "$ROOT/packaging/debian/quantixkvm.service" | tail -n 1
    smoke_test bookworm
    if [ -n "${QKVM_LONG:-}" ]; then smoke_test trixie; fi
}
tier_bench() {
    page_is_built "$ROOT" || build_page "$ROOT"
    install_npm "$HERE/ui"
    bash "$HERE/bench/run.sh"
}

# ----------------------------------------------------------------- running --

# Runs one tier in a process of its own, so that a failure inside it ends it at
# that line, and in CI within a deadline.
run_tier() {
    local tier=$1
    local -a limit=()
    if [ -n "${CI:-}" ]; then limit=(timeout -k 30 "${QKVM_LONG:+10}20m"); fi
    "${limit[@]}" "$BASH" "$SELF" --tier "$tier"
}

RESULTS=()
FAILED=0

note() {
    RESULTS+=("$(printf '%-10s %-7s %6s s' "$1" "$2" "$3")")
}

run_and_note() {
    local tier=$1 started=$SECONDS code=0
    if ! tier_exists "$tier"; then
        note "$tier" absent 0
        if [ "$EXPLICIT" = yes ]; then FAILED=1; fi
        return 0
    fi
    printf '\n######## tier %s\n' "$tier"
    run_tier "$tier" || code=$?
    local took=$((SECONDS - started))
    case $code in
    0) note "$tier" ok "$took" ;;
    124 | 137) note "$tier" TIMEOUT "$took" && FAILED=1 ;;
    *) note "$tier" FAILED "$took" && FAILED=1 ;;
    esac
    printf '######## tier %s: %s after %s s\n' "$tier" "$([ "$code" -eq 0 ] && echo ok || echo "ended with code $code")" "$took"
}

# Ends what a test left running when it was killed before it could.
sweep() {
    local -a boxes=(/tmp/qk-*)
    if [ -e "${boxes[0]}" ]; then
        "$HERE/testbed/private-libvirtd.sh" stop-owned "$QKVM_OWNER" "${boxes[@]}" || true
    fi
}

summarise() {
    printf '\n%-10s %-7s %8s\n' tier result time
    printf '%s\n' "${RESULTS[@]}"
    printf '%-10s %-7s %6s s\n' total "$([ "$FAILED" -eq 0 ] && echo ok || echo FAILED)" "$SECONDS"
}

use_ci_profile() {
    if [ -z "${CI:-}" ]; then return 0; fi
    export CARGO_INCREMENTAL=0 CARGO_PROFILE_DEV_DEBUG=0 CARGO_TERM_COLOR=never
}

is_tier() {
    local tier
    for tier in "${TIERS[@]}"; do
        if [ "$tier" = "$1" ]; then return 0; fi
    done
    return 1
}

read_arguments() {
    CHOSEN=()
    EXPLICIT=yes
    while [ "$#" -gt 0 ]; do
        case $1 in
        -h | --help) usage && exit 0 ;;
        --long) export QKVM_LONG=1 ;;
        all) CHOSEN=() && EXPLICIT=no ;;
        *)
            is_tier "$1" || { usage >&2 && fail "there is no tier \"$1\"." "the tiers are: ${TIERS[*]}"; }
            CHOSEN+=("$1")
            ;;
        esac
        shift
    done
    if [ "${#CHOSEN[@]}" -eq 0 ]; then
        CHOSEN=("${TIERS[@]}")
        EXPLICIT=no
    fi
}

main() {
    use_ci_profile
    if [ "${1:-}" = --tier ]; then
        explain_failures
        STEP_TITLE="tier $2"
        STEP_REMEDY="run it alone: tests/run.sh $2"
        "tier_$2"
        return
    fi
    read_arguments "$@"
    export QKVM_OWNER=run-$$
    trap sweep EXIT
    explain_failures
    set_up
    local started=$SECONDS tier
    RESULTS+=("$(printf '%-10s %-7s %6s s' set-up ok "$started")")
    for tier in "${CHOSEN[@]}"; do run_and_note "$tier"; done
    summarise
    exit "$FAILED"
}

main "$@"
