# SPDX-License-Identifier: LGPL-2.1-or-later
"""What stood before the first change comes back; several clients set at once; limits that do not answer."""

import subprocess
import threading
import time

from host import PACKAGES
from inside import cpus, package_of
from interfaces import fault, needs, read, write, zone
from knobs import (HIGHEST_KHZ, LONG_UW, LOWEST_KHZ, STEPS_KHZ, KnobTest, Running, all_that_can_be_set, instead_of, limit_uw,
                   needs_cpufreq, on_every_cpu, on_every_cpu_but_the_last, online, policy)
from plugin import FREQUENCY, GOVERNOR, INVALID_ARG, OPERATION_INVALID, RAPL_LIMIT, SYSTEM, TIMEOUT, UNSUPPORTED

READ_PATIENCE_S, WRITE_PATIENCE_S, SLACK_S = 5, 20, 1.5
CALL_PATIENCE_S = 0.5  # of a snapshot


@needs_cpufreq
class RestoreCpus(KnobTest):
    def test_nothing_to_put_back(self):
        for topic in (GOVERNOR, FREQUENCY):
            self.assertEqual([], self.restore(topic))
            self.assertEqual([], self.restore(topic, "1"))
            self.assert_fails(INVALID_ARG, "there is no CPU 9", self.restore, topic, "9")
        self.assertEqual([], self.plugin.warnings())

    def test_what_stood_before_the_first_change_over_restarts(self):
        self.set(GOVERNOR, {"governor": "powersave"})
        self.restart()
        self.set(FREQUENCY, {"max": STEPS_KHZ[3], "min": STEPS_KHZ[1]})
        self.restart()
        self.set(FREQUENCY, {"max": STEPS_KHZ[2], "min": STEPS_KHZ[2]})
        self.set(GOVERNOR, {"governor": "performance"}, "0")
        self.set(GOVERNOR, {"governor": "powersave"}, "0")
        self.restart()
        changes = self.restore(GOVERNOR)
        self.assertEqual(["performance"] * 4, [change["after"] for change in changes])
        self.assertEqual(["performance"] * 4, on_every_cpu("scaling_governor"))
        self.assertEqual([str(STEPS_KHZ[2])] * 4, on_every_cpu("scaling_max_freq"), "each knob for itself")
        self.restart()
        self.assertEqual([], self.restore(GOVERNOR))
        self.assertEqual(8, len(self.restore(FREQUENCY)))
        self.assertEqual([str(LOWEST_KHZ)] * 4, on_every_cpu("scaling_min_freq"))
        self.assertEqual([str(HIGHEST_KHZ)] * 4, on_every_cpu("scaling_max_freq"))
        self.assertEqual({}, self.journal())

    def test_what_is_returned_of_it(self):
        self.set(GOVERNOR, {"governor": "powersave"})
        self.assertEqual(self.changes_of_cpus("governor", "powersave", "performance", "performance"), self.restore(GOVERNOR))
        self.set(FREQUENCY, {"max": STEPS_KHZ[2]}, "2")
        self.assertEqual(self.changes_of_cpus("max", STEPS_KHZ[2], HIGHEST_KHZ, HIGHEST_KHZ, [2]), self.restore(FREQUENCY))

    def test_of_some_cpus(self):
        self.set(GOVERNOR, {"governor": "powersave"})
        self.assertEqual(["1", "3"], [change["cpus"] for change in self.restore(GOVERNOR, "1,3")])
        self.assertEqual(["powersave", "performance"] * 2, on_every_cpu("scaling_governor"))
        self.assertEqual(["0", "2"], [change["cpus"] for change in self.restore(GOVERNOR)])

    @needs("acpi-cpufreq")
    def test_the_frequency_under_userspace(self):
        for cpu in cpus():
            write(policy(cpu, "scaling_governor"), "userspace")
            write(policy(cpu, "scaling_setspeed"), STEPS_KHZ[3])
        self.set(FREQUENCY, {"set": STEPS_KHZ[1]})
        self.set(GOVERNOR, {"governor": "powersave"})
        self.restart()
        self.restore(GOVERNOR)
        self.assertEqual(["userspace"] * 4, on_every_cpu("scaling_governor"))
        self.restore(FREQUENCY)
        self.assertEqual([str(STEPS_KHZ[3])] * 4, on_every_cpu("scaling_setspeed"))
        self.assertEqual({}, self.journal())

    def test_a_cpu_that_is_offline_is_put_back_later(self):
        self.set(GOVERNOR, {"governor": "powersave"})
        online(3, False)
        self.assert_fails(OPERATION_INVALID, ("CPU 3 is offline", "is kept", "3 others were put back"), self.restore, GOVERNOR)
        self.assertEqual(["performance"] * 3, on_every_cpu_but_the_last("scaling_governor"))
        self.restart()
        online(3, True)
        self.assertEqual(self.changes_of_cpus("governor", "powersave", "performance", "performance", [3]), self.restore(GOVERNOR))
        self.assertEqual(["performance"] * 4, on_every_cpu("scaling_governor"))

    @needs("acpi-cpufreq")
    def test_a_driver_that_goes_and_comes(self):
        self.set(GOVERNOR, {"governor": "powersave"})
        self.set(FREQUENCY, {"max": STEPS_KHZ[2]})
        subprocess.run(["rmmod", "acpi_cpufreq"], check=True)
        try:
            self.assert_fails(UNSUPPORTED, "no CPU has a cpufreq driver", self.plugin.get_knob, GOVERNOR)
            for topic, params in ((GOVERNOR, {"governor": "powersave"}), (FREQUENCY, {"max": STEPS_KHZ[1]})):
                self.assert_refused(UNSUPPORTED, "has no cpufreq driver", topic, params)
                self.assert_fails(OPERATION_INVALID, ("offline or has no cpufreq driver", "is kept"), self.restore, topic)
                self.assert_fails(UNSUPPORTED, "CPU 1 has no cpufreq driver", self.restore, topic, "1")
            self.restart()
        finally:
            subprocess.run(["modprobe", "acpi-cpufreq"], check=True)
        for cpu in cpus():
            write(policy(cpu, "scaling_governor"), "ondemand")
        self.assertEqual(["performance"] * 4, [change["after"] for change in self.restore(GOVERNOR)])
        self.assertEqual(["performance"] * 4, on_every_cpu("scaling_governor"))
        self.assertEqual(4, len(self.restore(FREQUENCY)))
        self.assertEqual([str(HIGHEST_KHZ)] * 4, on_every_cpu("scaling_max_freq"))

    def test_one_that_fails_does_not_stop_the_others(self):
        self.set(GOVERNOR, {"governor": "powersave"})
        with instead_of(policy(2, "scaling_governor"), policy(2, "scaling_max_freq")):
            self.assert_fails(SYSTEM, ("CPU 2", "Invalid argument", "3 others were put back"), self.restore, GOVERNOR)
        self.assertEqual(["performance", "performance", "powersave", "performance"], on_every_cpu("scaling_governor"))
        self.assertEqual(["2"], [change["cpus"] for change in self.restore(GOVERNOR)])

    def test_a_reboot_makes_it_void(self):
        self.set(GOVERNOR, {"governor": "powersave"})
        self.plugin.close()
        path = f"{self.directory}/state/host-power-knobs.json"
        with open(path, encoding="utf-8") as file:
            text = file.read()
        boot = read("/proc/sys/kernel/random/boot_id")
        self.assertIn(boot, text)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text.replace(boot, "00000000-0000-0000-0000-000000000000"))
        self.plugin = self.open(counted=False)
        self.assertEqual([], self.restore(GOVERNOR))
        self.assertEqual([], self.plugin.warnings())

    def test_where_nothing_can_be_recorded_nothing_is_changed(self):
        with open(f"{self.directory}/state", "w", encoding="ascii"):
            pass
        self.restart()
        before = all_that_can_be_set()
        self.assert_fails(SYSTEM, f"{self.directory}/state", self.set, GOVERNOR, {"governor": "powersave"})
        self.assertEqual(before, all_that_can_be_set())


@needs("limits")
class RestoreLimits(KnobTest):
    def test_nothing_to_put_back(self):
        for target in (None, "package-0"):
            self.assertEqual([], self.restore(RAPL_LIMIT, target))

    def test_what_stood_before_the_first_change_over_restarts(self):
        self.set(RAPL_LIMIT, {"power_limit": 30_000_000, "enabled": False}, "package-0")
        self.restart()
        self.set(RAPL_LIMIT, {"power_limit": 18_000_000, "time_window": 100_000}, "package-0")
        self.set(RAPL_LIMIT, {"power_limit": 5_000_000}, "package-0/dram")
        self.restart()
        self.assertEqual([self.change_of_zone("power_limit", 5_000_000, 0, 0, "package-0/dram")],
                         self.restore(RAPL_LIMIT, "package-0/dram"))
        self.assertEqual(18_000_000, limit_uw())
        self.assertEqual([("power_limit", LONG_UW), ("time_window", 999_424), ("enabled", True)],
                         [(change["knob"], change["after"]) for change in self.restore(RAPL_LIMIT)])
        self.assertEqual((LONG_UW, "1"), (limit_uw(), read(zone("intel-rapl:0", "enabled"))))
        self.restart()
        self.assertEqual([], self.restore(RAPL_LIMIT))

    def test_a_zone_that_vanished_is_put_back_later(self):
        self.set(RAPL_LIMIT, {"power_limit": 18_000_000}, all_packages=True)
        fault("vanish intel-rapl:0")
        self.assert_fails(OPERATION_INVALID, ("package-0 is not there", "is kept"), self.restore, RAPL_LIMIT)
        self.assertEqual({LONG_UW}, {limit_uw(package) for package in PACKAGES[1:]} or {LONG_UW})
        fault("return intel-rapl:0")
        self.assertEqual(18_000_000, limit_uw())
        self.assertEqual([self.change_of_zone("power_limit", 18_000_000, LONG_UW, LONG_UW)], self.restore(RAPL_LIMIT))
        self.assertEqual(LONG_UW, limit_uw())

    @needs("second-package")
    def test_a_package_without_a_cpu_is_put_back_later(self):
        self.set(RAPL_LIMIT, {"power_limit": 18_000_000}, "package-1")
        numbers = [cpu for cpu in cpus() if package_of(cpu) == 1]
        for cpu in numbers:
            online(cpu, False)
        self.assert_fails(INVALID_ARG, "there is no zone 'package-1'", self.plugin.get_knob, RAPL_LIMIT, "package-1")
        self.assert_fails(OPERATION_INVALID, ("package-1 is not there", "is kept"), self.restore, RAPL_LIMIT)
        for cpu in numbers:
            online(cpu, True)
        self.assertEqual([self.change_of_zone("power_limit", 18_000_000, LONG_UW, LONG_UW, "package-1")],
                         self.restore(RAPL_LIMIT, "package-1"))
        self.assertEqual(LONG_UW, limit_uw(1))


class Concurrent(KnobTest):
    """Several clients set the same at once: one after the other, each all of it."""

    ROUNDS = 6

    def assert_chain(self, results, first, last):
        """The calls stand in one row: what one of them found, the one before had left."""
        for value in {first, last, *(asked for _, asked in results)}:
            found = sum(before == value for before, _ in results)
            left = sum(asked == value for _, asked in results)
            self.assertEqual((value == first) - (value == last), found - left, (value, results))

    def run_all(self, values, call):
        """What each call found and left; all changes of a call agree."""
        def of_one(value):
            results = []
            for _ in range(self.ROUNDS):
                changes = call(value)
                self.assertEqual({(value, value)}, {(change["asked"], change["after"]) for change in changes})
                self.assertEqual(1, len({change["before"] for change in changes}), changes)
                results.append((changes[0]["before"], value))
            return results
        threads = [Running(lambda value=value: of_one(value)) for value in values]
        for thread in threads:
            thread.join(60)
        self.assertEqual([None] * len(values), [thread.error for thread in threads])
        for thread in threads:
            self.assertIsNotNone(thread.result, "see its traceback")
        return [result for thread in threads for result in thread.result]

    @needs_cpufreq
    def test_governors(self):
        offered = read(policy(0, "scaling_available_governors")).split()
        results = self.run_all(offered[:4], lambda governor: self.set(GOVERNOR, {"governor": governor}))
        self.assertEqual(1, len(set(on_every_cpu("scaling_governor"))))
        self.assert_chain(results, "performance", on_every_cpu("scaling_governor")[0])
        kept = [value for (_, file), value in self.journal().items() if file == "scaling_governor"]
        self.assertEqual(["performance"] * 4, kept)
        self.restore(GOVERNOR)
        self.assertEqual({}, self.journal())
        self.assertEqual(["performance"] * 4, on_every_cpu("scaling_governor"))

    @needs("limits")
    def test_limits(self):
        values = [20_000_000, 30_000_000, 40_000_000, 50_000_000]
        results = self.run_all(values, lambda uw: self.set(RAPL_LIMIT, {"power_limit": uw}, all_packages=True))
        self.assertEqual(1, len({limit_uw(package) for package in PACKAGES}))
        self.assert_chain(results, LONG_UW, limit_uw())
        self.assertEqual({str(LONG_UW)}, set(self.journal().values()))
        self.assertEqual(len(PACKAGES), len(self.restore(RAPL_LIMIT)))
        self.assertEqual({LONG_UW}, {limit_uw(package) for package in PACKAGES})

    @needs("limits", "acpi-cpufreq")
    def test_governors_and_limits_and_readers(self):
        stop = threading.Event()

        def read_all():
            while not stop.is_set():
                found = self.plugin.get_knob(GOVERNOR)
                self.assertEqual(1, len({value for name, value in found.items() if name.endswith(".governor")}), found)
                self.plugin.get_knob(RAPL_LIMIT)
                self.plugin.snapshot()
            return True
        reader = Running(read_all)
        try:
            other = Running(lambda: self.run_all([20_000_000, 30_000_000], lambda uw: self.set(
                RAPL_LIMIT, {"power_limit": uw}, all_packages=True)))
            self.run_all(["ondemand", "powersave"], lambda governor: self.set(GOVERNOR, {"governor": governor}))
            other.join()
        finally:
            stop.set()
            reader.join()
        self.assertTrue(reader.result and other.result, "see their tracebacks")


@needs("limits")
class Hanging(KnobTest):
    """A zone's limits that do not answer."""

    def snapshots(self, seconds):
        longest, deadline = 0.0, time.monotonic() + seconds
        while time.monotonic() < deadline:
            longest = max(longest, self.plugin.snapshot().seconds)
            time.sleep(0.1)
        return longest

    def test_holds_up_nobody(self):
        self.plugin.close()
        self.plugin = self.open()
        fault("stall intel-rapl:0 60000")
        setter = Running(lambda: self.set(RAPL_LIMIT, {"power_limit": 18_000_000}, "package-0", who="somebody patient"))
        time.sleep(0.3)
        getters = [Running(lambda: self.plugin.get_knob(RAPL_LIMIT)), Running(lambda: self.plugin.get_knob(GOVERNOR))]
        self.assertLessEqual(self.snapshots(READ_PATIENCE_S), CALL_PATIENCE_S + SLACK_S)
        first, second = self.plugin.snapshot(), None
        time.sleep(1)
        second = self.plugin.snapshot()
        self.assertGreater(second.zones()["package-0"]["energy"], first.zones()["package-0"]["energy"], "energy goes on")
        for getter in getters:
            getter.join()
            self.assertEqual(TIMEOUT, getter.error.code)
            self.assertIn("try again later", getter.error.message)
            self.assertLess(getter.seconds, READ_PATIENCE_S + SLACK_S)
        setter.join()
        self.assertEqual(TIMEOUT, setter.error.code)
        self.assertIn("has not answered", setter.error.message)
        self.assertIn("the change may still come, and the daemon's log will tell of it", setter.error.message)
        self.assertLess(setter.seconds, WRITE_PATIENCE_S + SLACK_S)
        self.assertEqual([], [line for line in self.plugin.warnings() if "somebody patient" in line])
        fault("clear")
        line = self.wait_for(lambda: [line for line in self.plugin.warnings() if "somebody patient" in line], 5, "the log tells")
        self.assertIn("from 125000000 to 18000000", line[0])
        self.assertEqual(18_000_000, limit_uw())
        self.assertEqual(18_000_000, self.plugin.get_knob(RAPL_LIMIT, "package-0")["zone.0.constraint.0.power_limit"])
        self.assertEqual(1, len(self.restore(RAPL_LIMIT)))

    def test_does_not_hold_up_the_end_of_the_daemon(self):
        fault("stall intel-rapl:0 60000")
        getter = Running(lambda: self.plugin.get_knob(RAPL_LIMIT))
        getter.join()
        self.assertEqual(TIMEOUT, getter.error.code)
        begun = time.monotonic()
        self.plugin.close()
        self.assertLess(time.monotonic() - begun, 2 * CALL_PATIENCE_S + SLACK_S)
        logged = len(self.plugin.log)
        fault("clear")
        time.sleep(0.5)
        self.assertEqual(logged, len(self.plugin.log), "nothing is logged after the end")

    def test_a_slow_one_is_waited_for(self):
        fault("stall intel-rapl:0 100")
        self.assertEqual(18_000_000, self.set(RAPL_LIMIT, {"power_limit": 18_000_000}, "package-0")[0]["after"])
        self.assertEqual(18_000_000, self.plugin.get_knob(RAPL_LIMIT, "package-0")["zone.0.constraint.0.power_limit"])
