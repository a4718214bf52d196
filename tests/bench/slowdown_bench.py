# SPDX-License-Identifier: LGPL-2.1-or-later
"""How much counting slows work on a CPU that switches 10,000 times a second: two processes, and a guest, of KVM where there is
KVM, else one whose processor QEMU emulates: its vCPU is a thread that is switched as any other."""

import os
import time
from statistics import median

from lab.guest import COUNT, boot_sector
from series import estimate, span

MEMORY_MIB = 16
# With a thread for each vCPU, as of KVM.
ACCELERATORS = {True: "kvm", False: "tcg,thread=multi"}
START_S = 1  # until QEMU has its threads, or has ended
BLOCK_MS = 50


def start_guest(lab, kvm):
    """QEMU's pid. Without libvirt, which would put it in a cgroup where real-time scheduling may be forbidden."""
    image = f"{lab.dir}/counting.img"
    with open(image, "wb") as file:
        file.write(boot_sector(COUNT))
        file.truncate(1 << 20)
    argv = ["/usr/bin/qemu-system-x86_64", "-name", "counting,debug-threads=on", "-accel", ACCELERATORS[kvm],
            "-m", str(MEMORY_MIB), "-nodefaults", "-display", "none", "-no-user-config", "-drive", f"file={image},format=raw,if=ide"]
    pid = lab.supervisor.call("start", argv=argv, env=dict(os.environ), log=f"{lab.dir}/counting.log")["pid"]
    time.sleep(START_S)
    status = lab.supervisor.call("status", pid=pid)["status"]
    if status is not None:
        raise RuntimeError(f"a guest to be slowed down ended with status {status}; its output: {lab.dir}/counting.log")
    return pid


def pair_percent(with_ns, without_ns):
    """The median of its blocks, each beside its neighbour: what held up one of them is not in it."""
    return median((a / b - 1) * 100 for a, b in zip(with_ns, without_ns, strict=True))


def slowdowns(found):
    """Percent, by pairs."""
    for kind in [*found["kinds"], found["empty"]]:
        percent = [pair_percent(*blocks) for blocks in zip(kind.pop("with_ns"), kind.pop("without_ns"), strict=True)]
        kind["slower_percent"] = estimate(percent).as_dict()
        kind["slower_percent_worst_pair"] = max(percent)
    return found


def run(lab, program, scale, kvm):
    """program: from arguments to what it prints, as JSON"""
    plan = (scale.pairs, scale.slowdown_blocks, BLOCK_MS, scale.guests[-1])
    found = {"processes": slowdowns(program(*plan))}
    pid = start_guest(lab, kvm)
    found["guest"] = {**slowdowns(program(*plan, pid, MEMORY_MIB << 20)), "emulated": not kvm}
    lab.supervisor.call("signal", pid=pid, number=9)
    return found


def lines(found):
    yield "slowdown: percent more CPU time for the same work where switches are counted; median of pairs (its 95 % bounds)"
    guest = "a guest, emulated" if found["guest"]["emulated"] else "a guest"
    for name, text in (("processes", "two processes"), ("guest", guest)):
        part = found[name]
        alone = "" if part["alone"] else "; other work was not kept away"
        for kind in [*part["kinds"], part["empty"]]:
            yield (f"  {text + ', ' + kind['name']:40} {span(kind['slower_percent'], 3)}, worst pair "
                   f"{kind['slower_percent_worst_pair']:.3f}; {kind['switches_per_s']:.0f} switches a second{alone}")
