# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the meter wrote, taken apart: inputs of the formulas, and the truth.

Energies are microjoules, times are ticks of 10 ms (user time) or seconds, as named.
"""

import json
from dataclasses import dataclass

TICKS_PER_S = 100  # USER_HZ, the same on every x86 machine


@dataclass(frozen=True)
class Zone:
    """A zone's energy over an interval. package is the physical id, None if it belongs to none."""
    type: str
    package: int
    energy_uj: int


@dataclass(frozen=True)
class Thread:
    """A thread over an interval."""
    name: str
    ticks: int
    package: int  # where it was when last looked at
    residence: tuple  # of the looks in the interval, the share in each package: ((package, share), ...)

    @property
    def is_vcpu(self):
        return self.name.startswith("CPU ")


@dataclass(frozen=True)
class VmUse:
    ticks: int  # utime + stime of the process
    threads: tuple
    cycles: int  # None where no PMU counts, or it was not there in both samples


@dataclass(frozen=True)
class Interval:
    """What other monitors have between two of their samples."""
    seconds: float
    zones: tuple
    cpus: dict  # {package: count of CPUs}
    busy_ticks: dict  # {package: what /proc/stat would have if no timer tick were lost}
    idle_ticks: dict
    counted_ticks: int  # what /proc/stat has of the busy ones
    process_ticks: int  # of all processes
    vms: dict  # {name: VmUse}

    def energy_uj(self, *types):
        return sum(zone.energy_uj for zone in self.zones if zone.type in types)


def load(path):
    """The samples; each knows what processes had drawn when they became VMs, in it or before."""
    with open(path, encoding="utf-8") as file:
        taken = [json.loads(line) for line in file]
    launched = {}
    for sample in taken:
        for pid, rows in sample.get("started", {}).items():
            launched = {**launched, int(pid): rows}
        sample["launched"] = launched
    return taken


def _zone_key(zone):
    """(type, physical package) of a powercap zone as the kernel names it."""
    parts = zone["path"].split(":")
    if not parts[0].startswith("intel-rapl") or len(parts) < 2:
        return None
    kind = "package" if zone["name"].startswith("package-") else zone["name"]
    return kind, int(parts[1]), zone["path"]


def _zones(before, after, package_of_zone):
    old = {zone["path"]: zone for zone in before["zones"]}
    found = []
    for zone in after["zones"]:
        key = _zone_key(zone)
        if key is None or zone["path"] not in old:
            continue
        moved = zone["energy_uj"] - old[zone["path"]]["energy_uj"]
        if moved < 0:
            moved += zone["max_uj"]
        found.append(Zone(key[0], package_of_zone.get(key[1], key[1]), moved))
    return tuple(found)


def _package_numbers(sample):
    """{index of intel-rapl:N: physical id}, by the zones' own names."""
    return {_zone_key(zone)[1]: int(zone["name"].partition("-")[2])
            for zone in sample["zones"] if zone["name"].startswith("package-") and _zone_key(zone)}


def _cpu_ticks(before, after):
    cpus, busy, idle = {}, {}, {}
    for cpu, package in after["packages"].items():
        old, new = before["cpu_ticks"].get(f"cpu{cpu}"), after["cpu_ticks"].get(f"cpu{cpu}")
        if old is None or new is None:
            continue
        moved = [b - a for a, b in zip(old, new)]
        cpus[package] = cpus.get(package, 0) + 1
        # user (guest time is inside), nice, system, idle, iowait, irq, softirq, steal
        idle[package] = idle.get(package, 0) + moved[3] + moved[4]
        busy[package] = busy.get(package, 0) + sum(moved[:3]) + sum(moved[5:8])
    return cpus, busy, idle


def _thread(thread, before, after, packages):
    old = {entry["tid"]: entry["ticks"] for entry in before["threads"]} if before else {}
    seen = after["residence"].get(str(thread["tid"]), {})
    seen_before = before["residence"].get(str(thread["tid"]), {}) if before else {}
    looks = {}
    for cpu, count in seen.items():
        package = packages[cpu]
        looks[package] = looks.get(package, 0) + count - seen_before.get(cpu, 0)
    total = sum(looks.values())
    last = packages[thread["cpu"]]
    shares = tuple((package, count / total) for package, count in looks.items()) if total else ((last, 1.0),)
    return Thread(thread["comm"], thread["ticks"] - old.get(thread["tid"], 0), last, shares)


def _vm(before, after, sample_before, sample_after):
    """A process that is new has no use yet: monitors that poll begin with what they see first."""
    if before is None or before["pid"] != after["pid"]:
        return None
    pid = str(after["pid"])
    ticks = sample_after["process_ticks"].get(pid, 0) - sample_before["process_ticks"].get(pid, 0)
    threads = tuple(_thread(thread, before, after, sample_after["packages"]) for thread in after["threads"])
    cycles = after["cycles"] - before["cycles"] if "cycles" in after and "cycles" in before else None
    return VmUse(max(ticks, 0), threads, cycles)


def _exact_ticks(before, after, cpus):
    """Busy and idle ticks by the module's account. /proc/stat samples at timer ticks, of which a simulated machine that
    shares its processors loses many; real ones do not, and formulas that rest on it shall not be blamed for that."""
    old, new = truth_at_others(before), truth_at_others(after)
    per_tick_ns = 1_000_000_000 / TICKS_PER_S
    busy = {package: package_field(old, new, package, "time_ns") / per_tick_ns for package in cpus}
    return busy, {package: count * (new.time_ns - old.time_ns) / per_tick_ns - busy[package] for package, count in cpus.items()}


def interval(before, after):
    cpus, busy, idle = _cpu_ticks(before, after)
    counted = sum(busy.values())
    if None not in before["truth"] + after["truth"]:
        busy, idle = _exact_ticks(before, after, cpus)
    both = before["process_ticks"]
    vms = {name: use for name, vm in after["vms"].items()
           if (use := _vm(before["vms"].get(name), vm, before, after)) is not None}
    return Interval((after["monotonic_ns"] - before["monotonic_ns"]) / 1e9,
                    _zones(before, after, _package_numbers(after)), cpus, busy, idle, counted,
                    sum(max(ticks - both[pid], 0) for pid, ticks in after["process_ticks"].items() if pid in both), vms)


def intervals(samples):
    return [interval(before, after) for before, after in zip(samples, samples[1:])]


@dataclass(frozen=True)
class Used:
    energy_uj: int = 0
    dram_uj: int = 0
    time_ns: int = 0
    cycles: int = 0

    def __add__(self, other):
        return Used(self.energy_uj + other.energy_uj, self.dram_uj + other.dram_uj, self.time_ns + other.time_ns,
                    self.cycles + other.cycles)

    def __sub__(self, other):
        return Used(self.energy_uj - other.energy_uj, self.dram_uj - other.dram_uj, self.time_ns - other.time_ns,
                    self.cycles - other.cycles)

    def scaled(self, factor):
        return Used(*(round(value * factor) for value in (self.energy_uj, self.dram_uj, self.time_ns, self.cycles)))


@dataclass
class Truth:
    """The module's account at one instant."""
    time_ns: int
    packages: dict  # {package: {field: value}}
    processes: dict  # {(pid, package): Used}
    vhost: dict  # {(comm, package): Used}: kernel threads that work for a VM
    threads: dict  # {(pid, tid, package): Used}: of VMs' processes
    names: dict  # {(pid, tid): comm}


def _fields(words):
    return {key: int(value) if value.lstrip("-").isdigit() else value
            for key, _, value in (word.partition("=") for word in words if "=" in word)}


def _used(fields):
    return Used(fields["energy_uj"], fields["dram_uj"], fields["time_ns"], fields["cycles"])


def parse_truth(text):
    truth = Truth(0, {}, {}, {}, {}, {})
    for line in text.splitlines():
        words = line.split()
        if words[0] == "time":
            truth.time_ns = int(words[1])
        elif words[0] == "package":
            truth.packages[int(words[1])] = _fields(words[2:])
        elif words[0] == "process":
            fields = _fields(words[2:])
            key = int(words[1]), fields["package"]
            # A pid can be used again: what both did counts, and the differences tell them apart.
            truth.processes[key] = truth.processes.get(key, Used()) + _used(fields)
        elif words[0] == "thread":
            fields = _fields(words[3:])
            pid, tid = int(words[1]), int(words[2])
            key, sums = (fields["comm"], fields["package"]), truth.vhost
            if not str(fields["comm"]).startswith("vhost-"):
                key, sums = (pid, tid, fields["package"]), truth.threads
                truth.names[pid, tid] = str(fields["comm"])
            sums[key] = sums.get(key, Used()) + _used(fields)
    return truth


def _between(first, second, part):
    """The account at a part of the way from one to the other."""
    def mix(a, b):
        return a + round((b - a) * part)

    def mixed(a, b):
        return {key: a.get(key, Used()) + (used - a.get(key, Used())).scaled(part) for key, used in b.items()}
    return Truth(mix(first.time_ns, second.time_ns),
                 {number: {key: mix(first.packages[number][key], value) for key, value in fields.items()}
                  for number, fields in second.packages.items()},
                 mixed(first.processes, second.processes), mixed(first.vhost, second.vhost),
                 mixed(first.threads, second.threads), second.names)


def _account(sample, number):
    """The one before or after the plugin's reading, of VMs only what they drew since they are VMs."""
    account = parse_truth(sample["truth"][number])
    for rows in sample.get("launched", {}).values():
        before = parse_truth(rows)
        for sums, drawn in ((account.processes, before.processes), (account.threads, before.threads)):
            for key, used in drawn.items():
                if key in sums:
                    sums[key] = sums[key] - used
    return account


def truth_at_reading(sample):
    """At the plugin's reading, between the two accounts that were taken around it; None without any."""
    if None in sample["truth"]:
        return None
    first, second = (_account(sample, number) for number in (0, 1))
    lasted = second.time_ns - first.time_ns
    at = sample.get("reading_ns", (first.time_ns + second.time_ns) // 2)
    if not first.time_ns <= at <= second.time_ns:
        raise ValueError("the plugin's reading is not between the accounts that were taken around it")
    return _between(first, second, (at - first.time_ns) / lasted if lasted > 0 else 1.0)


def account_gap_ns(sample):
    """How far apart the accounts before and after the plugin's reading are: what is between them is interpolated."""
    first, second = (parse_truth(text) for text in sample["truth"])
    return second.time_ns - first.time_ns


def truth_at_others(sample):
    """When the others' inputs were read: after the second account."""
    return _account(sample, 1)


def spent(before, after, pids):
    """{package: Used} of processes between two accounts."""
    found = {}
    for (pid, package), used in after.processes.items():
        if pid in pids:
            found[package] = found.get(package, Used()) + (used - before.processes.get((pid, package), Used()))
    return found


def vhost_spent(before, after, pids):
    """{package: Used} of the vhost workers of these processes, whose names hold the owner's pid."""
    found = {}
    for (comm, package), used in after.vhost.items():
        if any(comm == f"vhost-{pid}" for pid in pids):
            found[package] = found.get(package, Used()) + (used - before.vhost.get((comm, package), Used()))
    return found


def is_vcpu(name):
    """As QEMU calls its threads; in the account a blank is `_`."""
    return name.startswith(("CPU_", "ALL_"))


def other_threads_spent(before, after, pids):
    """{package: Used} of the threads of these processes that are no vCPUs."""
    found = {}
    for (pid, tid, package), used in after.threads.items():
        if pid in pids and not is_vcpu(after.names[pid, tid]):
            found[package] = found.get(package, Used()) + (used - before.threads.get((pid, tid, package), Used()))
    return found


def package_field(before, after, package, field):
    return after.packages[package][field] - before.packages[package][field]
