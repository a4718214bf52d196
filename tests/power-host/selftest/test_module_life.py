# SPDX-License-Identifier: LGPL-2.1-or-later
"""CPUs that go and come, the module that goes and comes."""

import contextlib
import errno
import os
import subprocess
import time
import unittest

import interfaces
from inside import package_of
from interfaces import (CPU, CYCLES, EVENT_SOURCES, POWERCAP, TYPE_HARDWARE, UNIT_UJ, Event, Mark, Spinner, TestCase, Truth,
                    counted_while, fault, needs, power_event, power_uj, read, reset_all, write)

MODULE = "/run/power-host/power_host.ko"


def set_online(cpu, online):
    write(f"{CPU}/cpu{cpu}/online", int(online))


class Hotplug(TestCase):
    def setUp(self):
        super().setUp()
        self.addCleanup(self.all_online)

    @staticmethod
    def all_online():
        for cpu in range(1, 4):
            if read(f"{CPU}/cpu{cpu}/online") == "0":
                set_online(cpu, True)

    def test_a_cpu_goes_and_comes(self):
        with Spinner() as one, Spinner():
            for _ in range(5):
                set_online(3, False)
                before = Truth()
                time.sleep(0.2)
                after = Truth()
                self.assert_sums(after)
                self.assertEqual(after.cpus[3]["time_ns"], before.cpus[3]["time_ns"])
                set_online(3, True)
            with Spinner(3):
                time.sleep(0.3)
                self.assertGreater(Truth().cpus[3]["time_ns"] - after.cpus[3]["time_ns"], 150_000_000)
            self.assertGreater(Truth().process(one.pid, "time_ns"), 0)
        self.assert_sums(Truth())

    @needs("second-package")
    def test_a_package_goes_with_its_last_cpu(self):
        set_online(2, False)
        has_zones = "powercap" in interfaces.FEATURES
        if has_zones:
            self.assertTrue(os.path.exists(f"{POWERCAP}/intel-rapl:1"))
        set_online(3, False)
        if has_zones:
            self.assertFalse(os.path.exists(f"{POWERCAP}/intel-rapl:1"))
            self.assert_errno(errno.ENODEV, fault, "return intel-rapl:1")
            fault("clear")
            self.assertFalse(os.path.exists(f"{POWERCAP}/intel-rapl:1"))
        self.assertEqual(read(f"{EVENT_SOURCES}/power/cpumask"), "0")
        set_online(3, True)
        if has_zones:
            self.assertEqual(read(f"{POWERCAP}/intel-rapl:1/name"), "package-1")
        self.assertEqual(read(f"{EVENT_SOURCES}/power/cpumask"), "0,3")

    @needs("power-pmu")
    def test_another_cpu_reads_on(self):
        readers = [int(cpu) for cpu in read(f"{EVENT_SOURCES}/power/cpumask").split(",")]
        reader = next((cpu for cpu in readers if cpu), None)
        if reader is None:
            self.skipTest("CPU 0 reads the only package, and cannot go")
        package = package_of(reader)
        with power_event("energy-pkg", reader) as event:
            first = Mark(lambda: event.count)
            set_online(reader, False)
            moved = Mark(lambda: event.count)
            self.assertNotIn(str(reader), read(f"{EVENT_SOURCES}/power/cpumask").split(","))
            time.sleep(1)
            last = Mark(lambda: event.count)

        def true(truth):
            return truth.package_uj(package)

        self.assert_counted(power_uj(last.value - moved.value, "energy-pkg"), moved, last, true, 2 * UNIT_UJ,
                            "energy after the move, uJ")
        # while perf moves it, it does not count
        over = power_uj(moved.value - first.value, "energy-pkg")
        self.assertTrue(0 < over <= true(moved.later) - true(first.earlier) + 2 * UNIT_UJ, over)

    @needs("cpu-pmu")
    def test_cycles_of_a_task_over_it(self):
        def switch_cpus():
            for _ in range(3):
                for cpu in (1, 2, 3):
                    set_online(cpu, False)
                time.sleep(0.2)
                self.all_online()

        with Spinner() as spinner, Event(TYPE_HARDWARE, CYCLES, pid=spinner.pid) as event:
            [(counted, *_)], true = counted_while(spinner, [event], switch_cpus)
        self.assert_share(counted, true, 1, "cycles of a task while CPUs go and come")


class Reload(TestCase):
    def setUp(self):
        super().setUp()
        parameters = {name: read(f"/sys/module/power_host/parameters/{name}")
                      for name in os.listdir("/sys/module/power_host/parameters")}
        self.arguments = [f"{name}={value}" for name, value in parameters.items()]

    def load(self):
        subprocess.run(["insmod", MODULE, *self.arguments], check=True)

    @staticmethod
    def unload():
        return subprocess.run(["rmmod", "power_host"], capture_output=True, text=True, check=False).returncode

    def test_again_and_again(self):
        with Spinner(1) as spinner, Spinner(2):
            for _ in range(4):
                if "cpu-pmu" in interfaces.FEATURES:  # leaves the task a context that outlives the PMU
                    with Event(TYPE_HARDWARE, CYCLES, pid=spinner.pid) as event:
                        time.sleep(0.1)
                        self.assertGreater(event.count, 0)
                with contextlib.suppress(OSError):
                    write(f"{POWERCAP}/intel-rapl:0/constraint_0_power_limit_uw", 22_000_000)
                self.assertEqual(self.unload(), 0)
                self.assertFalse(os.path.exists(interfaces.DEBUG))
                self.assertFalse(os.path.exists(f"{POWERCAP}/intel-rapl"))
                time.sleep(0.1)
                self.load()
                time.sleep(0.2)
                self.assertGreater(Truth().process(spinner.pid, "time_ns"), 100_000_000)
        reset_all()

    @needs("cpu-pmu")
    def test_not_while_an_event_is_open(self):
        with Event(TYPE_HARDWARE, CYCLES, cpu=0):
            self.assertNotEqual(self.unload(), 0)
        deadline = time.monotonic() + 10
        while self.unload() != 0:
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.1)
        self.load()

    def test_not_with_parameters_out_of_range(self):
        self.assertEqual(self.unload(), 0)
        names = []
        for argument in (f"static_uw={2**64 - 1}", "busy_cpu_uw=1000000001", "smt_percent=201", "counters=65",
                         f"wrap_uj={2**64 - 1}", "wrap_uj=0", "base_khz=99", "base_khz=0", "base_khz=4294967295"):
            refused = subprocess.run(["insmod", MODULE, *self.arguments, argument], capture_output=True, check=False)
            if refused.returncode == 0:
                names.append(argument)
                self.unload()
        self.load()
        self.assertEqual(names, [])

    def test_not_while_a_cpu_is_offline(self):
        self.assertEqual(self.unload(), 0)
        set_online(3, False)
        try:
            refused = subprocess.run(["insmod", MODULE, *self.arguments], capture_output=True, check=False).returncode
        finally:
            set_online(3, True)
        self.load()
        self.assertNotEqual(refused, 0)


if __name__ == "__main__":
    unittest.main()
