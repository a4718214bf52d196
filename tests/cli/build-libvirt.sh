#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# tools/build-libvirt with a small project in libvirt's place: what it builds, what it
# keeps, and what it says and leaves behind when something is wrong. No network.
set -uo pipefail

top=$(dirname "$(dirname "$(dirname "$(readlink -f "$0")")")")
tool=$top/tools/build-libvirt
scratch=$(mktemp -d "${TMPDIR:-/tmp}/vp-build.XXXXXX")
server=
clean_up() {
    [ -z "$server" ] || kill "$server" 2>/dev/null
    rm -rf "$scratch"
}
trap clean_up EXIT
trap 'exit 1' INT TERM

export XDG_CACHE_HOME=$scratch/cache LC_ALL=C CCACHE_DIR=$scratch/ccache
cache=$XDG_CACHE_HOME/virt-power/libvirt
recipe=$scratch/patches/libvirt-1.0
out=$scratch/out err=$scratch/err
count=0 failures=0
status=0

# ---------------------------------------------------------------- helpers

build() { # ARGUMENT...: status, $out and $err are what it gave
    status=0
    "$tool" --patches "$scratch/patches" "$@" >"$out" 2>"$err" || status=$?
}
from_tarball() { build --source "$scratch/fake.tar.xz" "$@"; }

check() { # NAME CONDITION...
    local name=$1
    shift
    count=$((count + 1))
    if "$@"; then
        echo "ok $count - $name"
    else
        failures=$((failures + 1))
        echo "not ok $count - $name"
        echo "# failed: $*, status $status"
        sed 's/^/# /' "$err"
    fi
}
all() { # CONDITION [-- CONDITION]...
    local command=()
    for word in "$@" --; do
        if [ "$word" = -- ]; then
            "${command[@]}" || { echo "# not so: ${command[*]}"; return 1; }
            command=()
        else
            command+=("$word")
        fi
    done
}
says() { grep -qF -- "$1" "$err"; }
is_status() { [ "$status" = "$1" ]; }
prints() { [ "$(cat "$out")" = "$1" ]; }
differs() { [ "$1" != "$2" ]; }
has_ended() { # PID: it may take a moment, and nobody may reap it
    for _ in $(seq 20); do
        grep -q "^State:[[:space:]]*[^Z]" "/proc/$1/status" 2>/dev/null || return 0
        sleep 0.1
    done
    return 1
}
is_gone() { [ ! -e "$1" ]; }
holds() { grep -qF -- "$2" "$1"; }
debian_prefix() { "$tool" --patches "$scratch/patches" --debian --print-prefix 1.0; }
default_prefix() { "$tool" --patches "$scratch/patches" --print-prefix 1.0; }
# Nothing half-built: no work directory, no prefix beside those that were there.
prefixes() { [ ! -d "$cache" ] || find "$cache" -maxdepth 1 -name '1.0-*' | sort; }
nothing_left() { is_gone "$cache/work" && [ "$(prefixes)" = "$before" ] && [ -z "$(find "$scratch" -name '*.part*')" ]; }
fails_cleanly() { [ "$status" != 0 ] && [ "$status" -lt 126 ] && [ ! -s "$out" ] && nothing_left; }
remember() { before=$(prefixes); }

pin() { # the recipe's source is this file
    printf 'path pool/fake.tar.xz\nsha256 %s\n' "$(sha256sum <"$1" | cut -c1-64)" >"$recipe/source"
}
write_series() { printf '%s\n' "$@" >"$recipe/series"; }

# make_patch NAME FILE SED: a patch that changes FILE of the pristine sources
make_patch() {
    local changed=$scratch/changed
    sed "$3" "$scratch/fake/$2" >"$changed"
    diff -u --label "a/$2" --label "b/$2" "$scratch/fake/$2" "$changed" >"$recipe/$1"
    rm "$changed"
}

make_project() {
    mkdir -p "$scratch/fake" "$recipe"
    cat >"$scratch/fake/meson.build" <<'END'
project('fake', 'c')
executable('libvirtd', 'main.c', install: true, install_dir: get_option('sbindir'))
install_data('fake.conf', install_dir: get_option('sysconfdir'))
if get_option('slow')
  custom_target('slow', output: 'slow', build_by_default: true,
                command: ['sh', '-c', 'echo $$ >"$0"; sleep 300', meson.current_source_dir() / '../../slow.pid'])
endif
test('value', executable('value', 'value.c'))
END
    for option in runstatedir qemu_datadir qemu_moddir tests; do
        echo "option('$option', type: 'string')"
    done >"$scratch/fake/meson_options.txt"
    echo "option('slow', type: 'boolean', value: false)" >>"$scratch/fake/meson_options.txt"
    printf 'int main(void)\n{\n    int a = 1;\n    int b = 2;\n    int c = 3;\n    return a + b - c;\n}\n' >"$scratch/fake/main.c"
    printf 'int main(void)\n{\n    return 0;\n}\n' >"$scratch/fake/value.c"
    echo 'key = 1' >"$scratch/fake/fake.conf"
    tar -C "$scratch" -cJf "$scratch/fake.tar.xz" fake
    pin "$scratch/fake.tar.xz"
    echo '# none' >"$recipe/options"
    echo 'no-such-package' >"$recipe/build-depends"
    make_patch good.patch main.c 's/b = 2/b = 4/; s/c = 3/c = 5/'
    write_series good.patch
}

make_project
remember

# ---------------------------------------------------------------- usage

build
check "without a version it names those there are" all is_status 2 -- says "there is: 1.0"
build 9.9
check "an unknown version names the file that is not there" all is_status 2 -- says "libvirt-9.9/series"
build --frobnicate 1.0
check "an unknown option is named" all is_status 2 -- says "--frobnicate"
build 1.0 relative/prefix
check "a relative prefix is refused" all is_status 2 -- says "relative/prefix"
build 1.0 "/$(printf 'x%.0s' {1..70})"
check "a prefix too long for sockets below it is refused" all fails_cleanly -- says "too long"

# ---------------------------------------------------------------- building

prefix=$(default_prefix)
check "the default prefix is in the cache" all [ "${prefix%/*}" = "$cache" ] -- is_gone "$prefix"
from_tarball 1.0
check "builds, installs, prints the prefix" all is_status 0 -- prints "$prefix" -- [ -x "$prefix/sbin/libvirtd" ] -- is_gone "$cache/work"
check "the patch is in what was built" "$prefix/sbin/libvirtd"
remember
made=$(stat -c %Y "$prefix/sbin/libvirtd")
begun=$(date +%s%N)
build 1.0
took_ms=$((($(date +%s%N) - begun) / 1000000))
check "a second call does nothing, in under 2 s ($took_ms ms)" all is_status 0 -- prints "$prefix" -- says "up to date" -- \
    [ "$took_ms" -lt 2000 ] -- [ "$(stat -c %Y "$prefix/sbin/libvirtd")" = "$made" ]

echo '-Dwarning_level=0' >"$recipe/options"
check "another option is another prefix" differs "$prefix" "$(default_prefix)"
echo '# none' >"$recipe/options"
check "the same input is the same prefix" [ "$prefix" = "$(default_prefix)" ]
make_patch second.patch fake.conf 's/1/2/'
write_series good.patch second.patch
check "another patch is another prefix" differs "$prefix" "$(default_prefix)"
write_series good.patch

mine=$scratch/mine
from_tarball 1.0 "$mine"
check "an explicit prefix" all is_status 0 -- prints "$mine" -- [ -x "$mine/sbin/libvirtd" ]
echo 'key = mine' >"$mine/etc/fake.conf"
write_series good.patch second.patch
from_tarball 1.0 "$mine"
check "an update keeps the configuration" all is_status 0 -- holds "$mine/etc/fake.conf" mine -- [ -x "$mine/sbin/libvirtd" ] -- \
    [ -z "$(ls -d "$mine".new* 2>/dev/null)" ]
write_series good.patch
mkdir "$scratch/theirs" && touch "$scratch/theirs/file"
from_tarball 1.0 "$scratch/theirs"
check "a directory that is not its own is left alone" all fails_cleanly -- says "$scratch/theirs" -- [ "$(ls "$scratch/theirs")" = file ]

rm -rf "$prefix"
build --source "$scratch/fake" 1.0 "$scratch/from-dir"
check "builds from a directory, which stays as it is" all is_status 0 -- [ -x "$scratch/from-dir/sbin/libvirtd" ] -- holds "$scratch/fake/main.c" "b = 2"
remember

env --default-signal=INT "$tool" --patches "$scratch/patches" --source "$scratch/fake.tar.xz" 1.0 >"$scratch/out2" 2>"$scratch/err2" &
other=$!
from_tarball 1.0
other_status=0
wait "$other" || other_status=$?
check "two at once: one builds, one waits" all is_status 0 -- [ "$other_status" = 0 ] -- prints "$prefix" -- \
    [ "$(cat "$scratch/out2")" = "$prefix" ] -- [ "$(cat "$err" "$scratch/err2" | grep -c 'another build')" = 1 ] -- \
    [ "$(cat "$err" "$scratch/err2" | grep -c 'installing in')" = 1 ]
remember

# ---------------------------------------------------------------- patches that do not fit

make_patch bad.patch main.c 's/c = 3/c = 9/'
sed -i 's/ b = 2/ b = 7/' "$recipe/bad.patch"
write_series good.patch bad.patch
from_tarball 1.0
check "a patch that does not apply: patch, file, hunk" all fails_cleanly -- says "patch bad.patch: main.c: Hunk #1 FAILED" -- says "$recipe/series"
make_patch fuzz.patch main.c 's/c = 3/c = 9/'
sed -i 's/^ int main(void)/ int other(void)/; s/^     int a = 1;/     int a = 8;/' "$recipe/fuzz.patch"
write_series fuzz.patch
check "patch(1) would take the next one with fuzz" bash -c "patch --dry-run -s -d '$scratch/fake' -p1 <'$recipe/fuzz.patch'"
from_tarball 1.0
check "fuzz is refused" all fails_cleanly -- says "patch fuzz.patch: main.c: Hunk #1 FAILED"
sed 's/main\.c/gone.c/' "$recipe/good.patch" >"$recipe/gone.patch"
write_series gone.patch
from_tarball 1.0
check "a patch to a file that is not there" all fails_cleanly -- says "gone.patch"
write_series good.patch missing.patch
from_tarball 1.0
check "a patch that the series names and nobody has" all fails_cleanly -- says "missing.patch"

# ---------------------------------------------------------------- on top of Debian's patches

write_series good.patch
build --debian --apply 1.0
check "no packaging of Debian's for that version" all is_status 2 -- says "$recipe/debian"
make_patch theirs.patch fake.conf 's/key = 1/key = debian/'
pack_debian() { # PATCH: the recipe's packaging of Debian's has it
    rm -rf "$scratch/debian"
    mkdir -p "$scratch/debian/patches" "$cache"
    mv "$recipe/$1" "$scratch/debian/patches/"
    printf '# theirs\n%s\n' "$1" >"$scratch/debian/patches/series"
    tar -C "$scratch" -cJf "$cache/fake.debian.tar.xz" debian
    printf 'path pool/fake.debian.tar.xz\nsha256 %s\n' "$(sha256sum <"$cache/fake.debian.tar.xz" | cut -c1-64)" >"$recipe/debian"
}
pack_debian theirs.patch
check "on top of Debian's patches is another prefix" differs "$(default_prefix)" "$(debian_prefix)"
from_tarball --debian --apply 1.0
check "--apply applies both series and leaves nothing" all is_status 0 -- says "applied 1 patches of Debian's" -- prints "" -- nothing_left
from_tarball --debian 1.0
check "builds on top of Debian's patches" all is_status 0 -- prints "$(debian_prefix)" -- "$(debian_prefix)/sbin/libvirtd" -- \
    holds "$(debian_prefix)/etc/fake.conf" debian
remember
make_patch same.patch main.c 's/b = 2/b = 8/'
pack_debian same.patch
from_tarball --debian --apply 1.0
check "a patch that meets one of Debian's" all fails_cleanly -- says "patch good.patch: main.c: Hunk #1 FAILED"
rm "$recipe/debian"

# ---------------------------------------------------------------- sources that do not fit

write_series good.patch
echo "-Dwarning_level=2" >"$recipe/options"  # not built yet
echo other >"$scratch/other.tar.xz"
build --source "$scratch/other.tar.xz" 1.0
check "a tarball with another hash: both hashes" all fails_cleanly -- says "$(sha256sum <"$scratch/other.tar.xz" | cut -c1-64)" -- \
    says "$(sha256sum <"$scratch/fake.tar.xz" | cut -c1-64)" -- says "$recipe/source"
build --source "$scratch/nowhere.tar.xz" 1.0
check "a source that is not there" all fails_cleanly -- says "$scratch/nowhere.tar.xz"
pin "$scratch/other.tar.xz"
build --source "$scratch/other.tar.xz" 1.0
check "a tarball that is none" all fails_cleanly -- says "cannot unpack"
pin "$scratch/fake.tar.xz"

# A mirror on the loopback, in apt's configuration as far as the program can tell.
mkdir -p "$scratch/bin" "$scratch/mirror/debian/pool"
cat >"$scratch/bin/apt-get" <<'END'
#!/bin/sh
case "$*" in
    indextargets*) [ -z "$MIRROR" ] || echo "$MIRROR" ;;
    *install*) echo "$*" >>"$INSTALLED"; [ -z "$BROKEN" ] || { echo "E: Unable to locate package"; exit 100; } ;;
esac
END
export INSTALLED=$scratch/installed
chmod +x "$scratch/bin/apt-get"
plain_path=$PATH
PATH=$scratch/bin:$PATH
if [ -x /usr/lib/apt/apt-helper ]; then
    MIRROR='' build 1.0
    check "no mirror in apt's sources" all fails_cleanly -- says "name no mirror" -- says "--source"
    MIRROR=http://127.0.0.1:9/debian/ build 1.0
    check "no network: what to do" all fails_cleanly -- says "cannot download fake.tar.xz" -- says "network" -- says "--source"
    python3 -u -c "
import functools, http.server
handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory='$scratch/mirror')
server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler)
print(server.server_port, flush=True)
server.serve_forever()" >"$scratch/port" 2>/dev/null &
    server=$!
    for _ in $(seq 50); do
        [ -s "$scratch/port" ] && break
        sleep 0.1
    done
    MIRROR=http://127.0.0.1:$(cat "$scratch/port")/debian/
    export MIRROR
    build 1.0
    check "a mirror that lacks the file" all fails_cleanly -- says "cannot download" -- says 404
    cp "$scratch/other.tar.xz" "$scratch/mirror/debian/pool/fake.tar.xz"
    build 1.0
    check "a mirror with another file: whose hash" all fails_cleanly -- says "SHA-256" -- says "$recipe/source"
    cp "$scratch/fake.tar.xz" "$scratch/mirror/debian/pool/fake.tar.xz"
    build 1.0
    check "downloads from apt's mirror" all is_status 0 -- [ -x "$(default_prefix)/sbin/libvirtd" ]
    remember
else
    echo "# no apt-helper: downloads are not tested"
fi
if [ "$(id -u)" = 0 ]; then
    echo "-Dwarning_level=3" >"$recipe/options"
    BROKEN=1 from_tarball --install-deps 1.0
    check "apt-get that fails: its reason" all fails_cleanly -- says "Unable to locate package" -- says "apt-get install failed"
    from_tarball --install-deps 1.0
    check "--install-deps installs what is missing" all is_status 0 -- holds "$INSTALLED" no-such-package
    remember
fi
PATH=$plain_path

# ---------------------------------------------------------------- builds that fail

make_patch broken.patch main.c 's/int b = 2/int b = nonsense/'
write_series broken.patch
from_tarball 1.0
check "sources that do not compile: the compiler's line" all fails_cleanly -- says "main.c:4" -- says "nonsense" -- says "$cache/libvirt-1.0.log"
CC=no-such-cc from_tarball 1.0
check "no compiler: its name, the packages, what to do" all fails_cleanly -- says "not found: no-such-cc" -- says "no-such-package" -- says "--install-deps"
make_patch needy.patch meson.build "2i dependency('libneverheardof')"
write_series needy.patch
from_tarball 1.0
check "a library that is not there is named" all fails_cleanly -- says "libneverheardof" -- says "cannot be configured"

# ---------------------------------------------------------------- libvirt's own tests

make_patch one.patch value.c 's/return 0/return 1/'
sed 's/return 0;/return X;/; s/return 1;/return 0;/; s/return X;/return 1;/' "$recipe/one.patch" >"$recipe/two.patch"
write_series one.patch two.patch
from_tarball --each-patch 1.0
check "each patch must pass the tests: which does not" all fails_cleanly -- says "one.patch: libvirt's own tests fail"
from_tarball --test 1.0
check "the whole series passes the tests" all is_status 0 -- says "1 of libvirt's tests passed"
remember
from_tarball --test 1.0
check "what passed is not run again" all is_status 0 -- says "up to date" -- says "1 of libvirt's tests passed"

# ---------------------------------------------------------------- what is kept

write_series good.patch
from_tarball 1.0
first=$(cat "$out")
mkdir -p "$cache/0.9-00000000" "$cache/0.9-11111111" "$cache/of-another-kind"
touch "$cache/0.9-11111111/.virt-power-libvirt" "$cache/of-another-kind/.virt-power-libvirt"
touch -d '-20 days' "$cache/0.9-00000000/.virt-power-libvirt" "$first/.virt-power-libvirt" "$cache/of-another-kind/.virt-power-libvirt"
from_tarball 1.0
check "builds that nobody used for 14 days are removed, and nothing else" all prints "$first" -- [ -d "$first" ] -- [ -d "$cache/0.9-11111111" ] \
    -- [ ! -e "$cache/0.9-00000000" ] -- [ -d "$cache/of-another-kind" ]
status=0
env -u HOME -u XDG_CACHE_HOME "$tool" --patches "$scratch/patches" --print-prefix 1.0 >"$out" 2>"$err" || status=$?
check "without HOME: the user's own directory" all is_status 0 -- prints "$(getent passwd "$(id -u)" | cut -d: -f6)/.cache/virt-power/libvirt/${first##*/}"

# ---------------------------------------------------------------- signals

echo '-Dslow=true' >"$recipe/options"
write_series good.patch
for signal in INT TERM; do
    rm -f "$cache/slow.pid"
    env --default-signal=INT "$tool" --patches "$scratch/patches" --source "$scratch/fake.tar.xz" 1.0 >"$out" 2>"$err" &
    interrupted=$!
    for _ in $(seq 100); do
        [ -s "$cache/slow.pid" ] && break
        sleep 0.1
    done
    slow=$(cat "$cache/slow.pid" 2>/dev/null || echo none)
    kill -s "$signal" "$interrupted"
    status=0
    wait "$interrupted" || status=$?
    wanted=$([ "$signal" = INT ] && echo 130 || echo 143)
    check "SIG$signal: nothing left, no process either" all is_status "$wanted" -- [ -n "${slow#none}" ] -- nothing_left -- has_ended "$slow"
done

# ---------------------------------------------------------------- the ABI header

mkdir -p "$scratch/copy/include/virt-power" "$scratch/copy/patches"
cp -r "$top"/patches/. "$scratch/copy/patches/"
cp "$top/include/virt-power/host_power_plugin.h" "$scratch/copy/include/virt-power/"
check "the patches carry the ABI header unchanged" bash -c "'$scratch/copy/patches/check-abi-header' >/dev/null"
echo '/* changed */' >>"$scratch/copy/include/virt-power/host_power_plugin.h"
check "a changed ABI header is noticed" bash -c "! '$scratch/copy/patches/check-abi-header' >/dev/null 2>&1"

echo "1..$count"
[ "$failures" = 0 ]
