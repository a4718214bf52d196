# shellcheck shell=dash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The first process, in the root that was put together: the kernel's other file systems, then the command.
# It never ends: whoever booted reads the status and ends QEMU.

here=/run/power-host
b=$here/busybox
. $here/run.env

mount_at() {
    $b mkdir -p "$1"
    $b mount -t "$2" -o "${3:-rw}" "$2" "$1" || echo "power-host: no $2 on $1" >/dev/console
}

mount_at /dev/pts devpts mode=620,ptmxmode=666,gid=5
mount_at /dev/shm tmpfs mode=1777
mount_at /sys/kernel/debug debugfs
mount_at /sys/kernel/tracing tracefs
mount_at /sys/fs/bpf bpf mode=700
mount_at /sys/fs/cgroup cgroup2
for controller in cpu cpuset memory pids io; do
    echo "+$controller" >/sys/fs/cgroup/cgroup.subtree_control
done 2>/dev/null
$b mkdir -p /run/lock $here/results /dev/net
$b chmod 1777 /run/lock
$b mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,cache=none results $here/results || echo "power-host: no results" >/dev/console
for node in "net/tun 200" "vhost-net 238"; do  # the modules come with the first opening
    # shellcheck disable=SC2086
    set -- $node
    [ -e "/dev/$1" ] || $b mknod "/dev/$1" c 10 "$2"
done
for link in "/proc/self/fd fd" "fd/0 stdin" "fd/1 stdout" "fd/2 stderr"; do
    $b ln -sf ${link% *} "/dev/${link#* }"
done
$b ip link set lo up

ports=$(echo /dev/vport*p1)
ports=${ports%1}
# Pipes before the ports: what is a port cannot be opened twice, as /dev/stdout may be.
$b mkfifo $here/out $here/err
exec 3<>$here/out 4<>$here/err 5>"${ports}3"
$b cat <$here/out >"${ports}1" 3<&- 4<&- 5<&- &
copiers=$!
$b cat <$here/err >"${ports}2" 3<&- 4<&- 5<&- &
copiers="$copiers $!"

echo began >&5
$b setsid /bin/sh $here/command </dev/null >$here/out 2>$here/err 3<&- 4<&- 5<&- &
wait $!
status=$?
$b sync
printf %s "$token" >&3
printf %s "$token" >&4
echo "status $status" >&5
# A command that kills all kills what copies its output.
while :; do
    for copier in $copiers; do
        state=Z
        read -r _ _ state _ <"/proc/$copier/stat"
        [ "$state" != Z ] || echo lost >&5
    done 2>/dev/null
    $b sleep 1
done
