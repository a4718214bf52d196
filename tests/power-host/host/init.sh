#!/busybox sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# The first process, in the initramfs: loads modules, puts a root together, goes on there with inside.sh.
# run.env (machine.py): acpi_cpufreq module_arguments modules_directory release token

b=/busybox

fail() {
    echo "power-host: $*"
    $b poweroff -f
}

load() {
    for module in /modules/"$1"/*.ko; do
        $b insmod "$module" || fail "$module cannot be loaded"
    done
}

. /run.env
$b mount -t devtmpfs -o mode=755 dev /dev && $b mount -t proc proc /proc && $b mount -t sysfs sys /sys || fail "no /dev, /proc, /sys"
load root
# Before the first cpufreq driver, since its governor may switch so fast that nobody can be told, or else be told.
# shellcheck disable=SC2086
$b insmod /power_host.ko $module_arguments || fail "the module power_host cannot be loaded"
[ "$acpi_cpufreq" = 0 ] || load cpufreq
$b insmod /modules/nested.ko || fail "no SVM"
load guests

$b mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,cache=loose,ro root /lower || fail "the root is not there"
$b mount -t tmpfs -o mode=755,size=75% upper /upper && $b mkdir /upper/data /upper/work || fail "no tmpfs"
$b mount -t overlay -o lowerdir=/lower,upperdir=/upper/data,workdir=/upper/work root /new || fail "no overlay"
$b mkdir -p /new/dev /new/proc /new/sys /new/run "/new/lib/modules/$release"
$b mount -t tmpfs -o mode=755 run /new/run && $b mkdir /new/run/power-host || fail "no /run"
$b cp /busybox /inside.sh /run.env /command /power_host.ko /new/run/power-host/ || fail "/run/power-host cannot be written"
$b mount -o bind "/new$modules_directory" "/new/lib/modules/$release" || fail "no $modules_directory in the root"
for directory in dev proc sys; do
    $b mount -o move /$directory /new/$directory || fail "/$directory cannot be moved"
done
exec $b switch_root /new /run/power-host/busybox sh /run/power-host/inside.sh
