# SPDX-License-Identifier: LGPL-2.1-or-later
"""Frequencies: by acpi-cpufreq's transitions, or by the driver that is like intel_pstate."""

import errno
import os
import time
import unittest

import interfaces
from interfaces import BASE_KHZ, CPU, NS, Spinner, TestCase, Truth, control, needs, read, write

PSTATE = f"{CPU}/intel_pstate"


def policy(cpu, file):
    return f"{CPU}/cpu{cpu}/cpufreq/{file}"


def rates(spinner, seconds=0.4):
    """Hertz and watts of a process while it runs."""
    before = Truth()
    time.sleep(seconds)
    after = Truth()
    time_ns, cycles, uj = (after.process(spinner.pid, field) - before.process(spinner.pid, field)
                           for field in ("time_ns", "cycles", "energy_uj"))
    return cycles * NS / time_ns, uj * 1000 / time_ns


class Frequencies(TestCase):
    def cpus(self):
        return range(4)

    def set_governor(self, governor):
        for cpu in self.cpus():
            write(policy(cpu, "scaling_governor"), governor)


@needs("acpi-cpufreq")
class AcpiCpufreq(Frequencies):
    def setUp(self):
        super().setUp()
        self.addCleanup(self.set_governor, "performance")

    def test_follows_transitions_in_mid_run(self):
        self.assertEqual(read(policy(0, "scaling_driver")), "acpi-cpufreq")
        steps = sorted(int(khz) for khz in read(policy(1, "scaling_available_frequencies")).split())
        self.assertEqual(steps[-1], BASE_KHZ)
        self.set_governor("userspace")
        with Spinner(1) as spinner:
            for khz in (steps[0], steps[-1], steps[len(steps) // 2]):
                for cpu in self.cpus():
                    write(policy(cpu, "scaling_setspeed"), khz)
                self.assertEqual(int(read(policy(1, "scaling_cur_freq"))), khz)
                self.assertEqual(Truth().cpus[1]["khz"], khz)
                hertz, watts = rates(spinner)
                self.assert_share(hertz, khz * 1000, 0.01, "frequency, Hz")
                self.assert_share(watts, 5 * khz / BASE_KHZ, 0.01, "power at it, W")

    def test_power_goes_with_the_exponent(self):
        self.set_governor("powersave")
        khz = int(read(policy(1, "scaling_cur_freq")))
        self.assertLess(khz, BASE_KHZ)
        with Spinner(1) as spinner:
            for percent in (0, 50, 100, 200, 270, 300):
                control(frequency_exponent_percent=percent)
                _, watts = rates(spinner, 0.2)
                self.assert_share(watts, 5 * (khz / BASE_KHZ) ** (percent / 100), 0.05, f"power with exponent {percent / 100}, W")

    def test_every_governor(self):
        for governor in read(policy(0, "scaling_available_governors")).split():
            self.set_governor(governor)
            self.assertEqual(read(policy(0, "scaling_governor")), governor)
            with Spinner(1):
                time.sleep(0.3)
                self.assertEqual(Truth().cpus[1]["khz"], int(read(policy(1, "scaling_cur_freq"))))


@needs("pstate")
class Pstate(Frequencies):
    def setUp(self):
        super().setUp()
        self.addCleanup(self.restore)

    def restore(self):
        self.set_governor("performance")
        for cpu in self.cpus():
            write(policy(cpu, "energy_performance_preference"), "default")
        for file, value in (("max_perf_pct", 100), ("min_perf_pct", 0), ("no_turbo", 0)):
            write(f"{PSTATE}/{file}", value)

    def test_names(self):
        self.assertEqual(read(policy(0, "scaling_driver")), "intel_pstate")
        self.assertEqual(read(policy(0, "scaling_available_governors")).split(), ["performance", "powersave"])
        self.assertEqual(read(f"{PSTATE}/status"), "active")
        self.assert_errno(errno.EINVAL, write, policy(0, "scaling_governor"), "ondemand")
        self.assert_errno(errno.EINVAL, write, f"{PSTATE}/status", "passive")

    def test_limits_act_on_cycles_and_power(self):
        with Spinner(1) as spinner:
            for percent in (50, 100, 75):
                write(f"{PSTATE}/max_perf_pct", percent)
                hertz, watts = rates(spinner)
                self.assert_share(hertz, BASE_KHZ * 10 * percent, 0.1, "frequency, Hz")
                self.assert_share(watts, 5 * percent / 100, 0.1, "power at it, W")
                self.assertEqual(int(read(policy(1, "scaling_cur_freq"))), BASE_KHZ // 100 * percent)
        self.assert_errno(errno.EINVAL, write, f"{PSTATE}/max_perf_pct", "x")

    def test_no_turbo(self):
        write(f"{PSTATE}/no_turbo", 1)
        self.assertLess(Truth().cpus[0]["khz"], BASE_KHZ)
        write(f"{PSTATE}/no_turbo", 0)
        self.assertEqual(Truth().cpus[0]["khz"], BASE_KHZ)

    def test_preferences(self):
        preference = policy(0, "energy_performance_preference")
        self.assertEqual(read(preference), "performance")
        self.assert_errno(errno.EBUSY, write, preference, "power")
        self.set_governor("powersave")
        found = []
        for name in ("performance", "balance_performance", "balance_power", "power"):
            write(preference, name)
            self.assertEqual(read(preference), name)
            found.append(Truth().cpus[0]["khz"])
        self.assertEqual(found, sorted(found, reverse=True))
        self.assertEqual(len(set(found)), len(found))
        self.assert_errno(errno.EINVAL, write, preference, "x")

    def test_policy_limits(self):
        write(policy(1, "scaling_max_freq"), 1_200_000)
        self.assertEqual(Truth().cpus[1]["khz"], 1_200_000)
        write(policy(1, "scaling_max_freq"), BASE_KHZ)
        self.assertEqual(Truth().cpus[1]["khz"], BASE_KHZ)


@unittest.skipIf({"acpi-cpufreq", "pstate"} & interfaces.FEATURES, f"the configuration {interfaces.CONFIG.name} has cpufreq")
class NoCpufreq(TestCase):
    def test_is_not_there(self):
        self.assertFalse(os.path.exists(policy(0, "scaling_driver")))
        self.assertEqual({row["khz"] for row in Truth().cpus.values()}, {BASE_KHZ})


if __name__ == "__main__":
    unittest.main()
