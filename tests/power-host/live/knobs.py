# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the tests of knobs share: the kernel's own files, as they stand and as they were."""

import contextlib
import json
import os
import subprocess
import threading
import time
import unittest

import interfaces
from host import PluginTest
from inside import cpus
from interfaces import CPU, FEATURES, fault, read, write, zone
from plugin import KnobError

LOWEST_KHZ, HIGHEST_KHZ = 800_000, interfaces.BASE_KHZ
STEPS_KHZ = (800_000, 1_120_000, 1_440_000, 1_760_000, 2_080_000, 2_400_000)  # acpi-cpufreq's
LONG_UW, SHORT_UW = 125_000_000, 150_000_000
HAS_CPUFREQ = bool(FEATURES & {"acpi-cpufreq", "pstate"})
PSTATE = f"{CPU}/intel_pstate"
LIMIT_FILE = "constraint_0_power_limit_uw"

needs_cpufreq = unittest.skipUnless(HAS_CPUFREQ, f"the configuration {interfaces.CONFIG.name} has no cpufreq")


def policy(cpu, file):
    return f"{CPU}/cpu{cpu}/cpufreq/{file}"


def on_every_cpu(file):
    return [read(policy(cpu, file)) for cpu in cpus()]


def on_every_cpu_but_the_last(file):
    return [read(policy(cpu, file)) for cpu in cpus()[:-1]]


def online(cpu, there):
    write(f"{CPU}/cpu{cpu}/online", int(there))


def zones():
    """{zone's name: its directory}, as the kernel names them."""
    found = {}
    for directory in sorted(os.listdir(interfaces.POWERCAP)) if "powercap" in FEATURES else ():
        if ":" in directory:
            parent = directory.rpartition(":")[0]
            prefix = read(zone(parent, "name")) + "/" if ":" in parent else ""
            found[prefix + read(zone(directory, "name"))] = directory
    return found


def limit_uw(package=0, constraint=0):
    return int(read(zone(f"intel-rapl:{package}", f"constraint_{constraint}_power_limit_uw")))


def read_if_any(path):
    with contextlib.suppress(OSError):
        return read(path)
    return None


def all_that_can_be_set():
    """What every knob's file reads."""
    files = [policy(cpu, name) for cpu in cpus()
             for name in ("scaling_governor", "scaling_min_freq", "scaling_max_freq", "scaling_setspeed",
                          "energy_performance_preference")]
    files += [f"{PSTATE}/{name}" for name in ("max_perf_pct", "min_perf_pct", "no_turbo")]
    files += [zone(directory, name) for directory in zones().values()
              for name in ("enabled", *(f"constraint_{index}_{what}" for index in (0, 1)
                                        for what in ("power_limit_uw", "time_window_us")))]
    return {file: text for file in files if (text := read_if_any(file)) is not None}


def reset_knobs():
    """As after loading; the governor is PluginTest's."""
    for cpu in cpus():
        with contextlib.suppress(OSError):
            online(cpu, True)
    for cpu in cpus() if HAS_CPUFREQ else ():
        write(policy(cpu, "scaling_max_freq"), HIGHEST_KHZ)
        write(policy(cpu, "scaling_min_freq"), LOWEST_KHZ)
    if "pstate" in FEATURES:
        for file, value in (("max_perf_pct", 100), ("min_perf_pct", 0), ("no_turbo", 0)):
            write(f"{PSTATE}/{file}", value)
        for cpu in cpus():
            write(policy(cpu, "energy_performance_preference"), "default")
    if "limits" in FEATURES:
        fault("clear")
        for name, directory in zones().items():
            own = "/" in name
            write(zone(directory, LIMIT_FILE), 0 if own else LONG_UW)
            write(zone(directory, "constraint_0_time_window_us"), 976 if own else 999_424)
            write(zone(directory, "enabled"), int(not own))
            if not own:
                write(zone(directory, "constraint_1_power_limit_uw"), SHORT_UW)
                write(zone(directory, "constraint_1_time_window_us"), 2440)


@contextlib.contextmanager
def instead_of(path, other):
    """One of the kernel's files stands where another one was."""
    path = os.path.realpath(path)
    subprocess.run(["mount", "--bind", other, path], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", path], check=True)


class Running(threading.Thread):
    """A call in a thread of its own: what it gave, or the KnobError; when it was done."""

    def __init__(self, call):
        super().__init__()
        self.call, self.result, self.error, self.seconds = call, None, None, None
        self.begun = time.monotonic()
        self.start()

    def run(self):
        try:
            self.result = self.call()
        except KnobError as error:
            self.error = error
        self.seconds = time.monotonic() - self.begun


class KnobTest(PluginTest):
    def setUp(self):
        super().setUp()
        self.addCleanup(reset_knobs)
        self.plugin = self.open(counted=False)

    def restart(self):
        """As a daemon that ends and starts again."""
        self.plugin.close()
        self.plugin = self.open(counted=False)

    def journal(self):
        """{(place, file): value} of what can be put back."""
        path = f"{self.directory}/state/host-power-knobs.json"
        if not os.path.exists(path):
            return {}
        with open(path, encoding="utf-8") as file:
            return {(place, name): value for _, place, name, value in json.load(file)["records"]}

    def assert_fails(self, code, words, call, *arguments, **keywords):
        with self.assertRaises(KnobError) as caught:
            call(*arguments, **keywords)
        message = caught.exception.message
        self.assertEqual(code, caught.exception.code, message)
        for word in (words,) if isinstance(words, str) else words:
            self.assertIn(word, message)
        self.assertNotIn("\n", message)
        return message

    def assert_refused(self, code, words, topic, params=None, target=None, **keywords):
        """Nothing is changed, recorded or logged."""
        before, recorded, logged = all_that_can_be_set(), self.journal(), len(self.plugin.warnings())
        message = self.assert_fails(code, words, self.plugin.set_knob, topic, params, target, **keywords)
        self.assertEqual(before, all_that_can_be_set(), message)
        self.assertEqual(recorded, self.journal(), message)
        self.assertEqual([], self.plugin.warnings()[logged:], message)

    def set(self, topic, params, target=None, **keywords):
        return self.plugin.set_knob(topic, params, target, **keywords)

    def restore(self, topic, target=None):
        return self.plugin.set_knob(topic, target=target, restore=True)

    @staticmethod
    def changes_of_cpus(knob, before, asked, after, numbers=None):
        return [{"knob": knob, "cpus": str(cpu), "before": before, "asked": asked, "after": after}
                for cpu in (cpus() if numbers is None else numbers)]

    @staticmethod
    def change_of_zone(knob, before, asked, after, name="package-0", constraint="long_term"):
        change = {"knob": knob, "zone": name, "before": before, "asked": asked, "after": after}
        return change | ({"constraint": constraint} if constraint else {})
