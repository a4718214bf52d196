# SPDX-License-Identifier: LGPL-2.1-or-later
# Sourced by tools/demo, tools/check and tests/power-host's programs.

lib=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
# shellcheck disable=SC2034  # for those who source this
top=$(dirname "$(dirname "$lib")")
program=$(basename "$0")

say() { printf '%s: %s\n' "$program" "$*" >&2; }
die() { say "$@"; exit 1; }

need_root() { [ "$(id -u)" = 0 ] || die "needs root: it starts a libvirt daemon of its own; run: sudo tools/$program"; }

# packages_of SECTION...: the packages of these sections, one a line; libvirt's own with those to build.
packages_of() {
    local section
    for section; do
        [ "$section" != build ] || sed 's/[[:space:]]*#.*//; /^$/d' "$top"/patches/libvirt-*/build-depends
        awk -v section="$section" '$1 == section { for (i = 2; i <= NF; i++) print $i }' "$lib/packages"
    done
}

# install_missing SECTION...: installs what is not there; silent if all is.
install_missing() {
    command -v apt-get >/dev/null || { say "no apt-get: not Debian; going on with what is here"; return 0; }
    local missing log
    missing=$(comm -23 <(packages_of "$@" | sort -u) \
        <(dpkg-query -W -f '${db:Status-Status} ${Package}\n' | sed -n 's/^installed //p' | sort -u))
    [ -n "$missing" ] || return 0
    # shellcheck disable=SC2086
    say "installing" $missing
    log=$(mktemp)
    # shellcheck disable=SC2086
    if ! { apt-get -o DPkg::Lock::Timeout=600 update &&
           DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=600 install -y --no-install-recommends \
               $missing; } >"$log" 2>&1 </dev/null; then
        tail -n 15 "$log" >&2
        rm -f "$log"
        die "apt-get could not install them; its last lines are above"
    fi
    rm -f "$log"
}
