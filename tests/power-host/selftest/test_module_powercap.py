# SPDX-License-Identifier: LGPL-2.1-or-later
"""Zones, counters, limits and what can go wrong with them."""

import errno
import os
import stat
import time
import unittest

import interfaces
from inside import package_of
from interfaces import (POWERCAP, UNIT_UJ, WRAP_UJ, Mark, Spinner, TestCase, Truth, control, fault, needs, read, read_uj, write,
                        zone)

WRAP = "/sys/module/power_host/parameters/wrap_uj"

DOMAINS = {"core": "intel-rapl:0:0", "dram": "intel-rapl:0:1"}


def limit(value=None, name="intel-rapl:0", constraint=0):
    path = zone(name, f"constraint_{constraint}_power_limit_uw")
    if value is not None:
        write(path, value)
    return int(read(path))


@needs("powercap")
class Zones(TestCase):
    def test_names(self):
        packages = 2 if "second-package" in interfaces.FEATURES else 1
        expected = {"intel-rapl"}
        for package in range(packages):
            self.assertEqual(read(zone(f"intel-rapl:{package}", "name")), f"package-{package}")
            self.assertEqual(read(zone(f"intel-rapl:{package}:0", "name")), "core")
            expected |= {f"intel-rapl:{package}", f"intel-rapl:{package}:0"}
            if "intel" in interfaces.FEATURES:
                self.assertEqual(read(zone(f"intel-rapl:{package}:1", "name")), "dram")
                expected.add(f"intel-rapl:{package}:1")
        self.assertEqual(set(os.listdir(POWERCAP)), expected)

    def test_energy_is_roots(self):
        self.assertEqual(stat.S_IMODE(os.stat(zone("intel-rapl:0", "energy_uj")).st_mode), 0o400)
        self.assertEqual(int(read(zone("intel-rapl:0", "max_energy_range_uj"))), WRAP_UJ)

    def test_grows_as_the_truth_does(self):
        with Spinner(0):
            for domain in ("package", *(d for d in DOMAINS if d == "core" or "intel" in interfaces.FEATURES)):
                name = DOMAINS.get(domain, "intel-rapl:0")
                first = Mark(lambda name=name: read_uj(name))
                time.sleep(1)
                second = Mark(lambda name=name: read_uj(name))
                self.assert_counted((second.value - first.value) % (WRAP_UJ + 1), first, second,
                                    lambda truth, domain=domain: truth.package_uj(0, domain), 2 * UNIT_UJ,
                                    f"energy of {domain}, uJ")

    def test_counts_in_the_hardwares_units(self):
        values = [read_uj("intel-rapl:0") for _ in range(50)]
        steps = [(after - before) % (WRAP_UJ + 1) for before, after in zip(values, values[1:])]
        self.assertGreater(sum(step > 0 for step in steps), 10)
        for step in steps:
            self.assertLess(abs(step / UNIT_UJ - round(step / UNIT_UJ)), 0.05, step)

    def test_wraps(self):
        control(static_uw=400_000_000)
        first = Mark(lambda: read_uj("intel-rapl:0"))
        last, wraps = first.value, 0
        for _ in range(60):
            time.sleep(0.02)
            mark = Mark(lambda: read_uj("intel-rapl:0"))
            now = mark.value
            self.assertLessEqual(now, WRAP_UJ)
            wraps += now < last
            last = now
        self.assertGreater(wraps, 3)
        self.assert_counted(wraps * (WRAP_UJ + 1) + last - first.value, first, mark, lambda truth: truth.package_uj(0),
                            2 * UNIT_UJ, "energy over several wraps, uJ")

    def test_range_is_checked(self):
        self.addCleanup(write, WRAP, WRAP_UJ)
        for text in (0, 2**63, 2**64 - 1):
            self.assert_errno(errno.ERANGE, write, WRAP, text)
        self.assert_errno(errno.EINVAL, write, WRAP, "x")
        self.assertEqual(int(read(WRAP)), WRAP_UJ)
        for uj in (1, 2**62 - 1):
            write(WRAP, uj)
            self.assertLessEqual(read_uj("intel-rapl:0"), uj)


@needs("limits")
class Limits(TestCase):
    def setUp(self):
        super().setUp()
        self.addCleanup(self.restore)

    @staticmethod
    def restore():
        limit(125_000_000)
        limit(150_000_000, constraint=1)
        write(zone("intel-rapl:0", "constraint_0_time_window_us"), 999_424)
        write(zone("intel-rapl:0", "enabled"), 1)

    def test_are_kept_in_the_hardwares_steps(self):
        self.assertEqual(limit(30_000_001), 30_000_000)
        self.assertEqual(limit(30_124_999), 30_000_000)
        self.assertEqual(limit(30_125_000), 30_125_000)
        window = zone("intel-rapl:0", "constraint_0_time_window_us")
        write(window, 1_000_000)
        self.assertEqual(int(read(window)), 999_424)
        write(window, 100_000)
        self.assertTrue(80_000 <= int(read(window)) <= 100_000)
        self.assertEqual(read(zone("intel-rapl:0", "constraint_0_name")), "long_term")
        self.assertEqual(read(zone("intel-rapl:0", "constraint_1_name")), "short_term")
        self.assertEqual(int(read(zone("intel-rapl:0", "constraint_0_max_power_uw"))), 125_000_000)

    def test_junk_is_refused(self):
        for text in ("x", "-1", "", "1.5"):
            if text:
                self.assert_errno(errno.EINVAL, limit, text)

    def test_stall_until_cleared(self):
        def seconds(value):
            begun = time.monotonic()
            limit(value)
            return time.monotonic() - begun
        fault("stall intel-rapl:0 300")
        self.assertGreaterEqual(seconds(None), 0.3)
        self.assertGreaterEqual(seconds(50_000_000), 0.6)
        begun = time.monotonic()
        limit(1_000_000, "intel-rapl:0:0")
        read_uj("intel-rapl:0")
        self.assertLess(time.monotonic() - begun, 0.3)
        fault("clear")
        self.assertLess(min(seconds(None) for _ in range(10)), 0.15)
        self.assertEqual(limit(), 50_000_000)
        limit(0, "intel-rapl:0:0")

    def test_subzones_keep_their_own(self):
        self.assertEqual(limit(5_000_000, "intel-rapl:0:0"), 5_000_000)
        self.assertEqual(limit(), 125_000_000)
        limit(0, "intel-rapl:0:0")

    def limited(self, watts, package_cpus, seconds=3.0, window_us=200_000):
        """Mean power, and cycles per second of CPU time, once the limit is reached."""
        spinners = [Spinner(cpu) for cpu in package_cpus]
        try:
            write(zone("intel-rapl:0", "constraint_0_time_window_us"), window_us)
            limit(int(watts * 1e6))
            time.sleep(1.5)
            before = Truth()
            time.sleep(seconds)
            after = Truth()
        finally:
            for spinner in spinners:
                spinner.end()
        cycles, time_ns = (after.packages[0][field] - before.packages[0][field] for field in ("cycles", "time_ns"))
        drawn = interfaces.watts(before.package_uj(0), after.package_uj(0), before.time_ns, after.time_ns)
        return drawn, cycles * interfaces.NS / time_ns

    def test_are_obeyed(self):
        cpus = [cpu for cpu in range(4) if package_of(cpu) == 0]
        control(busy_cpu_uw=20_000_000 // len(cpus))
        for watts in (35, 25):
            measured, hertz = self.limited(watts, cpus)
            self.assert_share(measured, watts, 3, f"power limited to {watts} W, W")
            self.assert_share(hertz, interfaces.BASE_KHZ * 1000 * (watts - 20) / 20, 5, "frequency under the limit, Hz")

    def test_are_obeyed_when_power_is_not_linear(self):
        cpus = [cpu for cpu in range(4) if package_of(cpu) == 0]
        control(busy_cpu_uw=20_000_000 // len(cpus), frequency_exponent_percent=250)
        measured, hertz = self.limited(30, cpus)
        self.assert_share(measured, 30, 3, "power limited to 30 W, exponent 2.5, W")
        self.assert_share(hertz, interfaces.BASE_KHZ * 1000 * 0.5 ** (1 / 2.5), 5, "frequency under the limit, Hz")

    def test_are_obeyed_by_a_load_that_comes_and_goes(self):
        cpus = [cpu for cpu in range(4) if package_of(cpu) == 0]
        control(busy_cpu_uw=40_000_000 // len(cpus), static_uw=10_000_000)
        with Spinner(cpus[0]) as first, Spinner(cpus[0]):
            self.assertTrue(first.pid)
            measured, _ = self.limited(30, cpus[1:])
        self.assert_share(measured, 30, 3, "power limited to 30 W, W")

    def test_are_not_obeyed_when_disabled(self):
        write(zone("intel-rapl:0", "enabled"), 0)
        self.assertEqual(read(zone("intel-rapl:0", "enabled")), "0")
        cpus = [cpu for cpu in range(4) if package_of(cpu) == 0]
        control(busy_cpu_uw=20_000_000 // len(cpus))
        measured, _ = self.limited(25, cpus, seconds=1)
        self.assertGreater(measured, 36)

    def test_short_term_limit(self):
        limit(30_000_000, constraint=1)
        cpus = [cpu for cpu in range(4) if package_of(cpu) == 0]
        control(busy_cpu_uw=20_000_000 // len(cpus))
        measured, _ = self.limited(125, cpus, seconds=1)
        self.assert_share(measured, 30, 3, "power limited to 30 W at short term, W")


@needs("locked")
class Locked(TestCase):
    def test_writes_fail_and_change_nothing(self):
        before = limit()
        # the driver says EACCES; the powercap core makes ENODATA of it, and ENOSYS for `enabled`
        self.assert_errno(errno.ENODATA, limit, 30_000_000)
        self.assert_errno(errno.ENODATA, write, zone("intel-rapl:0", "constraint_0_time_window_us"), 1_000_000)
        self.assert_errno(errno.ENOSYS, write, zone("intel-rapl:0", "enabled"), 1)
        self.assertEqual(limit(), before)
        self.assertEqual(read(zone("intel-rapl:0", "enabled")), "0")


@needs("powercap")
class WithoutLimits(TestCase):
    def test_no_constraints_on_amd(self):
        has = os.path.exists(zone("intel-rapl:0", "constraint_0_power_limit_uw"))
        self.assertEqual(has, "intel" in interfaces.FEATURES)


@needs("powercap")
class Faults(TestCase):
    def test_vanish_and_return(self):
        fault("vanish intel-rapl:0")
        self.assertFalse([name for name in os.listdir(POWERCAP) if name.startswith("intel-rapl:0")])
        self.assertTrue(Truth().packages[0]["static_uj"] > 0)
        self.assert_errno(errno.ENODEV, fault, "return intel-rapl:0:0")  # its parent is not there
        fault("return intel-rapl:0")
        self.assertEqual(read(zone("intel-rapl:0", "name")), "package-0")
        self.assertEqual(read(zone("intel-rapl:0:0", "name")), "core")
        self.assert_errno(errno.EEXIST, fault, "return intel-rapl:0")

    def test_vanish_while_read(self):
        fault("slow intel-rapl:0 300")
        child = os.fork()
        if child == 0:
            try:
                read_uj("intel-rapl:0")
            except OSError:
                pass
            os._exit(0)
        time.sleep(0.1)
        fault("vanish intel-rapl:0")
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), 0)
        fault("clear")
        self.assertGreaterEqual(read_uj("intel-rapl:0"), 0)

    def test_a_subzone_alone(self):
        fault("vanish intel-rapl:0:0")
        self.assertFalse(os.path.exists(f"{POWERCAP}/intel-rapl:0:0"))
        self.assertTrue(os.path.exists(f"{POWERCAP}/intel-rapl:0"))
        fault("return intel-rapl:0:0")
        self.assertEqual(read(zone("intel-rapl:0:0", "name")), "core")

    def test_cannot_be_read(self):
        fault("eio intel-rapl:0")
        # the driver says EIO; the powercap core makes EINVAL of any error
        self.assert_errno(errno.EINVAL, read_uj, "intel-rapl:0")
        self.assertGreaterEqual(read_uj("intel-rapl:0:0"), 0)
        fault("clear")
        self.assertGreaterEqual(read_uj("intel-rapl:0"), 0)

    def test_jumps_back(self):
        while not 15_000_000 < read_uj("intel-rapl:0") < 55_000_000:
            time.sleep(0.1)
        before = Mark(lambda: read_uj("intel-rapl:0"))
        fault("jump intel-rapl:0 10000000")
        after = Mark(lambda: read_uj("intel-rapl:0"))
        self.assertLess(after.value, before.value)
        self.assert_counted(after.value + 10_000_000 - before.value, before, after, lambda truth: truth.package_uj(0),
                            2 * UNIT_UJ, "energy over a jump of 10 J back, uJ")

    @staticmethod
    def read_seconds():
        begun = time.monotonic()
        read_uj("intel-rapl:0")
        return time.monotonic() - begun

    def test_is_slow(self):
        fault("slow intel-rapl:0 200")
        self.assertGreaterEqual(min(self.read_seconds() for _ in range(2)), 0.2)
        fault("clear")
        self.assertLess(min(self.read_seconds() for _ in range(10)), 0.15)

    def test_is_slow_until_cleared_or_killed(self):
        fault("slow intel-rapl:0 60000")
        begun = time.monotonic()
        readers = [Spinner(work=lambda: read_uj("intel-rapl:0")) for _ in range(2)]
        time.sleep(0.5)
        readers[0].end()
        changer = os.fork()
        if changer == 0:
            fault("vanish intel-rapl:0")  # waits for the other reader
            os._exit(0)
        time.sleep(0.5)
        self.assertEqual(os.waitpid(changer, os.WNOHANG), (0, 0))
        fault("clear")
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(changer, 0)[1]), 0)
        readers[1].end()
        fault("clear")
        self.assertGreaterEqual(read_uj("intel-rapl:0"), 0)
        self.assertLess(time.monotonic() - begun, 30)

    def test_junk_is_refused(self):
        for text in (" ", "x", "vanish", "vanish intel-rapl:0 5", "vanish intel-rapl:0 junk", "slow intel-rapl:0",
                     "what intel-rapl:0", "clear\0junk", "jump intel-rapl:0 1 2", "jump intel-rapl:0 x",
                     "slow intel-rapl:0 -1"):
            self.assert_errno(errno.EINVAL, fault, text)
        for text in ("vanish intel-rapl:9", "vanish intel-rapl", "eio intel-rapl:0:7", "vanish intel-rapl:0:zz",
                     "vanish intel-rapl:0x", "vanish intel-rapl:00", "vanish intel-rapl:0:", "clear junk"):
            self.assert_errno(errno.ENODEV, fault, text)
        for text in ("slow intel-rapl:0 60001", "stall intel-rapl:0 60001", "slow intel-rapl:0 4294967296",
                     f"jump intel-rapl:0 {WRAP_UJ + 1}", "jump intel-rapl:0 99999999999999999999999999"):
            self.assert_errno(errno.ERANGE, fault, text)
        self.assertGreaterEqual(read_uj("intel-rapl:0:0"), 0)


if __name__ == "__main__":
    unittest.main()
