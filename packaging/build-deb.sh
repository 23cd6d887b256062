#!/usr/bin/env bash
# From a source tree to a Debian package. `build-deb.sh --help` tells what it does.
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ROOT=$(cd "$HERE/.." && pwd)
# shellcheck source=packaging/lib.sh
. "$HERE/lib.sh"
extend_path

PACKAGE=quantixkvm
OUT=${QKVM_DEB_DIR:-${CARGO_TARGET_DIR:-$ROOT/target}/deb}

usage() {
    cat <<H
Usage: packaging/build-deb.sh

Installs what is missing from Debian, builds the page and the program, packs
both into target/deb/${PACKAGE}_VERSION_amd64.deb and lets lintian judge it. The
same sources and the same compiler give the same bytes.

Environment: QKVM_PROFILE=debug builds faster and runs slower;
QKVM_PROGRAM=FILE packs that program instead of building one;
QKVM_DEB_DIR=DIR puts the package there; CARGO_TARGET_DIR as for cargo.
For tests: QKVM_DEB_VERSION=VERSION gives the package another version than the
program's, so that there is something to upgrade from.
H
}

# ---------------------------------------------------------------- versions --

cargo_version() {
    sed -n '/^\[workspace\.package\]/,/^\[[^w]/s/^version = "\(.*\)"$/\1/p' "$ROOT/Cargo.toml"
}
changelog_version() { dpkg-parsechangelog -l "$HERE/debian/changelog" -S Version; }
program_version() { "$BUILT" version | cut -d' ' -f2; }

# same_version OURS WHOSE WHAT WHERE: all versions are that of Cargo.toml.
same_version() {
    if [ "$2" != "$1" ]; then
        fail "the versions differ: Cargo.toml says $1, $3 says $2." "$4"
    fi
}

check_versions() {
    step "The version"
    VERSION=$(cargo_version)
    same_version "$VERSION" "$(changelog_version)" packaging/debian/changelog \
        "make them the same: a release changes Cargo.toml, packaging/debian/changelog and CHANGELOG.md together."
    say "$VERSION, in Cargo.toml and in packaging/debian/changelog"
}

# The moment of the last commit, or, where these sources are no clone, of the
# changelog's last entry.
source_date() {
    git -C "$ROOT" log -1 --format=%ct 2>/dev/null || dpkg-parsechangelog -l "$HERE/debian/changelog" -S Timestamp
}

# ------------------------------------------------------------------- build --

take_program() {
    if [ -n "${QKVM_PROGRAM:-}" ]; then
        need_packages debhelper lintian dpkg-dev
        check_versions
        BUILT=$QKVM_PROGRAM
        if [ ! -x "$BUILT" ]; then fail "QKVM_PROGRAM names $BUILT, which is no program." "unset it, and one is built."; fi
    else
        install_build_packages debhelper lintian dpkg-dev
        check_versions
        build_web_ui "$ROOT"
        build_program "$ROOT"
    fi
    same_version "$VERSION" "$(program_version)" "the program $BUILT" "build it from this tree."
}

# What goes in besides packaging/debian, as the install files there name it.
stage() {
    local tree=$1
    rm -rf "$WORK"
    mkdir -p "$tree/built/man" "$tree/built/completions"
    cp -R "$HERE/debian" "$tree/debian"
    cp "$BUILT" "$tree/built/$PACKAGE"
    cp "$HERE/debian/config.toml" "$ROOT/CHANGELOG.md" "$tree/built/"
    "$BUILT" man "$tree/built/man"
    "$BUILT" completions bash >"$tree/built/completions/$PACKAGE"
    "$BUILT" completions zsh >"$tree/built/completions/_$PACKAGE"
    "$BUILT" completions fish >"$tree/built/completions/$PACKAGE.fish"
    if [ -n "${QKVM_DEB_VERSION:-}" ]; then
        sed -i "1s/([^)]*)/($QKVM_DEB_VERSION)/" "$tree/debian/changelog"
    fi
    find "$WORK" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
}

build_package() {
    step "The package" "the whole log is $OUT/build.log"
    local wanted=${QKVM_DEB_VERSION:-$VERSION}
    local tree=$WORK/$PACKAGE-$wanted
    SOURCE_DATE_EPOCH=$(source_date)
    export SOURCE_DATE_EPOCH
    umask 022
    mkdir -p "$OUT"
    stage "$tree"
    (cd "$tree" && dpkg-buildpackage -d -b -us -uc) >"$OUT/build.log" 2>&1 ||
        fail "dpkg-buildpackage failed: $(tail -n 20 "$OUT/build.log")" "the whole log is $OUT/build.log"
    DEB=$OUT/${PACKAGE}_${wanted}_amd64.deb
    mv "$WORK/${DEB##*/}" "$DEB"
    same_version "$wanted" "$(dpkg-deb -f "$DEB" Version)" "$DEB" "see $OUT/build.log"
    rm -rf "$WORK"
    say "$DEB"
    say "$(stat -c %s "$DEB") bytes, SHA-256 $(sha256sum "$DEB" | cut -d' ' -f1)"
}

judge() {
    step "lintian" "mend what it names, or argue an override in packaging/debian/quantixkvm.lintian-overrides."
    local -a flags=(--fail-on "error,warning,info" --display-info)
    # It refuses root elsewhere than in a build, which this is.
    if [ "$(id -u)" -eq 0 ]; then flags+=(--allow-root); fi
    lintian "${flags[@]}" "$DEB"
    say "nothing to say of it"
}

main() {
    case ${1:-} in
    -h | --help) usage && exit 0 ;;
    "") ;;
    *) usage >&2 && fail "there is no option \"$1\"." "everything else is told by the environment." ;;
    esac
    explain_failures
    if [ "$(dpkg --print-architecture 2>/dev/null)" != amd64 ]; then
        fail "packages are made for amd64, on amd64." "use packaging/run.sh here."
    fi
    WORK=$OUT/work
    take_program
    build_package
    if [ -z "${QKVM_DEB_VERSION:-}" ]; then judge; fi
}

main "$@"
