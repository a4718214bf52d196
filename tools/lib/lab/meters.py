# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a process costs: CPU time to the nanosecond, memory, descriptors, and the BPF objects that it holds."""

import ctypes
import json
import os
import subprocess
import time
from dataclasses import dataclass

_SYS_BPF = 321  # x86-64
_BPF_ENABLE_STATS = 32
_BPF_STATS_RUN_TIME = 0
PROG_TRACING = 26  # bpf_prog_type: what is attached to sched_switch


def process_time_ns(pid):
    """CPU time of all threads, those that ended too, up to this instant: clock_getcpuclockid(3)."""
    return time.clock_gettime_ns((~pid << 3) | 2)


def memory_kib(pid):
    """{"VmHWM": peak of resident memory, "VmRSS": resident, "RssAnon": of that, heap and stacks}"""
    with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as file:
        lines = (line.split() for line in file)
        return {words[0][:-1]: int(words[1]) for words in lines if words[0] in ("VmHWM:", "VmRSS:", "RssAnon:")}


def open_descriptors(pid):
    """{descriptor: what it refers to}"""
    found = {}
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            found[int(name)] = os.readlink(f"/proc/{pid}/fd/{name}")
        except FileNotFoundError:
            pass  # closed meanwhile
    return found


def threads(pid):
    return len(os.listdir(f"/proc/{pid}/task"))


def _bpf_fdinfo(pid, kind):
    """[{key: value}] of the process's descriptors of this kind: bpf-prog or bpf-map."""
    found = []
    for descriptor, target in open_descriptors(pid).items():
        if target != f"anon_inode:{kind}":
            continue
        with open(f"/proc/{pid}/fdinfo/{descriptor}", encoding="ascii") as file:
            found.append(dict(line.strip().split(":\t", 1) for line in file if ":\t" in line))
    return found


@dataclass
class ProgramRuns:
    count: int
    time_ns: int


def switch_program_runs(pid):
    """Of the program that the process attached to the context switch; None if there is none.
    Goes on only while BpfStats is open."""
    for info in _bpf_fdinfo(pid, "bpf-prog"):
        if int(info["prog_type"]) == PROG_TRACING:
            return ProgramRuns(int(info["run_cnt"]), int(info["run_time_ns"]))
    return None


def map_entries(pid):
    """{name: entries in use} of the process's hash maps that have names. libvirt's own, one for the devices of each guest,
    have none."""
    found = {}
    for info in _bpf_fdinfo(pid, "bpf-map"):
        if int(info["map_type"]) != 1:  # BPF_MAP_TYPE_HASH
            continue
        if name := _bpftool("map", "show", "id", info["map_id"]).get("name"):
            found[name] = len(_bpftool("map", "dump", "id", info["map_id"]))
    return found


def _bpftool(*arguments):
    path = os.environ["PATH"] + ":/usr/sbin:/sbin"
    return json.loads(subprocess.run(["bpftool", "--json", *arguments], check=True, stdout=subprocess.PIPE, text=True,
                                     stdin=subprocess.DEVNULL, env={**os.environ, "PATH": path}).stdout)


class BpfStats:
    """While open, the kernel counts runs of BPF programs and their time. Ends with this process in any case.
    The setting kernel.bpf_stats_enabled stays as it is."""

    def __init__(self):
        libc = ctypes.CDLL(None, use_errno=True)
        attributes = ctypes.c_uint32(_BPF_STATS_RUN_TIME)
        self._descriptor = libc.syscall(_SYS_BPF, _BPF_ENABLE_STATS, ctypes.byref(attributes), ctypes.sizeof(attributes))
        if self._descriptor < 0:
            raise OSError(ctypes.get_errno(), "cannot count the runs of BPF programs")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self._descriptor)
