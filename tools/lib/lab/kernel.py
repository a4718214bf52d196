# SPDX-License-Identifier: LGPL-2.1-or-later
"""The few system calls that Python does not offer, and looks into /proc."""

import ctypes
import os

_libc = ctypes.CDLL(None, use_errno=True)

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
CLONE_NEWNS = 0x00020000
MS_BIND = 4096
MS_REC = 16384
MS_PRIVATE = 1 << 18
MNT_DETACH = 2


def _check(result, what):
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def prctl(option, value):
    _check(_libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0), f"prctl({option})")


def unshare_mounts():
    """A mount namespace of this process's own, from which nothing gets out."""
    _check(_libc.unshare(CLONE_NEWNS), "unshare(CLONE_NEWNS)")
    # Fails in a chroot whose / is no mount point; bind_mount's caller looks
    # whether a mount got out.
    _libc.mount(None, b"/", None, ctypes.c_ulong(MS_REC | MS_PRIVATE), None)


def bind_mount(source, target):
    _check(_libc.mount(os.fsencode(source), os.fsencode(target), None, ctypes.c_ulong(MS_BIND), None),
           f"mount --bind {source} {target}")


def mount_bpf(target):
    """A BPF file system of its own, empty."""
    _check(_libc.mount(b"bpf", os.fsencode(target), b"bpf", ctypes.c_ulong(0), b"mode=0700"), f"mount -t bpf {target}")


def _first_closed(path):
    """The uppermost directory on the way to path that others may not pass, or None."""
    at = "/"
    for part in os.path.realpath(path).strip("/").split("/")[:-1]:
        at = os.path.join(at, part)
        if not os.stat(at).st_mode & 0o001:
            return at
    return None


def open_way_to(paths):
    """In this mount namespace alone: every user may reach these directories, and of what is beside them nothing."""
    handles = {os.path.realpath(path): os.open(path, os.O_PATH | os.O_DIRECTORY) for path in paths}
    for top in {_first_closed(path) for path in handles} - {None}:
        _check(_libc.mount(b"tmpfs", os.fsencode(top), b"tmpfs", ctypes.c_ulong(0), b"mode=755"), f"mount tmpfs on {top}")
    for path, handle in handles.items():
        if not os.path.isdir(path):
            os.makedirs(path)
            bind_mount(f"/proc/self/fd/{handle}", path)
        os.close(handle)


def unmount(target):
    return _libc.umount2(os.fsencode(target), MNT_DETACH) == 0


def mount_points(pid="self"):
    with open(f"/proc/{pid}/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        return [line.split()[4] for line in file]


def _stat(pid):
    """/proc/PID/stat from its third field on."""
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
        return file.read().rpartition(")")[2].split()


def cpu_ticks(pid):
    """CPU time of all threads, in hundredths of a second."""
    fields = _stat(pid)
    return int(fields[11]) + int(fields[12])


def parents():
    """{pid: ppid} of all processes, zombies left out."""
    found = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            fields = _stat(entry)
        except OSError:
            continue
        if fields[0] != "Z":
            found[int(entry)] = int(fields[1])
    return found


def descendants(root):
    """All processes below root, children before grandchildren."""
    below = parents()
    found, level = [], {root}
    while level:
        level = {pid for pid, parent in below.items() if parent in level}
        found += sorted(level)
    return found


def cgroup_mounts():
    with open("/proc/self/mounts", encoding="utf-8") as file:
        fields = [line.split() for line in file]
    return [f[1] for f in fields if f[2] in ("cgroup", "cgroup2")]
