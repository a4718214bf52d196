# SPDX-License-Identifier: LGPL-2.1-or-later
"""Governors, frequencies and power limits: read, set and refused by the plugin, beside the kernel's own files."""

import contextlib
import math
import os
import threading
import time

import interfaces
from host import PACKAGES
from inside import cpus, package_of
from interfaces import FEATURES, Spinner, Truth, control, fault, needs, read, write, zone
from knobs import (HAS_CPUFREQ, HIGHEST_KHZ, LIMIT_FILE, LONG_UW, LOWEST_KHZ, PSTATE, SHORT_UW, STEPS_KHZ, KnobTest, instead_of,
                   limit_uw, needs_cpufreq, on_every_cpu, on_every_cpu_but_the_last, online, policy, read_if_any, zones)
from plugin import (DOUBLE, FREQUENCY, GOVERNOR, INT, INVALID_ARG, LLONG, OPERATION_INVALID, RAPL_LIMIT, SYSTEM, UINT,
                    UNSUPPORTED, KnobError, Typed)

HIGHEST = 2**64 - 1
COARSE_S = 10
READ_ONLY = "[access]\nread_only={}\n"


@needs_cpufreq
class GetCpus(KnobTest):
    @staticmethod
    def expected(numbers, leaves):
        """As sysfs says: {leaf: (file, type)}."""
        found = {"cpu.count": len(numbers)}
        for index, cpu in enumerate(numbers):
            found |= {f"cpu.{index}.id": cpu, f"cpu.{index}.policy": read(policy(cpu, "affected_cpus"))}
            for leaf, (file, kind) in leaves.items():
                text = read_if_any(policy(cpu, file))
                if text and not text.startswith("<"):
                    found[f"cpu.{index}.{leaf}"] = kind(text)
        return found

    GOVERNORS = {"driver": ("scaling_driver", str), "governor": ("scaling_governor", str),
                 "governors": ("scaling_available_governors", str)}
    FREQUENCIES = {"current": ("scaling_cur_freq", int), "min": ("scaling_min_freq", int), "max": ("scaling_max_freq", int),
                   "hardware.min": ("cpuinfo_min_freq", int), "hardware.max": ("cpuinfo_max_freq", int),
                   "set": ("scaling_setspeed", int), "available": ("scaling_available_frequencies", str),
                   "energy_preference": ("energy_performance_preference", str),
                   "energy_preferences": ("energy_performance_available_preferences", str)}

    def test_governors(self):
        found = self.plugin.get_knob(GOVERNOR)
        self.assertEqual(self.expected(cpus(), self.GOVERNORS), found)
        self.assertEqual("intel_pstate" if "pstate" in FEATURES else "acpi-cpufreq", found["cpu.3.driver"])
        self.assertEqual("performance", found["cpu.3.governor"])

    def test_frequencies(self):
        found = self.plugin.get_knob(FREQUENCY)
        expected = self.expected(cpus(), self.FREQUENCIES) | {"current.status": "ok"}
        if "pstate" in FEATURES:
            expected |= {"max_perf_pct": 100, "min_perf_pct": int(read(f"{PSTATE}/min_perf_pct")), "turbo": True}
        self.assertEqual(expected, found)
        self.assertEqual((LOWEST_KHZ, HIGHEST_KHZ, HIGHEST_KHZ),
                         tuple(found[f"cpu.0.{leaf}"] for leaf in ("hardware.min", "hardware.max", "current")))

    @needs("acpi-cpufreq")
    def test_the_frequency_that_is_set_under_userspace(self):
        self.assertNotIn("cpu.0.set", self.plugin.get_knob(FREQUENCY))
        write(policy(0, "scaling_governor"), "userspace")
        write(policy(0, "scaling_setspeed"), STEPS_KHZ[2])
        found = self.plugin.get_knob(FREQUENCY)
        self.assertEqual((STEPS_KHZ[2], STEPS_KHZ[2]), (found["cpu.0.set"], found["cpu.0.current"]))
        self.assertNotIn("cpu.1.set", found)

    def test_of_some_cpus(self):
        for text, numbers in (("1", [1]), ("0-3,^2", [0, 1, 3]), ("3,0", [0, 3]), ("2,2", [2])):
            with self.subTest(text):
                self.assertEqual(self.expected(numbers, self.GOVERNORS), self.plugin.get_knob(GOVERNOR, text))

    def test_a_cpu_that_is_offline(self):
        online(3, False)
        self.assertEqual(3, self.plugin.get_knob(GOVERNOR)["cpu.count"])
        for topic in (GOVERNOR, FREQUENCY):
            self.assert_fails(OPERATION_INVALID, "CPU 3 is offline", self.plugin.get_knob, topic, "2-3")


@needs("powercap")
class GetZones(KnobTest):
    @staticmethod
    def expected(names):
        found = {"zone.count": len(names)}
        for index, name in enumerate(names):
            directory = zones()[name]
            stem = f"zone.{index}."
            found |= {f"{stem}name": name, f"{stem}enabled": read(zone(directory, "enabled")) == "1"}
            indices = [number for number in range(2) if os.path.exists(zone(directory, f"constraint_{number}_name"))]
            found[f"{stem}constraint.count"] = len(indices)
            for number in indices:
                at = f"{stem}constraint.{number}."
                found |= {f"{at}index": number, f"{at}name": read(zone(directory, f"constraint_{number}_name"))}
                for leaf, file in (("power_limit", "power_limit_uw"), ("time_window", "time_window_us"),
                                   ("max_power", "max_power_uw")):
                    found[at + leaf] = int(read(zone(directory, f"constraint_{number}_{file}")))
        return found

    def test_all_zones(self):
        self.assertEqual(self.expected(list(zones())), self.plugin.get_knob(RAPL_LIMIT))
        self.assertEqual(len(PACKAGES), sum("/" not in name for name in zones()))

    def test_of_a_zone(self):
        for name in zones():
            with self.subTest(name):
                self.assertEqual(self.expected([name]), self.plugin.get_knob(RAPL_LIMIT, name))

    def test_a_zone_that_is_not_there(self):
        for name in ("package-9", "../intel-rapl", "intel-rapl:0", "package-0/../package-0", "", "package-0\n", "x" * 5000):
            with self.subTest(name):
                self.assert_fails(INVALID_ARG, ("there is no zone", "there are: package-0, package-0/core"),
                                  self.plugin.get_knob, RAPL_LIMIT, name)

    def test_a_zone_that_vanished(self):
        fault("vanish intel-rapl:0")
        if PACKAGES == (0,):
            self.assert_fails(UNSUPPORTED, "no RAPL zones", self.plugin.get_knob, RAPL_LIMIT)
        else:
            self.assert_fails(INVALID_ARG, "there is no zone 'package-0'", self.plugin.get_knob, RAPL_LIMIT, "package-0")
            self.assertEqual(self.expected(list(zones())), self.plugin.get_knob(RAPL_LIMIT))


class Absent(KnobTest):
    """What this host has not got cannot be read, nor set, nor put back."""

    def test_cpufreq(self):
        if HAS_CPUFREQ:
            self.skipTest("it is there")
        for topic, params in ((GOVERNOR, {"governor": "performance"}), (FREQUENCY, {"max": HIGHEST_KHZ})):
            self.assert_fails(UNSUPPORTED, "no CPU has a cpufreq driver; load one", self.plugin.get_knob, topic)
            self.assert_fails(UNSUPPORTED, "no CPU has a cpufreq driver; load one", self.plugin.get_knob, topic, "1")
            self.assert_refused(UNSUPPORTED, "has no cpufreq driver; load one", topic, params)
            self.assertEqual([], self.restore(topic))
        self.assert_refused(UNSUPPORTED, "no switch for turbo", FREQUENCY, {"turbo": False})

    def test_powercap(self):
        if "powercap" in FEATURES:
            self.skipTest("it is there")
        words = "this host has no RAPL zones"
        for target in (None, "package-0"):
            self.assert_fails(UNSUPPORTED, words, self.plugin.get_knob, RAPL_LIMIT, target)
            for params in ({"power_limit": 18_000_000}, {"enabled": True}):
                self.assert_refused(UNSUPPORTED, words, RAPL_LIMIT, params, target)
        self.assert_refused(UNSUPPORTED, words, RAPL_LIMIT, {"power_limit": 18_000_000}, all_packages=True)
        self.assertEqual([], self.restore(RAPL_LIMIT))

    def test_limits(self):
        if "powercap" not in FEATURES or "intel" in FEATURES:
            self.skipTest("they are there, or not even the zones are")
        for params in ({"power_limit": 18_000_000}, {"time_window": 1_000_000},
                       {"power_limit": 18_000_000, "constraint": "long_term"}):
            for target in (None, "package-0", "package-0/core"):
                self.assert_refused(UNSUPPORTED, f"zone {target or 'package-0'} has no power limits", RAPL_LIMIT, params, target)

    def test_percent_preferences_and_turbo(self):
        if "acpi-cpufreq" not in FEATURES:
            self.skipTest("they are there, or not even a driver is")
        for params, words in (({"max_perf_pct": 50}, "not intel_pstate"), ({"min_perf_pct": 50}, "not intel_pstate"),
                              ({"energy_preference": "power"}, "the driver offers no energy preferences"),
                              ({"turbo": False}, "no switch for turbo")):
            self.assert_refused(UNSUPPORTED, words, FREQUENCY, params)
            self.assert_refused(UNSUPPORTED, words, FREQUENCY, params | {"max": STEPS_KHZ[1]})


@needs_cpufreq
class SetGovernor(KnobTest):
    def test_of_every_cpu(self):
        self.assertEqual(self.changes_of_cpus("governor", "performance", "powersave", "powersave"),
                         self.set(GOVERNOR, {"governor": "powersave"}))
        self.assertEqual(["powersave"] * 4, on_every_cpu("scaling_governor"))
        self.assertEqual({"powersave"}, {value for name, value in self.plugin.get_knob(GOVERNOR).items()
                                         if name.endswith(".governor")})

    def test_of_some_cpus(self):
        self.assertEqual(self.changes_of_cpus("governor", "performance", "powersave", "powersave", [1, 3]),
                         self.set(GOVERNOR, {"governor": "powersave"}, "1,3"))
        self.assertEqual(["performance", "powersave"] * 2, on_every_cpu("scaling_governor"))

    def test_every_one_that_is_offered(self):
        last = "performance"
        for governor in read(policy(0, "scaling_available_governors")).split():
            self.assertEqual(self.changes_of_cpus("governor", last, governor, governor),
                             self.set(GOVERNOR, {"governor": governor}))
            self.assertEqual([governor] * 4, on_every_cpu("scaling_governor"))
            last = governor

    def test_an_unknown_one_lists_those_offered(self):
        offered = read(policy(0, "scaling_available_governors")).split()
        for name in ("turbo", "", "PERFORMANCE", "powersave\n", "powersave performance", "../../x", "x" * 100_000):
            self.assert_refused(INVALID_ARG, ("there is no governor '", "offered are: ", *offered), GOVERNOR, {"governor": name})

    def test_one_cpu_fails_and_all_others_are_put_back(self):
        with instead_of(policy(2, "scaling_governor"), policy(2, "scaling_max_freq")):
            self.assert_refused(SYSTEM, ("CPU 2", "Invalid argument", "what was changed is put back"), GOVERNOR,
                                {"governor": "powersave"})
        self.assertEqual(["performance"] * 4, on_every_cpu("scaling_governor"))

    def test_a_cpu_that_is_offline(self):
        online(3, False)
        self.assert_refused(OPERATION_INVALID, ("CPU 3 is offline", "leave it out"), GOVERNOR, {"governor": "powersave"}, "0-3")
        self.assertEqual(self.changes_of_cpus("governor", "performance", "powersave", "powersave", range(3)),
                         self.set(GOVERNOR, {"governor": "powersave"}))

    def test_while_a_cpu_goes_and_comes(self):
        """Each call does all of it or nothing, whatever it meets."""
        stop = threading.Event()

        def toggle():
            while not stop.is_set():
                online(3, False)
                online(3, True)
        toggler = threading.Thread(target=toggle)
        toggler.start()
        outcomes = []
        try:
            deadline = time.monotonic() + 6
            while time.monotonic() < deadline:
                governor = ("powersave", "performance")[len(outcomes) % 2]
                before = on_every_cpu_but_the_last("scaling_governor")
                try:
                    self.set(GOVERNOR, {"governor": governor})
                except KnobError as error:
                    self.assertIn(error.code, (OPERATION_INVALID, SYSTEM), error.message)
                    self.assertEqual(before, on_every_cpu_but_the_last("scaling_governor"), error.message)
                    outcomes.append(error.message)
                else:
                    self.assertEqual([governor] * 3, on_every_cpu_but_the_last("scaling_governor"))
                    outcomes.append("done")
        finally:
            stop.set()
            toggler.join()
        print(f"    {len(outcomes)} calls: { {text: outcomes.count(text) for text in sorted(set(outcomes))} }")
        self.assertIn("done", outcomes)
        self.restore(GOVERNOR)
        self.assertEqual(["performance"] * 4, on_every_cpu("scaling_governor"))



@needs_cpufreq
class SetFrequency(KnobTest):
    def assert_set(self, params, expected, target=None, numbers=None):
        """{knob: (file, before, after)}: what is returned stands in sysfs."""
        changes = self.set(FREQUENCY, params, target)
        numbers = list(cpus() if numbers is None else numbers)
        for knob, (file, before, after) in expected.items():
            self.assertEqual(self.changes_of_cpus(knob, before, params[knob], after, numbers),
                             [change for change in changes if change["knob"] == knob])
            for cpu in numbers:
                self.assertEqual(after, int(read(policy(cpu, file))))
        self.assertEqual(len(expected) * len(numbers), len(changes))

    def test_a_limit_that_is_taken_as_it_is(self):
        self.assert_set({"max": STEPS_KHZ[2]}, {"max": ("scaling_max_freq", HIGHEST_KHZ, STEPS_KHZ[2])})
        self.assert_set({"min": STEPS_KHZ[1]}, {"min": ("scaling_min_freq", LOWEST_KHZ, STEPS_KHZ[1])}, "2", [2])
        self.assertEqual([STEPS_KHZ[2]] * 4, [int(text) for text in on_every_cpu("scaling_cur_freq")])

    @needs("acpi-cpufreq")
    def test_what_the_kernel_makes_of_a_limit_is_returned(self):
        """It goes to the next frequency that there is: a maximum down, a minimum up."""
        self.assert_set({"max": 2_000_000}, {"max": ("scaling_max_freq", HIGHEST_KHZ, 1_760_000)})
        self.assert_set({"min": 1_000_000}, {"min": ("scaling_min_freq", LOWEST_KHZ, 1_120_000)})

    def test_both_limits_past_those_that_stand(self):
        low, middle, high = STEPS_KHZ[0], STEPS_KHZ[2], STEPS_KHZ[4]
        self.set(FREQUENCY, {"max": middle})
        self.assert_set({"min": high, "max": HIGHEST_KHZ}, {"min": ("scaling_min_freq", low, high),
                                                            "max": ("scaling_max_freq", middle, HIGHEST_KHZ)})
        self.assert_set({"min": low, "max": middle}, {"min": ("scaling_min_freq", high, low),
                                                      "max": ("scaling_max_freq", HIGHEST_KHZ, middle)})

    def test_a_minimum_above_the_maximum(self):
        self.assert_refused(INVALID_ARG, "the minimum of 1760000 kHz is above the maximum of 1440000 kHz", FREQUENCY,
                            {"min": STEPS_KHZ[3], "max": STEPS_KHZ[2]})
        self.set(FREQUENCY, {"max": STEPS_KHZ[2]}, "1")
        self.assert_refused(INVALID_ARG, ("CPU 1", "that stands; set both"), FREQUENCY, {"min": STEPS_KHZ[3]})
        self.set(FREQUENCY, {"min": STEPS_KHZ[2]}, "1")
        self.assert_refused(INVALID_ARG, ("CPU 1", "as the minimum stands; set both"), FREQUENCY, {"max": STEPS_KHZ[1]})

    def test_out_of_the_hardwares_range(self):
        for name in ("min", "max", "set"):
            for khz in (1, LOWEST_KHZ - 1, HIGHEST_KHZ + 1, 2**32 + STEPS_KHZ[1], HIGHEST):
                self.assert_refused(INVALID_ARG, f"{khz} kHz is outside of what the hardware can do, 800000 to 2400000 kHz",
                                    FREQUENCY, {name: khz})
            self.assert_refused(INVALID_ARG, "a frequency of 0 kHz cannot be set", FREQUENCY, {name: 0})

    @needs("acpi-cpufreq")
    def test_a_frequency_needs_the_governor_userspace(self):
        self.assert_refused(OPERATION_INVALID, ("CPU 0", "it is performance", "virsh node-governor --set userspace"), FREQUENCY,
                            {"set": STEPS_KHZ[1]})
        write(policy(0, "scaling_governor"), "userspace")
        self.assert_refused(OPERATION_INVALID, ("CPU 1", "virsh node-governor --set userspace"), FREQUENCY, {"set": STEPS_KHZ[1]})
        self.set(GOVERNOR, {"governor": "userspace"})
        speed = "scaling_setspeed"
        self.assert_set({"set": STEPS_KHZ[1]}, {"set": (speed, HIGHEST_KHZ, STEPS_KHZ[1])})
        self.assertEqual([STEPS_KHZ[1]] * 4, [Truth().cpus[cpu]["khz"] for cpu in cpus()])
        self.assert_set({"set": 2_000_000}, {"set": (speed, STEPS_KHZ[1], 2_080_000)})
        self.assert_set({"max": STEPS_KHZ[3], "set": STEPS_KHZ[5]}, {"max": ("scaling_max_freq", HIGHEST_KHZ, STEPS_KHZ[3]),
                                                                   "set": (speed, 2_080_000, STEPS_KHZ[3])})

    @needs("pstate")
    def test_a_frequency_cannot_be_set_where_there_is_no_governor_userspace(self):
        self.assert_refused(UNSUPPORTED, ("userspace", "not offered here"), FREQUENCY, {"set": STEPS_KHZ[1]})

    def test_one_cpu_fails_and_all_others_are_put_back(self):
        with instead_of(policy(2, "scaling_max_freq"), policy(2, "scaling_governor")):
            self.assert_refused(SYSTEM, ("CPU 2", "Invalid argument", "what was changed is put back"), FREQUENCY,
                                {"max": STEPS_KHZ[2]})
        self.assertEqual([HIGHEST_KHZ] * 4, [int(text) for text in on_every_cpu("scaling_max_freq")])


@needs("pstate")
class SetHostFrequency(KnobTest):
    @staticmethod
    def change(knob, before, asked, after):
        return [{"knob": knob, "cpus": "0-3", "before": before, "asked": asked, "after": after}]

    def test_percent(self):
        self.assertEqual(self.change("max_perf_pct", 100, 50, 50), self.set(FREQUENCY, {"max_perf_pct": 50}))
        self.assertEqual("50", read(f"{PSTATE}/max_perf_pct"))
        self.assertEqual({HIGHEST_KHZ // 2}, {row["khz"] for row in Truth().cpus.values()})
        self.assertEqual(self.change("min_perf_pct", 33, 40, 40), self.set(FREQUENCY, {"min_perf_pct": 40}, "1"))

    def test_what_the_driver_makes_of_a_percentage_is_returned(self):
        """It does not go below the hardware's lowest frequency, a third of the highest."""
        self.assertEqual(self.change("min_perf_pct", 33, 10, 33), self.set(FREQUENCY, {"min_perf_pct": 10}))

    def test_both_percentages_past_those_that_stand(self):
        self.set(FREQUENCY, {"max_perf_pct": 40})
        self.set(FREQUENCY, {"min_perf_pct": 60, "max_perf_pct": 80})
        self.assertEqual(("60", "80"), (read(f"{PSTATE}/min_perf_pct"), read(f"{PSTATE}/max_perf_pct")))
        self.set(FREQUENCY, {"min_perf_pct": 34, "max_perf_pct": 50})
        self.assertEqual(("34", "50"), (read(f"{PSTATE}/min_perf_pct"), read(f"{PSTATE}/max_perf_pct")))

    def test_percentages_that_are_none(self):
        for name in ("min_perf_pct", "max_perf_pct"):
            for percent in (0, 101, HIGHEST):
                self.assert_refused(INVALID_ARG, f"{percent} is not a percentage from 1 to 100", FREQUENCY, {name: percent})
        self.assert_refused(INVALID_ARG, "the minimum of 60 % is above the maximum of 50 %", FREQUENCY,
                            {"min_perf_pct": 60, "max_perf_pct": 50})
        self.set(FREQUENCY, {"max_perf_pct": 50})
        self.assert_refused(INVALID_ARG, "that stands; set both", FREQUENCY, {"min_perf_pct": 60})

    def test_turbo(self):
        self.assertEqual(self.change("turbo", True, False, False), self.set(FREQUENCY, {"turbo": False}))
        self.assertEqual("1", read(f"{PSTATE}/no_turbo"))
        self.assertFalse(self.plugin.get_knob(FREQUENCY)["turbo"])
        self.assertLess(Truth().cpus[0]["khz"], HIGHEST_KHZ)
        self.assertEqual(self.change("turbo", False, True, True), self.set(FREQUENCY, {"turbo": True}))
        self.assertEqual("0", read(f"{PSTATE}/no_turbo"))

    def test_preference(self):
        self.set(GOVERNOR, {"governor": "powersave"})
        self.assertEqual(self.changes_of_cpus("energy_preference", "default", "power", "power"),
                         self.set(FREQUENCY, {"energy_preference": "power"}))
        self.assertEqual(["power"] * 4, on_every_cpu("energy_performance_preference"))
        self.assertEqual(self.changes_of_cpus("energy_preference", "power", "balance_power", "balance_power", [2]),
                         self.set(FREQUENCY, {"energy_preference": "balance_power"}, "2"))
        self.assert_refused(INVALID_ARG, ("there is no energy preference 'x'", "offered are: ", "balance_performance"), FREQUENCY,
                            {"energy_preference": "x"})

    def test_preference_under_the_governor_performance(self):
        self.assert_refused(OPERATION_INVALID, ("CPU 0", "the governor performance allows no other", "nothing was changed"),
                            FREQUENCY, {"energy_preference": "power"})
        write(policy(0, "scaling_governor"), "powersave")
        self.assert_refused(OPERATION_INVALID, ("CPU 1", "the governor performance allows no other"), FREQUENCY,
                            {"energy_preference": "power", "turbo": False, "max": STEPS_KHZ[1], "max_perf_pct": 60})

    def test_all_at_once(self):
        self.set(GOVERNOR, {"governor": "powersave"})
        changes = self.set(FREQUENCY, {"min": STEPS_KHZ[1], "max": STEPS_KHZ[4], "max_perf_pct": 90, "min_perf_pct": 50,
                                       "turbo": False, "energy_preference": "power"})
        self.assertEqual(3 + 3 * 4, len(changes))
        self.assertEqual({"min", "max", "max_perf_pct", "min_perf_pct", "turbo", "energy_preference"},
                         {change["knob"] for change in changes})
        self.assertEqual([], [change for change in changes if change["asked"] != change["after"]])
        self.restore(FREQUENCY)
        self.assertEqual({"100", "33", "0"}, {read(f"{PSTATE}/{file}") for file in ("max_perf_pct", "min_perf_pct", "no_turbo")})
        self.assertEqual(["default"] * 4, on_every_cpu("energy_performance_preference"))

    def test_a_preference_that_the_governor_holds_up_is_put_back_later(self):
        for cpu in cpus():
            write(policy(cpu, "scaling_governor"), "powersave")
            write(policy(cpu, "energy_performance_preference"), "balance_power")
        self.set(FREQUENCY, {"energy_preference": "power", "max": STEPS_KHZ[2]})
        self.set(GOVERNOR, {"governor": "performance"})
        self.assert_fails(OPERATION_INVALID, ("the governor performance allows no other", "4 others were put back"), self.restore,
                          FREQUENCY)
        self.assertEqual([str(HIGHEST_KHZ)] * 4, on_every_cpu("scaling_max_freq"))
        self.assertEqual(4, len(self.restore(GOVERNOR)))
        self.assertEqual(["power"] * 4, on_every_cpu("energy_performance_preference"))
        self.assertEqual(self.changes_of_cpus("energy_preference", "balance_power", "balance_power", "balance_power"),
                         [change | {"before": "balance_power"} for change in self.restore(FREQUENCY)])
        self.assertEqual(["balance_power"] * 4, on_every_cpu("energy_performance_preference"))


@needs("limits")
class SetLimit(KnobTest):
    def test_power(self):
        self.assertEqual([self.change_of_zone("power_limit", LONG_UW, 18_000_000, 18_000_000)],
                         self.set(RAPL_LIMIT, {"power_limit": 18_000_000}, "package-0"))
        self.assertEqual(18_000_000, limit_uw())
        self.assertEqual(SHORT_UW, limit_uw(constraint=1))

    def test_what_the_kernel_makes_of_it_is_returned(self):
        self.assertEqual([self.change_of_zone("power_limit", LONG_UW, 18_060_000, 18_000_000)],
                         self.set(RAPL_LIMIT, {"power_limit": 18_060_000}, "package-0"))
        window = zone("intel-rapl:0", "constraint_0_time_window_us")
        for asked in (100_000, 1_000, 28_000_000):
            before = int(read(window))
            changes = self.set(RAPL_LIMIT, {"time_window": asked}, "package-0")
            after = int(read(window))
            self.assertEqual([self.change_of_zone("time_window", before, asked, after)], changes)
            self.assertTrue(0.75 * asked <= after <= asked)

    def test_constraints_by_name_and_by_index(self):
        for name, uw in (("short_term", 40_000_000), ("1", 50_000_000)):
            changes = self.set(RAPL_LIMIT, {"power_limit": uw, "constraint": name}, "package-0")
            self.assertEqual([("short_term", uw)], [(change["constraint"], change["after"]) for change in changes])
            self.assertEqual((LONG_UW, uw), (limit_uw(), limit_uw(constraint=1)))
        for name, uw in (("long_term", 40_000_000), ("0", 50_000_000)):
            self.set(RAPL_LIMIT, {"power_limit": uw, "constraint": name}, "package-0")
            self.assertEqual(uw, limit_uw())
        for name in ("peak_power", "2", "", "00", "../0", "long_term\n"):
            self.assert_refused(INVALID_ARG, ("zone package-0 has no constraint '", "there are: 0 (long_term), 1 (short_term)"),
                                RAPL_LIMIT, {"power_limit": 40_000_000, "constraint": name}, "package-0")

    def test_the_switch(self):
        enabled = zone("intel-rapl:0", "enabled")
        for value in (False, True):
            self.assertEqual([self.change_of_zone("enabled", not value, value, value, constraint=None)],
                             self.set(RAPL_LIMIT, {"enabled": value}, "package-0"))
            self.assertEqual(str(int(value)), read(enabled))
        self.assert_refused(INVALID_ARG, "one switch for a whole zone", RAPL_LIMIT, {"enabled": True, "constraint": "long_term"},
                            "package-0")

    def test_all_of_a_zone_at_once(self):
        changes = self.set(RAPL_LIMIT, {"power_limit": 30_000_000, "time_window": 499_712, "enabled": False}, "package-0")
        self.assertEqual([("power_limit", 30_000_000), ("time_window", 499_712), ("enabled", False)],
                         [(change["knob"], change["after"]) for change in changes])
        self.assertEqual(3, len(self.restore(RAPL_LIMIT)))
        self.assertEqual((LONG_UW, "1", "999424"), (limit_uw(), read(zone("intel-rapl:0", "enabled")),
                                                    read(zone("intel-rapl:0", "constraint_0_time_window_us"))))

    def test_a_subzone(self):
        for name in ("package-0/dram", "package-0/core"):
            self.assertEqual([self.change_of_zone("power_limit", 0, 5_000_000, 5_000_000, name)],
                             self.set(RAPL_LIMIT, {"power_limit": 5_000_000}, name))
            self.assertEqual("5000000", read(zone(zones()[name], LIMIT_FILE)))
        self.assertEqual({LONG_UW}, {limit_uw(package) for package in PACKAGES})
        self.assertEqual(2, len(self.restore(RAPL_LIMIT)))

    def test_without_a_zone(self):
        if PACKAGES != (0,):
            for params in ({"power_limit": 18_000_000}, {"enabled": False}):
                self.assert_refused(INVALID_ARG, ("limits of 2 packages (package-0, package-1)", "name a zone"), RAPL_LIMIT,
                                    params)
            return
        self.assertEqual([self.change_of_zone("power_limit", LONG_UW, 18_000_000, 18_000_000)],
                         self.set(RAPL_LIMIT, {"power_limit": 18_000_000}))
        self.assertEqual("0", read(zone("intel-rapl:0:0", LIMIT_FILE)))

    def test_all_packages(self):
        self.assertEqual([self.change_of_zone("power_limit", LONG_UW, 18_000_000, 18_000_000, f"package-{package}")
                          for package in PACKAGES], self.set(RAPL_LIMIT, {"power_limit": 18_000_000}, all_packages=True))
        self.assertEqual({18_000_000}, {limit_uw(package) for package in PACKAGES})

    @needs("second-package")
    def test_the_second_package_alone(self):
        self.assertEqual([self.change_of_zone("power_limit", LONG_UW, 18_000_000, 18_000_000, "package-1")],
                         self.set(RAPL_LIMIT, {"power_limit": 18_000_000}, "package-1"))
        self.assertEqual((LONG_UW, 18_000_000), (limit_uw(0), limit_uw(1)))

    @needs("second-package")
    def test_one_package_fails_and_the_other_is_put_back(self):
        with instead_of(zone("intel-rapl:1", LIMIT_FILE), zone("intel-rapl:1", "constraint_0_max_power_uw")):
            self.assert_refused(OPERATION_INVALID, ("zone package-1, constraint long_term", "locked by firmware",
                                                    "what was changed is put back"),
                                RAPL_LIMIT, {"power_limit": 18_000_000}, all_packages=True)
        self.assertEqual({LONG_UW}, {limit_uw(package) for package in PACKAGES})

    def test_out_of_range(self):
        for params, words in (({"power_limit": 0}, "a power limit of 0"), ({"time_window": 0}, "a time window of 0"),
                              ({"power_limit": LONG_UW + 1}, "above the highest power that it takes, 125 W"),
                              ({"power_limit": SHORT_UW + 1, "constraint": "short_term"}, "150 W"),
                              ({"power_limit": 124_999}, "the hardware makes 0 of it"),
                              ({"power_limit": HIGHEST}, "above the highest power"),
                              ({"time_window": HIGHEST}, "longest time window")):
            self.assert_refused(INVALID_ARG, words, RAPL_LIMIT, params, "package-0")

    @staticmethod
    def watts(seconds):
        before = Truth()
        time.sleep(seconds)
        after = Truth()
        return interfaces.watts(before.package_uj(0), after.package_uj(0), before.time_ns, after.time_ns)

    def test_18_watts_are_obeyed_within_two_windows_and_undone(self):
        numbers = [cpu for cpu in cpus() if package_of(cpu) == 0]
        control(static_uw=5_000_000, busy_cpu_uw=40_000_000 // len(numbers))
        with contextlib.ExitStack() as stack:
            for cpu in numbers:
                stack.enter_context(Spinner(cpu))
            self.assertGreater(self.watts(1), 30)
            self.set(RAPL_LIMIT, {"power_limit": 18_000_000}, "package-0")
            self.assertEqual(18_000_000, limit_uw())
            time.sleep(2 * int(read(zone("intel-rapl:0", "constraint_0_time_window_us"))) / 1e6)
            limited = self.watts(3)
            self.assertEqual(1, len(self.restore(RAPL_LIMIT)))
            self.assertEqual(LONG_UW, limit_uw())
            time.sleep(0.5)
            undone = self.watts(1)
        print(f"    limited to 18 W: {limited:.3f} W; undone: {undone:.3f} W")
        self.assertLessEqual(limited, 18 * 1.005)
        self.assertGreater(limited, 16)
        self.assertGreater(undone, 30)


@needs("locked")
class Locked(KnobTest):
    def test_nothing_can_be_set(self):
        for params in ({"power_limit": 18_000_000}, {"time_window": 100_000}, {"enabled": True},
                       {"power_limit": 18_000_000, "constraint": "short_term"}):
            for target in ("package-0", None, "package-0/dram"):
                if target != "package-0/dram" or "constraint" not in params:
                    self.assert_refused(OPERATION_INVALID, (f"zone {target or 'package-0'}", "it is locked by firmware",
                                                            "nothing was changed"), RAPL_LIMIT, params, target)
        self.assertEqual([], self.restore(RAPL_LIMIT))

    def test_what_it_is_can_be_read(self):
        found = self.plugin.get_knob(RAPL_LIMIT, "package-0")
        self.assertEqual((False, LONG_UW), (found["zone.0.enabled"], found["zone.0.constraint.0.power_limit"]))


class BadInput(KnobTest):
    """Refused with a sentence, and nothing is changed."""

    @needs_cpufreq
    def test_lists_of_cpus(self):
        words = ("there is no CPU", "online are CPUs 0-3")
        for text in ("4", "0-4", "9", "4095", "3,511"):
            self.assert_fails(INVALID_ARG, words, self.plugin.get_knob, GOVERNOR, text)
            self.assert_refused(INVALID_ARG, words, GOVERNOR, {"governor": "powersave"}, text)
        for text in ("", " ", "x", "-1", "0-", "1-0", "0,,1", "^0", "0,^0", "../cpu0", "/etc/passwd", "0/../1", "0x1", "1.5",
                     "nan", "0;reboot", "0\x1b[31m", "4294967296", "18446744073709551615", "18446744073709551616", "0," * 20000):
            for topic, params in ((GOVERNOR, {"governor": "powersave"}), (FREQUENCY, {"max": STEPS_KHZ[2]})):
                self.assert_fails(INVALID_ARG, "list of CPUs", self.plugin.get_knob, topic, text)
                self.assert_refused(INVALID_ARG, "list of CPUs", topic, params, text)
            self.assert_fails(INVALID_ARG, "list of CPUs", self.plugin.set_knob, GOVERNOR, target=text, restore=True)

    @needs_cpufreq
    def test_parameters_of_cpus(self):
        for topic, params, words in (
                (GOVERNOR, {}, "nothing to set"), (FREQUENCY, {}, "nothing to set"),
                (GOVERNOR, {"governor": 1}, "governor must be of type string"),
                (GOVERNOR, {"governor": True}, "governor must be of type string"),
                (GOVERNOR, {"governer": "powersave"}, "there is no parameter 'governer'; there are: governor"),
                (GOVERNOR, [("governor", "powersave")] * 2, "governor is given twice"),
                (FREQUENCY, {"max": "1440000"}, "max must be of type unsigned long long"),
                (FREQUENCY, {"max": Typed(UINT, 1440000)}, "max must be of type unsigned long long"),
                (FREQUENCY, {"max": Typed(INT, -1)}, "max must be of type"),
                (FREQUENCY, {"max": Typed(LLONG, -1)}, "max must be of type"),
                (FREQUENCY, {"max": Typed(DOUBLE, math.nan)}, "max must be of type"),
                (FREQUENCY, {"max": True}, "max must be of type"),
                (FREQUENCY, {"turbo": 1}, "turbo must be of type boolean"),
                (FREQUENCY, {"energy_preference": 1}, "energy_preference must be of type string"),
                (FREQUENCY, {"maximum": STEPS_KHZ[2]}, "there is no parameter 'maximum'; there are: min, max, set"),
                (FREQUENCY, {"": STEPS_KHZ[2]}, "there is no parameter ''"),
                (FREQUENCY, {"max\x1b": STEPS_KHZ[2]}, "there is no parameter"),
                (FREQUENCY, {"governor": "powersave"}, "there is no parameter 'governor'"),
                (FREQUENCY, [("max", STEPS_KHZ[2]), ("max", STEPS_KHZ[2])], "max is given twice"),
                (FREQUENCY, {"max": STEPS_KHZ[2], "x": 1}, "there is no parameter 'x'"),
                (FREQUENCY, {"max": Typed(77, STEPS_KHZ[2])}, "max must be of type")):
            self.assert_refused(INVALID_ARG, words, topic, params)
        for topic, params in ((GOVERNOR, {"governor": "powersave"}), (FREQUENCY, {"max": STEPS_KHZ[2]})):
            self.assert_refused(INVALID_ARG, "together with a restore", topic, params, restore=True)

    @needs("limits")
    def test_zones(self):
        for name in ("package-9", "../intel-rapl", "../package-0", "intel-rapl:0", "package-0/../package-0", "/package-0", "",
                     "package-0\n", "package-0/dram/", "PACKAGE-0", "x" * 5000):
            words = ("there is no zone '", "there are: package-0, package-0/core, package-0/dram")
            self.assert_refused(INVALID_ARG, words, RAPL_LIMIT, {"power_limit": 18_000_000}, name)
            self.assert_fails(INVALID_ARG, words, self.plugin.set_knob, RAPL_LIMIT, target=name, restore=True)

    @needs("limits")
    def test_parameters_of_zones(self):
        for params, words in (
                ({}, "nothing to set"), ({"constraint": "long_term"}, "nothing to set"),
                ({"power_limit": "18"}, "power_limit must be of type unsigned long long"),
                ({"power_limit": Typed(LLONG, -18)}, "power_limit must be of type"),
                ({"power_limit": Typed(DOUBLE, 18e6)}, "power_limit must be of type"),
                ({"enabled": 1}, "enabled must be of type boolean"),
                ({"power_limit": 18_000_000, "constraint": 0}, "constraint must be of type string"),
                ({"power": 18_000_000}, "there are: power_limit, time_window, enabled, constraint"),
                ([("power_limit", 18_000_000)] * 2, "power_limit is given twice")):
            self.assert_refused(INVALID_ARG, words, RAPL_LIMIT, params, "package-0")
        self.assert_refused(INVALID_ARG, "together with a restore", RAPL_LIMIT, {"power_limit": 18_000_000}, restore=True)


@needs_cpufreq
class ReadOnly(KnobTest):
    """By default a read-only connection does not see what changes with the load, and all that is set."""

    @staticmethod
    def currents(found):
        return [value for name, value in found.items() if name.endswith(".current")]

    def test_denied(self):
        found = self.plugin.get_knob(FREQUENCY, read_only=True)
        self.assertEqual("denied", found.pop("current.status"))
        full = self.plugin.get_knob(FREQUENCY)
        self.assertEqual("ok", full.pop("current.status"))
        self.assertEqual(4, len(self.currents(full)))
        self.assertEqual({name: value for name, value in full.items() if not name.endswith(".current")}, found)

    def test_the_rest_is_shown(self):
        self.assertEqual(self.plugin.get_knob(GOVERNOR), self.plugin.get_knob(GOVERNOR, read_only=True))
        if "powercap" in FEATURES:
            self.assertEqual(self.plugin.get_knob(RAPL_LIMIT), self.plugin.get_knob(RAPL_LIMIT, read_only=True))


@needs_cpufreq
class ReadOnlyCoarse(ReadOnly):
    config = READ_ONLY.format("coarse")

    def test_denied(self):
        """It is not: one reading in ten seconds."""
        begun = time.monotonic()
        self.assertEqual([HIGHEST_KHZ] * 4, self.currents(self.plugin.get_knob(FREQUENCY, read_only=True)))
        self.set(FREQUENCY, {"max": STEPS_KHZ[1]})
        found = self.plugin.get_knob(FREQUENCY, "1-2", read_only=True)
        self.assertEqual(("ok", STEPS_KHZ[1]), (found["current.status"], found["cpu.0.max"]))
        if time.monotonic() - begun < COARSE_S:
            self.assertEqual([HIGHEST_KHZ] * 2, self.currents(found))
        self.assertEqual([STEPS_KHZ[1]] * 4, self.currents(self.plugin.get_knob(FREQUENCY)))
        time.sleep(COARSE_S + 0.5)
        self.assertEqual([STEPS_KHZ[1]] * 4, self.currents(self.plugin.get_knob(FREQUENCY, read_only=True)))


@needs_cpufreq
class ReadOnlyFull(ReadOnly):
    config = READ_ONLY.format("full")

    def test_denied(self):
        """It is not."""
        self.assertEqual(self.plugin.get_knob(FREQUENCY), self.plugin.get_knob(FREQUENCY, read_only=True))
        self.set(FREQUENCY, {"max": STEPS_KHZ[1]})
        self.assertEqual([STEPS_KHZ[1]] * 4, self.currents(self.plugin.get_knob(FREQUENCY, read_only=True)))


class Logged(KnobTest):
    WHO = "user root (uid 0, process 123)"

    def lines(self):
        """Since the last call of it."""
        lines, self.seen = self.plugin.warnings()[getattr(self, "seen", 0):], len(self.plugin.warnings())
        return lines

    @needs_cpufreq
    def test_cpus(self):
        self.set(GOVERNOR, {"governor": "powersave"}, who=self.WHO)
        self.assertEqual([f"{self.WHO} set scaling_governor of CPUs 0-3 from performance to powersave"], self.lines())
        self.set(GOVERNOR, {"governor": "powersave"}, who=self.WHO)
        self.assertEqual([], self.lines(), "nothing changed")
        self.set(GOVERNOR, {"governor": "performance"}, "1", who="x509 CN=client")
        self.assertEqual(["x509 CN=client set scaling_governor of CPU 1 from powersave to performance"], self.lines())
        self.restore(GOVERNOR)
        self.assertEqual(["a test put back scaling_governor of CPUs 0,2-3 from powersave to performance"], self.lines())
        self.set(FREQUENCY, {"min": STEPS_KHZ[1], "max": STEPS_KHZ[2]}, who=self.WHO)
        self.assertEqual([f"{self.WHO} set scaling_min_freq of CPUs 0-3 from 800000 to 1120000",
                          f"{self.WHO} set scaling_max_freq of CPUs 0-3 from 2400000 to 1440000"], self.lines())

    @needs("acpi-cpufreq")
    def test_what_the_kernel_made_of_it(self):
        self.set(FREQUENCY, {"max": 2_000_000}, who=self.WHO)
        self.assertEqual([f"{self.WHO} set scaling_max_freq of CPUs 0-3 from 2400000 to 1760000 (asked for 2000000)"],
                         self.lines())

    @needs("limits")
    def test_zones(self):
        self.set(RAPL_LIMIT, {"power_limit": 18_000_000}, "package-0", who=self.WHO)
        self.assertEqual([f"{self.WHO} set constraint_0_power_limit_uw of zone package-0, constraint long_term from 125000000 to "
                          "18000000"], self.lines())
        self.set(RAPL_LIMIT, {"enabled": False}, "package-0", who=self.WHO)
        self.assertEqual([f"{self.WHO} set enabled of zone package-0 from 1 to 0"], self.lines())

    @needs_cpufreq
    def test_a_name_is_one_line(self):
        self.set(GOVERNOR, {"governor": "powersave"}, who="x\nuser root\x1b[2J")
        self.assertEqual([r"x\x0auser root\x1b[2J set scaling_governor of CPUs 0-3 from performance to powersave"], self.lines())
