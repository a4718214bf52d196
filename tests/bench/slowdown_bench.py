# SPDX-License-Identifier: LGPL-2.1-or-later
"""How much counting slows work on a CPU that switches 10,000 times a second: two processes, and a guest of KVM."""

import os
import time

from lab.guest import COUNT, boot_sector
from series import estimate, span

MEMORY_MIB = 16
START_S = 1  # until QEMU has its threads, or has ended
BLOCK_MS = 50


def start_guest(lab):
    """QEMU's pid. Without libvirt, which would put it in a cgroup where real-time scheduling may be forbidden."""
    image = f"{lab.dir}/counting.img"
    with open(image, "wb") as file:
        file.write(boot_sector(COUNT))
        file.truncate(1 << 20)
    argv = ["/usr/bin/qemu-system-x86_64", "-name", "counting,debug-threads=on", "-accel", "kvm", "-m", str(MEMORY_MIB),
            "-nodefaults", "-display", "none", "-no-user-config", "-drive", f"file={image},format=raw,if=ide"]
    pid = lab.supervisor.call("start", argv=argv, env=dict(os.environ), log=f"{lab.dir}/counting.log")["pid"]
    time.sleep(START_S)
    status = lab.supervisor.call("status", pid=pid)["status"]
    if status is not None:
        raise RuntimeError(f"a guest to be slowed down ended with status {status}; its output: {lab.dir}/counting.log")
    return pid


def slowdowns(found):
    """Percent, by pairs."""
    for kind in found["kinds"]:
        percent = [(a / b - 1) * 100 for a, b in zip(kind.pop("with_ns"), kind.pop("without_ns"), strict=True)]
        kind["slower_percent"] = estimate(percent).as_dict()
        kind["slower_percent_worst_pair"] = max(percent)
    return found


def run(lab, program, scale, kvm):
    """program: from arguments to what it prints, as JSON"""
    plan = (scale.pairs, scale.slowdown_blocks, BLOCK_MS, scale.guests[-1])
    found = {"processes": slowdowns(program(*plan))}
    if kvm:
        pid = start_guest(lab)
        found["guest"] = slowdowns(program(*plan, pid, MEMORY_MIB << 20))
        lab.supervisor.call("signal", pid=pid, number=9)
    return found


def lines(found):
    yield "slowdown: percent more CPU time for the same work where switches are counted; median of pairs (its 95 % bounds)"
    for name, text in (("processes", "two processes"), ("guest", "a guest")):
        if name not in found:
            yield f"  {text}: not measured, there is no KVM"
            continue
        part = found[name]
        alone = "" if part["alone"] else "; other work was not kept away"
        for kind in part["kinds"]:
            yield (f"  {text + ', ' + kind['name']:40} {span(kind['slower_percent'], 3)}, worst pair "
                   f"{kind['slower_percent_worst_pair']:.3f}; {kind['switches_per_s']:.0f} switches a second{alone}")
