# SPDX-License-Identifier: LGPL-2.1-or-later
"""Which zones the plugin finds in each configuration, and whether their energy is the truth's."""

import interfaces
from host import PARANOID, PluginTest, expected_zones, has_source, sysctl
from interfaces import Spinner, control, needs

MODELLED = "[sources]\nmodelled=true\n[modelled]\nidle_watts=12\nbusy_cpu_watts=6\n"


class Zones(PluginTest):
    def test_perf_is_as_paranoid_as_debian_ships_it(self):
        self.assertEqual(PARANOID, int(sysctl("kernel.perf_event_paranoid")))

    def test_names_types_packages_sources_and_which_count(self):
        found = self.open().snapshot().zones()
        self.assertEqual(expected_zones(), {name: (zone["type"], zone["package"], zone["source"], zone["counted"])
                                            for name, zone in found.items()})
        self.assertEqual(has_source(), any(zone["counted"] for zone in found.values()))
        self.assertEqual([], [name for name, zone in found.items() if zone["counted"] and zone["type"] == "core"])

    def test_status_says_whether_there_is_a_source(self):
        self.assertEqual("ok" if has_source() else "no-source", self.open().snapshot().status)

    def test_energy_is_the_truths(self):
        plugin = self.open()
        if not has_source():
            self.skipTest(f"the configuration {interfaces.CONFIG.name} has no energy counter")
        with Spinner(0):
            span = self.span(plugin)
        self.assert_energy(span, expected_zones())

    @needs("limits")
    def test_counters_that_wrap_several_times_lose_nothing(self):
        """65.5 J at 150 W: a wrap in less than half a second."""
        self.set_wrap(interfaces.WRAP_UJ)
        control(static_uw=150_000_000)
        plugin = self.open()
        span = self.span(plugin, may_lose=True)
        wraps = (span.counted(lambda snapshot: snapshot.zones()["package-0"]["energy"])) // interfaces.WRAP_UJ
        self.assertGreaterEqual(wraps, 4)
        self.assert_energy(span, ["package-0"])


class Modelled(PluginTest):
    config = MODELLED

    def test_is_given_only_where_no_counter_moves(self):
        plugin = self.open()
        sources = {zone["source"] for zone in plugin.snapshot().zones().values()}
        if has_source():
            self.assertNotIn("modelled", sources)
            return
        self.assertEqual({"modelled"}, sources)
        self.assertEqual("ok", plugin.snapshot().status)
        self.assertTrue(all(zone["counted"] for zone in plugin.snapshot().zones().values()))
