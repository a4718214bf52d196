# SPDX-License-Identifier: LGPL-2.1-or-later
"""The formulas by which others give a VM its energy, as their sources and papers have them.

Each takes an Interval (samples.py) and gives {vm: microjoules}. All are pure. What each claims to
give stands in CLAIMS: the truth that it is held against follows from that.
"""

from collections import namedtuple

from samples import TICKS_PER_S

# Which zones a formula divides; and by what rule it charges static power to a VM, if it does:
# "no", "capacity" (the VM's share of all CPUs, busy or not) or "vms" (its share of what all VMs used).
Claim = namedtuple("Claim", "zones static")

CLAIMS = {
    "host-share": Claim(("package", "dram"), "no"),
    "vm-share": Claim(("package", "dram"), "no"),
    "scaphandre": Claim(("package", "dram"), "capacity"),
    "kepler": Claim(("package", "dram"), "capacity"),
    "energat": Claim(("package",), "no"),
    "qemu": Claim(("package",), "capacity"),
    "thesis": Claim(("package",), "vms"),
}

ENERGAT_GAMMA = 0.3  # its default for CPUs


def scaphandre(interval):
    """Host power times the process's CPU percentage over all CPUs.

    The host's power is the sum over sockets, package and dram. So a VM that has all CPUs gets all of the
    energy, and what idle CPUs draw is nobody's: static power is charged by the share of the host's capacity.
    """
    capacity = interval.seconds * TICKS_PER_S * sum(interval.cpus.values())
    host_uj = interval.energy_uj("package", "dram")
    return {name: host_uj * vm.ticks / capacity for name, vm in interval.vms.items()}


def kepler(interval):
    """Kepler 0.11: a zone's energy times the node's CPU usage is active; a process gets of it its CPU time over
    that of all processes. Zones of one name are summed over the sockets.

    What is not active is a row of its own. Static power times usage is in what is active, and a process's share of
    that is static power times its share of capacity.
    """
    busy, idle = sum(interval.busy_ticks.values()), sum(interval.idle_ticks.values())
    if busy + idle == 0 or interval.process_ticks == 0:
        return dict.fromkeys(interval.vms, 0.0)
    active_uj = interval.energy_uj("package", "dram") * busy / (busy + idle)
    return {name: active_uj * vm.ticks / interval.process_ticks for name, vm in interval.vms.items()}


def _ticks_in(vm, package):
    return sum(thread.ticks * dict(thread.residence).get(package, 0.0) for thread in vm.threads)


def energat(interval, static_uw):
    """EnergAt: per socket, energy above the static one times (CPU time of the target / CPU time of the
    socket) to the power of gamma. A thread's CPU time is spread over sockets by where samples found it.

    static_uw: {package: microwatts}, measured beforehand. Static power is kept apart. Its dram is by resident
    memory, for which there is no truth here.
    """
    found = {}
    for name, vm in interval.vms.items():
        found[name] = 0.0
        for zone in interval.zones:
            if zone.type != "package":
                continue
            dynamic_uj = max(0.0, zone.energy_uj - static_uw[zone.package] * interval.seconds)
            ticks = _ticks_in(vm, zone.package)
            busy = interval.busy_ticks[zone.package]
            share = min(1.0, ticks / busy) if busy else 0.0
            found[name] += dynamic_uj * share ** ENERGAT_GAMMA
    return found


def qemu(interval):
    """QEMU's virtual RAPL counters (-accel kvm,rapl=on): each vCPU thread gets its ticks over the ticks that its
    package has, of the energy of the package where it was seen last.

    Other threads' part is given to the vCPUs in the same package, and is lost where there is none. Static
    power is charged by the share of capacity. A guest reads the sum.
    """
    energy, capacity = {}, {}
    for zone in interval.zones:
        if zone.type == "package":
            energy[zone.package] = energy.get(zone.package, 0) + zone.energy_uj
            capacity[zone.package] = interval.cpus[zone.package] * interval.seconds * TICKS_PER_S
    found = {}
    for name, vm in interval.vms.items():
        with_vcpu = {thread.package for thread in vm.threads if thread.is_vcpu}
        found[name] = sum(energy[thread.package] * thread.ticks / capacity[thread.package] for thread in vm.threads
                          if thread.package in with_vcpu and thread.package in energy)
    return found


def thesis(interval):
    """The original work: energy of a socket times the VM's cycles over the cycles of all VMs.

    Its VMs were pinned to a socket each; here a VM's cycles are spread over the packages as its ticks are. Nothing is
    left for the host, and static power is in it. Absent where no PMU counts.
    """
    if any(vm.cycles is None for vm in interval.vms.values()):
        return {}
    found = dict.fromkeys(interval.vms, 0.0)
    for package in interval.cpus:
        package_uj = sum(zone.energy_uj for zone in interval.zones if (zone.type, zone.package) == ("package", package))
        cycles = {}
        for name, vm in interval.vms.items():
            ticks = sum(_ticks_in(vm, other) for other in interval.cpus)
            cycles[name] = vm.cycles * (_ticks_in(vm, package) / ticks if ticks else 1 / len(interval.cpus))
        total = sum(cycles.values())
        for name, count in cycles.items():
            found[name] += package_uj * count / total if total else 0.0
    return found


def over(intervals, static_uw):
    """{formula: {vm: microjoules}} over intervals in a row, added up as each of these monitors does."""
    each = {"scaphandre": scaphandre, "kepler": kepler, "energat": lambda interval: energat(interval, static_uw),
            "qemu": qemu, "thesis": thesis}
    found = {}
    for formula, function in each.items():
        sums = {}
        for interval in intervals:
            for name, energy_uj in function(interval).items():
                sums[name] = sums.get(name, 0.0) + energy_uj
        found[formula] = sums
    return found
