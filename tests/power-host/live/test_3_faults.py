# SPDX-License-Identifier: LGPL-2.1-or-later
"""Zones that fail while the plugin runs: each is told, none stops the others, nobody waits."""

import threading
import time

from host import WIDE_UJ, PluginTest, expected_zones
from interfaces import fault, needs

PATIENCE_S = 0.5  # of a call, by design
SLACK_S = 0.3  # for a machine that is emulated
ZONE, NAME = "intel-rapl:0", "package-0"
DRAM, DRAM_NAME = "intel-rapl:0:1", "package-0/dram"


@needs("powercap", "intel")
class Faults(PluginTest):
    def setUp(self):
        super().setUp()
        self.plugin = self.open()

    def wait_until_counted(self, seconds=10):
        self.wait_for(lambda: self.counted_zones(self.plugin.snapshot()) == self.expected_counted(), seconds,
                      "the zones that are to be counted are")

    def zone(self, name=NAME):
        return self.plugin.snapshot().zones()[name]

    def assert_lost_and_found(self, lose, find, name, word):
        """No figure and one warning while it is away; a gap, and the truth, when it is back."""
        gaps, warned = self.zone(name)["gaps"], len(self.plugin.warnings())
        lose()
        self.wait_for(lambda: "energy" not in self.zone(name), 5, f"{name} has no figure")
        time.sleep(1)
        lost = self.plugin.snapshot()
        self.assertEqual("ok" if self.counted_zones(lost) else "no-source", lost.status)
        self.assertFalse(lost.zones()[name]["counted"])
        of_it = [line for line in self.plugin.warnings()[warned:] if f"zone {name}:" in line]
        self.assertEqual(1, len(of_it), of_it)
        self.assertRegex(of_it[0], word)
        if "perf/" + name in lost.zones():
            self.assertTrue(lost.zones()["perf/" + name]["counted"], "the PMU stands in for it")
        find()
        self.wait_until_counted()
        self.assertEqual(gaps + 1, self.zone(name)["gaps"])
        self.assert_energy(self.span(self.plugin), [name])

    def test_a_zone_vanishes_and_returns(self):
        self.assert_lost_and_found(lambda: fault(f"vanish {DRAM}"), lambda: fault(f"return {DRAM}"), DRAM_NAME, "No such|ENOENT")

    def test_a_package_vanishes_with_all_that_is_below_it_and_returns(self):
        self.assert_lost_and_found(lambda: fault(f"vanish {ZONE}"), lambda: fault(f"return {ZONE}"), NAME, "No such|ENOENT")

    def test_a_zone_that_cannot_be_read(self):
        """Whatever the driver's error is, the kernel's powercap makes EINVAL of it."""
        self.assert_lost_and_found(lambda: fault(f"eio {ZONE}"), lambda: fault("clear"), NAME, "Invalid argument")

    def test_a_counter_that_jumps_back_is_a_gap_and_no_energy(self):
        before = self.zone()
        fault(f"jump {ZONE} 5000000")
        after = self.wait_for(lambda: (zone := self.zone())["gaps"] > before["gaps"] and zone, 5, "a gap is told")
        self.assertEqual(before["gaps"] + 1, after["gaps"])
        self.assertGreaterEqual(after["energy"], before["energy"])
        self.assertLess(after["energy"] - before["energy"], WIDE_UJ // 2, "the jump was taken for a wrap")
        self.assert_energy(self.span(self.plugin), [NAME])

    def test_a_sensor_that_hangs_holds_up_nobody(self):
        others = [name for name, (_, package, _, _) in expected_zones().items() if package != 0 or not name.startswith(NAME)]
        fault(f"slow {ZONE} 8000")
        longest = []
        stop = threading.Event()

        def ask():
            worst = 0.0
            while not stop.is_set():
                worst = max(worst, self.plugin.snapshot().seconds)
                time.sleep(0.05)
            longest.append(worst)
        askers = [threading.Thread(target=ask) for _ in range(2)]
        for asker in askers:
            asker.start()
        try:
            self.wait_for(lambda: any("does not answer" in line for line in self.plugin.warnings()), 10,
                          "the sensor is given up, and that is said")
            span = self.span(self.plugin, 2)
        finally:
            stop.set()
            for asker in askers:
                asker.join()
        print(f"    the longest call took {max(longest):.3f} s")
        self.assertLessEqual(max(longest), PATIENCE_S + SLACK_S)
        if others:
            self.assert_energy(span, others)
        fault("clear")
        self.wait_until_counted(30)
        self.assert_energy(self.span(self.plugin), [NAME])

    def test_a_slow_read_is_waited_for_where_that_is_not_long(self):
        fault(f"slow {ZONE} 100")
        self.wait_for(lambda: (taken := self.plugin.snapshot()).fresh and taken.seconds >= 0.1, 5, "a fresh reading")
        self.assert_energy(self.span(self.plugin), [NAME], 0.02)
