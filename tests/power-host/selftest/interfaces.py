# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the module's tests share: its files, perf_event_open, processes that keep a CPU busy."""

import contextlib
import ctypes
import fcntl
import os
import signal
import struct
import subprocess
import unittest
from collections import defaultdict

import configs
from inside import CONFIG, CPU, read, write

POWERCAP = "/sys/class/powercap"
DEBUG = "/sys/kernel/debug/power_host"
EVENT_SOURCES = "/sys/bus/event_source/devices"
DEFAULTS = {"static_uw": 20_000_000, "busy_cpu_uw": 5_000_000, "frequency_exponent_percent": 100, "smt_percent": 100,
            "dram_static_uw": 2_000_000, "dram_busy_cpu_uw": 1_000_000, "counters": 3}
BASE_KHZ = 2_400_000
UNIT_UJ = 1e6 / 2**14  # of the energy counters
WRAP_UJ = 65_532_610
NS = 1_000_000_000

_PARAMETERS = {"powercap": 1, "power_pmu": 1, "cpu_pmu": 1, "pstate": 0, "amd": 0, "locked": 0} | CONFIG.parameters
FEATURES = frozenset(name for name, has in {
    "powercap": _PARAMETERS["powercap"],
    "limits": _PARAMETERS["powercap"] and not (_PARAMETERS["amd"] or _PARAMETERS["locked"]),
    "locked": _PARAMETERS["locked"],
    "intel": not _PARAMETERS["amd"],
    "power-pmu": _PARAMETERS["power_pmu"],
    "cpu-pmu": _PARAMETERS["cpu_pmu"],
    "acpi-cpufreq": CONFIG.acpi_cpufreq,
    "pstate": _PARAMETERS["pstate"],
    "second-package": CONFIG.smp == configs.TWO_PACKAGES,
    "smt": CONFIG.smp == configs.TWO_PACKAGES,
}.items() if has)


def needs(*features):
    """Skips what this configuration has not. What it should have and has not is a failure, not a skip."""
    missing = [feature for feature in features if feature not in FEATURES]
    return unittest.skipIf(missing, f"the configuration {CONFIG.name} has no {', '.join(missing)}")


def zone(name, file):
    return f"{POWERCAP}/{name}/{file}"


def read_uj(name):
    return int(read(zone(name, "energy_uj")))


def control(**values):
    for name, value in values.items():
        write(f"{DEBUG}/control", f"{name}={value}")


def fault(text):
    write(f"{DEBUG}/fault", text)


def reset_all():
    """As after loading."""
    control(**DEFAULTS)
    if "powercap" in FEATURES:
        fault("clear")
    # the default governor changes frequencies by load
    for cpu in range(4 if FEATURES & {"acpi-cpufreq", "pstate"} else 0):
        with contextlib.suppress(FileNotFoundError):
            write(f"{CPU}/cpu{cpu}/cpufreq/scaling_governor", "performance")
    write(f"{DEBUG}/control", "reset")


def _value(text):
    return int(text) if text.isdigit() else text


class Truth:
    """One reading of the file: rows as dictionaries."""

    def __init__(self):
        self.packages, self.cpus, self.processes, self.threads = {}, {}, [], []
        with open(f"{DEBUG}/truth", encoding="ascii") as file:
            lines = file.read().splitlines()
        for line in lines:
            kind, *words = line.split()
            row = dict(word.split("=") for word in words if "=" in word)
            row = {name: _value(text) for name, text in row.items()}
            plain = [int(word) for word in words if "=" not in word]
            if kind == "time":
                self.time_ns, self.lost = plain[0], row["lost_records"]
            elif kind == "package":
                self.packages[plain[0]] = row
            elif kind == "cpu":
                self.cpus[plain[0]] = row
            elif kind == "process":
                self.processes.append(row | {"pid": plain[0]})
            elif kind == "thread":
                self.threads.append(row | {"pid": plain[0], "tid": plain[1]})
            else:
                raise ValueError(f"truth: {line}")

    def process(self, pid, field):
        """Of all packages together."""
        return sum(row[field] for row in self.processes if row["pid"] == pid)

    def package_uj(self, package, domain="package"):
        row = self.packages[package]
        fields = {"package": ("static_uj", "dynamic_uj"), "core": ("cores_dynamic_uj",),
                  "dram": ("dram_static_uj", "dram_dynamic_uj")}[domain]
        return sum(row[field] for field in fields)


class Mark:
    """What read() gives, and the truth just before and just after it."""

    def __init__(self, read_counter):
        self.earlier = Truth()
        self.value = read_counter()
        self.later = Truth()


def _spin():
    while True:
        pass


def _is_stopped(pid):
    return read(f"/proc/{pid}/stat").rpartition(")")[2].split()[0] == "T"


def pause(*pids):
    """What is counted of these processes stands still, then; their true cycles."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    last = None
    while True:
        stopped = all(map(_is_stopped, pids))
        truth = Truth()
        cycles = sum(truth.process(pid, "cycles") for pid in pids)
        if stopped and cycles == last:  # else one may not have left its CPU yet
            return cycles
        last = cycles


def go_on(pid):
    os.kill(pid, signal.SIGCONT)


def close_events():
    """In a child: an event counts for as long as anybody holds it."""
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            if os.readlink(f"/proc/self/fd/{name}") == "anon_inode:[perf_event]":
                os.close(int(name))


class Spinner:
    """A process that keeps one CPU busy, or does what it is given again and again, until it is told to end."""

    def __init__(self, cpu=None, work=_spin):
        self.pid = os.fork()
        if self.pid == 0:
            with contextlib.suppress(BaseException):
                close_events()
                if cpu is not None:
                    os.sched_setaffinity(0, {cpu})
                while True:
                    work()
            os._exit(1)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()

    def end(self):
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            self.pid = 0


# perf_event_open

TYPE_HARDWARE, TYPE_RAW = 0, 4
CYCLES, INSTRUCTIONS, REFERENCE_CYCLES = 0, 1, 9
_ENABLED_AND_RUNNING = 3  # PERF_FORMAT_TOTAL_TIME_ENABLED | _RUNNING
_SYS_PERF_EVENT_OPEN = 298
_IOC_DISABLE, _IOC_ENABLE = 0x2401, 0x2400
INHERIT, EXCLUDE_USER = 1 << 1, 1 << 4
_libc = ctypes.CDLL(None, use_errno=True)


class Event:
    """One counter; a context manager."""

    def __init__(self, event_type, config, pid=-1, cpu=-1, group=-1, flags=0, sample_period=0):
        attr = struct.pack("=IIQQQQQ", event_type, 112, config, sample_period, 0, _ENABLED_AND_RUNNING, flags).ljust(112, b"\0")
        self.descriptor = _libc.syscall(_SYS_PERF_EVENT_OPEN, attr, pid, cpu, group, ctypes.c_ulong(8))
        if self.descriptor < 0:
            error = ctypes.get_errno()
            raise OSError(error, os.strerror(error))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.descriptor)

    def read(self):
        """Count, time enabled, time running."""
        return struct.unpack("=QQQ", os.read(self.descriptor, 24))

    @property
    def count(self):
        return self.read()[0]

    def disable(self):
        fcntl.ioctl(self.descriptor, _IOC_DISABLE, 0)


def counted_while(spinner, events, do):
    """What each event counted of the process while do() was done, (count, enabled, running), and the true cycles."""
    true_before = pause(spinner.pid)
    before = [event.read() for event in events]
    go_on(spinner.pid)
    do()
    true_after = pause(spinner.pid)
    after = [event.read() for event in events]
    return [tuple(b - a for a, b in zip(*pair)) for pair in zip(before, after)], true_after - true_before


def pmu_type(name):
    return int(read(f"{EVENT_SOURCES}/{name}/type"))


def power_event(event, cpu):
    config = int(read(f"{EVENT_SOURCES}/power/events/{event}").removeprefix("event="), 16)
    return Event(pmu_type("power"), config, cpu=cpu)


def power_uj(count, event):
    return count * float(read(f"{EVENT_SOURCES}/power/events/{event}.scale")) * 1e6


HARMLESS = "arch topology borken"  # of a sibling that goes: the emulated processor tells of no caches that the two share


def kernel_complaints():
    text = subprocess.run(["dmesg"], capture_output=True, text=True, check=True).stdout
    words = ("BUG", "WARNING", "Oops", "RCU stall", "Call Trace")
    return [line for line in text.splitlines() if HARMLESS not in line and any(word in line for word in words)]


def watts(before_uj, after_uj, before_ns, after_ns):
    return (after_uj - before_uj) * 1000 / (after_ns - before_ns)


class TestCase(unittest.TestCase):
    """Begins with the model as after loading, ends without any complaint of the kernel's."""

    def setUp(self):
        reset_all()
        self.addCleanup(reset_all)
        self.complaints = kernel_complaints()

    def tearDown(self):
        self.assertEqual(kernel_complaints(), self.complaints)

    def assert_share(self, value, expected, percent, what):
        """Prints how near it came, too: the figures that are reported."""
        off = 100 * (value - expected) / expected
        print(f"    {CONFIG.name}: {what}: {value:.6g}, expected {expected:.6g}, off by {off:+.3f} %")
        self.assertLessEqual(abs(off), percent, what)

    def assert_counted(self, counted, first, second, true, slack, what):
        """Of two marks: not less than what the truth grew by between them, not more than around them."""
        least, most = true(second.earlier) - true(first.later), true(second.later) - true(first.earlier)
        off = 100 * max(counted - least, most - counted) / most
        print(f"    {CONFIG.name}: {what}: {counted:.6g}, expected {least:.6g} to {most:.6g}, off by {off:.3f} % at most")
        self.assertGreaterEqual(counted, least - slack, what)
        self.assertLessEqual(counted, most + slack, what)

    def assert_sums(self, truth):
        for package, row in truth.packages.items():
            of_package = [[r for r in rows if r["package"] == package]
                          for rows in (truth.cpus.values(), truth.processes, truth.threads)]
            for rows in of_package:
                for exact in ("time_ns", "cycles"):
                    self.assertEqual(sum(r[exact] for r in rows), row[exact], exact)
                for field, total in (("energy_uj", "dynamic_uj"), ("dram_uj", "dram_dynamic_uj")):
                    # each row is cut down to whole microjoules
                    self.assertLessEqual(sum(r[field] for r in rows), row[total])
                    self.assertGreaterEqual(sum(r[field] for r in rows), row[total] - len(rows))
        threads = defaultdict(int)
        for row in truth.threads:
            threads[row["pid"], row["package"]] += row["time_ns"]
        processes = defaultdict(int)
        for row in truth.processes:
            processes[row["pid"], row["package"]] += row["time_ns"]
        self.assertEqual(processes, threads)

    def assert_errno(self, number, call, *arguments, **keywords):
        with self.assertRaises(OSError) as caught:
            call(*arguments, **keywords)
        self.assertEqual(caught.exception.errno, number)
