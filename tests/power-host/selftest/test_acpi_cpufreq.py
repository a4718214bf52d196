# SPDX-License-Identifier: LGPL-2.1-or-later
"""acpi-cpufreq by the ACPI table, and its absence where the configuration has none."""

import errno
import os
import unittest

from inside import CONFIG, CPU, cpus, read, write

FREQUENCIES_KHZ = [2400000, 2080000, 1760000, 1440000, 1120000, 800000]
GOVERNORS = {"conservative", "ondemand", "performance", "powersave", "schedutil", "userspace"}


def policy(cpu):
    return f"{CPU}/cpu{cpu}/cpufreq"


class AcpiCpufreq(unittest.TestCase):
    def setUp(self):
        if not CONFIG.acpi_cpufreq:
            self.skipTest("this configuration has no acpi-cpufreq")
        governor = read(f"{policy(0)}/scaling_governor")
        self.addCleanup(lambda: [write(f"{policy(cpu)}/scaling_governor", governor) for cpu in cpus()])

    def test_every_cpu_has_the_driver_and_six_frequencies(self):
        for cpu in cpus():
            with self.subTest(cpu=cpu):
                self.assertEqual(read(f"{policy(cpu)}/scaling_driver"), "acpi-cpufreq")
                listed = read(f"{policy(cpu)}/scaling_available_frequencies").split()
                self.assertEqual([int(word) for word in listed], FREQUENCIES_KHZ)
                self.assertEqual(read(f"{policy(cpu)}/related_cpus"), str(cpu))

    def test_all_governors_switch(self):
        for cpu in cpus():
            self.assertEqual(set(read(f"{policy(cpu)}/scaling_available_governors").split()), GOVERNORS)
            for governor in sorted(GOVERNORS):
                with self.subTest(cpu=cpu, governor=governor):
                    write(f"{policy(cpu)}/scaling_governor", governor)
                    self.assertEqual(read(f"{policy(cpu)}/scaling_governor"), governor)

    def test_a_governor_that_is_none_is_refused(self):
        with self.assertRaises(OSError) as caught:
            write(f"{policy(0)}/scaling_governor", "none-such")
        self.assertEqual(caught.exception.errno, errno.EINVAL)

    def test_userspace_sets_each_frequency_of_one_cpu_alone(self):
        for cpu in cpus():
            write(f"{policy(cpu)}/scaling_governor", "userspace")
            write(f"{policy(cpu)}/scaling_setspeed", FREQUENCIES_KHZ[0])
        for khz in FREQUENCIES_KHZ:
            write(f"{policy(1)}/scaling_setspeed", khz)
            self.assertEqual(int(read(f"{policy(1)}/scaling_cur_freq")), khz)
            self.assertEqual(int(read(f"{policy(2)}/scaling_cur_freq")), FREQUENCIES_KHZ[0])

    def test_performance_and_powersave_are_the_ends(self):
        for governor, khz in (("performance", FREQUENCIES_KHZ[0]), ("powersave", FREQUENCIES_KHZ[-1])):
            write(f"{policy(3)}/scaling_governor", governor)
            self.assertEqual(int(read(f"{policy(3)}/scaling_cur_freq")), khz)


class NoAcpiCpufreq(unittest.TestCase):
    def test_the_driver_is_another_or_none(self):
        if CONFIG.acpi_cpufreq:
            self.skipTest("this configuration has acpi-cpufreq")
        drivers = {read(f"{policy(cpu)}/scaling_driver") for cpu in cpus() if os.path.exists(f"{policy(cpu)}/scaling_driver")}
        self.assertEqual(drivers, {"intel_pstate"} if CONFIG.parameters.get("pstate") else set())
