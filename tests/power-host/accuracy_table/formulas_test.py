#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Unit tests of the formulas and of what takes samples apart."""

import os
import re
import sys
import unittest
from types import SimpleNamespace

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import accuracy  # noqa: E402
import formulas  # noqa: E402
import models  # noqa: E402
import recordings  # noqa: E402
import samples  # noqa: E402
import scenarios  # noqa: E402
import sections  # noqa: E402
import table  # noqa: E402
from samples import Interval, Thread, Used, VmUse, Zone  # noqa: E402

# Ten seconds of two packages of two CPUs: 20 W static each and 5 W for a busy CPU, dram a tenth of it.
ZONES = (Zone("package", 0, 250_000_000), Zone("package", 1, 200_000_000), Zone("dram", 0, 25_000_000),
         Zone("dram", 1, 20_000_000), Zone("core", 0, 50_000_000))


def vcpu(ticks, package=0, residence=((0, 1.0),)):
    return Thread("CPU 0/TCG", ticks, package, residence)


def interval(vms, zones=ZONES, process_ticks=1000):
    return Interval(10.0, zones, {0: 2, 1: 2}, {0: 1000, 1: 0}, {0: 1000, 1: 2000}, 1000, process_ticks, vms)


ONE = {"a": VmUse(500, (vcpu(500),), 1000)}


class Formulas(unittest.TestCase):
    def test_scaphandre_takes_the_share_of_capacity_of_all_sockets(self):
        self.assertAlmostEqual(formulas.scaphandre(interval(ONE))["a"], 495_000_000 * 500 / 4000)

    def test_kepler_divides_the_active_part_among_processes(self):
        self.assertAlmostEqual(formulas.kepler(interval(ONE))["a"], 495_000_000 * 1000 / 4000 * 500 / 1000)

    def test_kepler_without_processes_gives_nothing(self):
        self.assertEqual(formulas.kepler(interval(ONE, process_ticks=0)), {"a": 0.0})

    def test_energat_raises_the_share_of_the_socket_to_gamma(self):
        found = formulas.energat(interval(ONE), {0: 20_000_000, 1: 20_000_000})
        self.assertAlmostEqual(found["a"], 50_000_000 * 0.5 ** 0.3)

    def test_energat_spreads_a_thread_by_where_it_was_seen(self):
        half = {"a": VmUse(500, (vcpu(500, residence=((0, 0.5), (1, 0.5))),), None)}
        found = formulas.energat(interval(half), {0: 20_000_000, 1: 20_000_000})
        self.assertAlmostEqual(found["a"], 50_000_000 * 0.25 ** 0.3)

    def test_qemu_takes_the_package_where_a_thread_was_last(self):
        moved = {"a": VmUse(500, (vcpu(500, package=1),), None)}
        self.assertAlmostEqual(formulas.qemu(interval(moved))["a"], 200_000_000 * 500 / 2000)

    def test_qemu_loses_other_threads_where_no_vcpu_is(self):
        other = Thread("qemu-system-x86", 100, 1, ((1, 1.0),))
        found = formulas.qemu(interval({"a": VmUse(600, (vcpu(500), other), None)}))
        self.assertAlmostEqual(found["a"], 250_000_000 * 500 / 2000)

    def test_qemu_counts_other_threads_beside_a_vcpu(self):
        other = Thread("qemu-system-x86", 100, 0, ((0, 1.0),))
        found = formulas.qemu(interval({"a": VmUse(600, (vcpu(500), other), None)}))
        self.assertAlmostEqual(found["a"], 250_000_000 * 600 / 2000)

    def test_thesis_gives_all_of_a_package_to_its_vms(self):
        two = {"a": VmUse(500, (vcpu(500),), 3000), "b": VmUse(100, (vcpu(100),), 1000)}
        self.assertEqual(formulas.thesis(interval(two)), {"a": 187_500_000, "b": 62_500_000})
        two["b"] = VmUse(100, (Thread("CPU 0/TCG", 100, 1, ((1, 1.0),)),), 1000)
        self.assertEqual(formulas.thesis(interval(two)), {"a": 250_000_000, "b": 200_000_000})

    def test_thesis_without_cycles_says_nothing(self):
        self.assertEqual(formulas.thesis(interval({"a": VmUse(500, (), None)})), {})

    def test_sums_over_intervals(self):
        found = formulas.over([interval(ONE), interval(ONE)], {0: 20_000_000, 1: 20_000_000})
        self.assertEqual(set(found), set(formulas.CLAIMS) - {"host-share", "vm-share"})
        self.assertAlmostEqual(found["scaphandre"]["a"], 2 * 495_000_000 * 500 / 4000)


TRUTH = """time 1000
package 0 static_uj=10 dynamic_uj=30 dram_static_uj=1 dram_dynamic_uj=3 cores_dynamic_uj=20 time_ns=7 cycles=8
cpu 0 package=0 energy_uj=30 time_ns=7 cycles=8 khz=2400000
process 5 start_ns=1 comm=qemu-system-x86 class=100 package=0 energy_uj=20 dram_uj=2 time_ns=4 cycles=5
process 5 start_ns=9 comm=again class=100 package=0 energy_uj=1 dram_uj=0 time_ns=1 cycles=1 ended=1
thread 6 6 comm=vhost-5 package=0 energy_uj=4 dram_uj=1 time_ns=1 cycles=2
thread 5 5 comm=qemu-system-x86 package=0 energy_uj=8 dram_uj=1 time_ns=1 cycles=2
thread 5 7 comm=CPU_0/TCG package=0 energy_uj=12 dram_uj=1 time_ns=3 cycles=3
"""


class Samples(unittest.TestCase):
    def sample(self, ticks, energy_uj, seen):
        thread = {"tid": 5, "comm": "CPU 0/TCG", "ticks": ticks, "cpu": "1"}
        return {"monotonic_ns": ticks * 10_000_000, "packages": {"0": 0, "1": 1}, "process_ticks": {"5": ticks, "9": 3},
                "cpu_ticks": {"cpu": [0] * 10, "cpu0": [0, 0, 0, ticks, 0, 0, 0, 0, 0, 0],
                              "cpu1": [ticks, 0, 1, 0, 2, 0, 0, 0, 5, 0]},
                "zones": [{"name": "package-1", "path": "intel-rapl:0", "energy_uj": energy_uj, "max_uj": 1000},
                          {"name": "dram", "path": "intel-rapl:0:1", "energy_uj": energy_uj, "max_uj": 1000}],
                "truth": [None, None],
                "vms": {"a": {"pid": 5, "threads": [thread], "residence": {"5": seen}, "cycles": ticks}}}

    def test_interval(self):
        found = samples.interval(self.sample(100, 900, {"0": 1}), self.sample(200, 100, {"0": 2, "1": 3}))
        self.assertEqual(found.seconds, 1.0)
        self.assertEqual(found.zones, (Zone("package", 1, 200), Zone("dram", 1, 200)))  # wrapped
        self.assertEqual(found.busy_ticks, {0: 0, 1: 100})  # guest time is inside user time
        self.assertEqual(found.idle_ticks, {0: 100, 1: 0})
        self.assertEqual(found.process_ticks, 100)
        vm = found.vms["a"]
        self.assertEqual((vm.ticks, vm.cycles, vm.threads[0].package), (100, 100, 1))
        self.assertEqual(dict(vm.threads[0].residence), {0: 0.25, 1: 0.75})

    def test_ticks_that_were_lost_are_made_up_for_by_the_account(self):
        before, after = self.sample(100, 0, {}), self.sample(200, 0, {})
        zero = "".join(f"package {number} time_ns=0\n" for number in range(2))
        before["truth"] = ["time 0\n" + zero] * 2
        after["truth"] = ["time 2000000000\n" + zero.replace("package 0 time_ns=0", "package 0 time_ns=500000000")] * 2
        found = samples.interval(before, after)
        self.assertEqual((found.busy_ticks, found.idle_ticks), ({0: 50, 1: 0}, {0: 150, 1: 200}))
        self.assertEqual(found.counted_ticks, 100)

    def test_a_process_that_is_new_has_no_use_yet(self):
        before, after = self.sample(100, 0, {}), self.sample(200, 0, {})
        del before["vms"]["a"]
        self.assertEqual(samples.interval(before, after).vms, {})

    def test_truth(self):
        truth = samples.parse_truth(TRUTH)
        self.assertEqual(truth.time_ns, 1000)
        self.assertEqual(truth.packages[0]["static_uj"], 10)
        nothing = samples.parse_truth("time 0\n")
        self.assertEqual(samples.spent(nothing, truth, [5]), {0: Used(21, 2, 5, 6)})
        self.assertEqual(samples.vhost_spent(nothing, truth, [5]), {0: Used(4, 1, 1, 2)})
        self.assertEqual(samples.other_threads_spent(nothing, truth, [5]), {0: Used(8, 1, 1, 2)})

    def test_a_thread_that_is_named_later_is_the_same(self):
        before, after = samples.parse_truth(TRUTH.replace("CPU_0/TCG", "qemu-system-x86")), samples.parse_truth(TRUTH)
        self.assertEqual(samples.other_threads_spent(before, after, [5]), {0: Used()})

    def test_truth_at_the_reading_lies_between_the_accounts(self):
        later = TRUTH.replace("time 1000", "time 2000").replace("energy_uj=20", "energy_uj=30")
        found = samples.truth_at_reading({"truth": [TRUTH, later], "reading_ns": 1100})
        self.assertEqual(found.time_ns, 1100)
        self.assertEqual(found.processes[5, 0], Used(22, 2, 5, 6))
        self.assertEqual(samples.truth_at_others({"truth": [TRUTH, later]}).processes[5, 0], Used(31, 2, 5, 6))

    def test_what_a_process_drew_before_it_was_a_vm_is_not_the_vms(self):
        rows = ("process 5 start_ns=1 comm=sh class=100 package=0 energy_uj=7 dram_uj=1 time_ns=2 cycles=3\n"
                "thread 5 5 comm=sh package=0 energy_uj=7 dram_uj=1 time_ns=2 cycles=3\n")
        before = samples.truth_at_others({"truth": [TRUTH, TRUTH]}).processes[5, 0]
        found = samples.truth_at_others({"truth": [TRUTH, TRUTH], "launched": {5: rows}}).processes[5, 0]
        self.assertEqual(before - found, Used(7, 1, 2, 3))
        account = samples.truth_at_others({"truth": [TRUTH, TRUTH], "launched": {5: rows}})
        self.assertEqual(account.threads[5, 5, 0], Used(1, 0, -1, -1))

    def test_a_reading_that_is_not_between_the_accounts_is_an_error(self):
        with self.assertRaisesRegex(ValueError, "not between"):
            samples.truth_at_reading({"truth": [TRUTH, TRUTH.replace("time 1000", "time 2000")], "reading_ns": 2001})

    def test_how_far_the_accounts_are_apart(self):
        self.assertEqual(samples.account_gap_ns({"truth": [TRUTH, TRUTH.replace("time 1000", "time 2000")]}), 1000)

    def test_no_truth_outside_of_the_simulated_machine(self):
        self.assertIsNone(samples.truth_at_reading({"truth": [None, None]}))


BEGIN = """time 0
package 0 static_uj=0 dynamic_uj=0 dram_static_uj=0 dram_dynamic_uj=0 time_ns=0 cycles=0
"""
END = """time 1000000000
package 0 static_uj=20000000 dynamic_uj=10000000 dram_static_uj=2000000 dram_dynamic_uj=2000000 time_ns=1500000000 cycles=30
process 5 start_ns=1 comm=qemu class=100 package=0 energy_uj=5000000 dram_uj=1000000 time_ns=1000000000 cycles=20
process 6 start_ns=1 comm=qemu class=100 package=0 energy_uj=2500000 dram_uj=500000 time_ns=500000000 cycles=5
"""
HELPED = END + """process 7 start_ns=1 comm=virtiofsd class=100 package=0 energy_uj=400000 dram_uj=100000 time_ns=100000000 cycles=2
thread 5 5 comm=qemu package=0 energy_uj=1000000 dram_uj=200000 time_ns=200000000 cycles=4
thread 5 8 comm=CPU_0/KVM package=0 energy_uj=4000000 dram_uj=800000 time_ns=800000000 cycles=16
thread 9 9 comm=vhost-5 package=0 energy_uj=30000 dram_uj=0 time_ns=1000 cycles=1
"""


def row_of(kind="domain", **figures):
    return {"kind": kind, "name": "a", "zones": [{"zone": "package-0", "energy_uj": figures["energy_uj"]}], **figures}


def interval_of(*rows, energy_uj=100):
    return {"zones": [{"name": "package-0", "counted": True, "energy_uj": energy_uj}, {"name": "core", "counted": False, "energy_uj": 7}],
            "rows": list(rows), "basis": "cycles"}


class Table(unittest.TestCase):
    def setUp(self):
        pair = (samples.parse_truth(BEGIN), samples.parse_truth(END))
        self.true = table.TrueEnergy([pair], {"a": [5], "b": [6]}, {0: 4})
        helped = (samples.parse_truth(BEGIN), samples.parse_truth(HELPED))
        self.helped = table.TrueEnergy([helped], {"a": [5], "b": [6]}, {0: 4}, {"a": [7]})

    def test_helper_processes_and_vhost_threads_are_the_vms(self):
        self.assertEqual(self.helped.of("a", formulas.CLAIMS["host-share"]), 6_000_000 + 500_000 + 30_000)
        self.assertEqual(self.helped.of("b", formulas.CLAIMS["host-share"]), 3_000_000)

    def test_the_part_that_is_no_vcpus(self):
        self.assertEqual(self.helped.helpers("a"), 1_200_000 + 500_000 + 30_000)
        self.assertEqual(self.helped.helpers("b"), 0)

    def test_rows_that_do_not_add_up_are_an_error(self):
        table.check_sums("r", interval_of(row_of(energy_uj=60), row_of("rest", energy_uj=40)))
        with self.assertRaisesRegex(table.TableError, "add up to 99"):
            table.check_sums("r", interval_of(row_of(energy_uj=59), row_of("rest", energy_uj=40)))
        other_zone = row_of(energy_uj=60)
        other_zone["zones"][0]["energy_uj"] = 61
        with self.assertRaisesRegex(table.TableError, "zone package-0: rows add up to 101"):
            table.check_sums("r", interval_of(other_zone, row_of("rest", energy_uj=40)))

    def test_helpers_are_no_more_than_their_row(self):
        with self.assertRaisesRegex(table.TableError, "helpers have 61"):
            table.check_sums("r", interval_of(row_of(energy_uj=60, helper_energy_uj=61), row_of("rest", energy_uj=40)))

    def test_sums_of_a_replay(self):
        found = table.sums_of([interval_of(row_of(energy_uj=60, helper_energy_uj=6), row_of("rest", energy_uj=40))] * 2)
        self.assertEqual((found.energy_uj, found.helper_uj, found.intervals, found.by_time), ({"a": 120}, {"a": 12}, 2, 0))
        by_time = {**interval_of(row_of(energy_uj=100)), "basis": "time"}
        self.assertEqual(table.sums_of([by_time, interval_of(row_of(energy_uj=100))]).by_time, 1)

    def test_a_disturbance_is_worse_where_cycles_were_lost(self):
        def of(gap_s, by_time):
            return table.Result(None, {}, [], [], [], {}, {}, 1.0, 1.0, gap_s, by_time=by_time).disturbance
        self.assertEqual(of(0.05, 0), ())
        self.assertLess(of(0.05, 0), of(0.2, 0))
        self.assertLess(of(0.2, 0), of(0.3, 0))
        self.assertLess(of(0.5, 0), of(0.05, 1))

    def test_true_energy_without_static(self):
        self.assertEqual(self.true.of("a", formulas.CLAIMS["host-share"]), 6_000_000)
        self.assertEqual(self.true.of("a", formulas.CLAIMS["energat"]), 5_000_000)

    def test_static_by_capacity(self):
        self.assertEqual(self.true.of("a", formulas.CLAIMS["scaphandre"]), 6_000_000 + 22_000_000 // 4)
        self.assertEqual(self.true.of("b", formulas.CLAIMS["qemu"]), 2_500_000 + 20_000_000 // 8)

    def test_static_by_cycles_of_all_vms(self):
        self.assertEqual(self.true.of("a", formulas.CLAIMS["thesis"]), 5_000_000 + 20_000_000 * 4 // 5)

    def test_share_in_ticks(self):
        self.assertAlmostEqual(self.true.share_in_ticks([interval(ONE)]), 1000 / 100 / 1.5)

    def test_error_is_a_share_of_the_truth(self):
        self.assertAlmostEqual(table.Row("s", "linear", "a", "kepler", 90, 100).error, -0.1)
        self.assertIsNone(table.Row("s", "linear", "a", "kepler", 90, 0).error)

    def test_what_was_not_measured_whole_is_an_error_with_its_directory(self):
        with self.assertRaisesRegex(table.TableError, "/nonexistent: not what"):
            table.result_of("/nonexistent", scenarios.SCENARIOS[0], "virt-power")


class Recordings(unittest.TestCase):
    # A VM whose 1000 cycles were half on a shared core, of 2000 of the host; a weight of 0.6.
    LINES = [{"format": "x"}, {"weighing": [600, 1000, 0, True], "package_use": [[9, 2000, 8, 1000]], "package_weight": [[1800, 800]],
                               "use": [[8, 1000]], "use_weight": [[800]], "use_helper": [[1, 80]], "departed_total": [5, 100],
                               "departed_total_weight": [60], "departed_use": [[5, 100]], "departed_weight": [[None]]},
             {"package_use": [[9, 4000, 8, 1000]], "package_weight": [[3800, 800]], "mark": "tick"}]

    def test_without_weights(self):
        _, first, second = recordings.without_weights(self.LINES)
        self.assertEqual(set(first), {"package_use", "use", "departed_total", "departed_use"})
        self.assertEqual(set(second), {"package_use", "mark"})

    def test_another_weight_of_the_same_cycles(self):
        _, first, second = recordings.reweighed(self.LINES, 550)
        self.assertEqual(first["weighing"], [550, 1000, 0, False])
        self.assertEqual(first["package_weight"], [[1775, 775]])
        self.assertEqual(first["use_weight"], [[775]])
        self.assertEqual((first["departed_total_weight"], first["departed_weight"]), ([55], [[None]]))
        self.assertEqual(second["package_weight"], [[3775, 775]])

    def test_weights_that_do_not_tell_what_was_shared(self):
        for weighing in ([1000, 1000, 0, True], [600, 0, 400, True]):
            with self.assertRaises(recordings.WeightError):
                list(recordings.reweighed([{"weighing": weighing}], 550))

    def test_the_default_is_the_plugins(self):
        top = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
        with open(f"{top}/src/util/weighing.hpp", encoding="utf-8") as file:
            self.assertEqual(re.search(r"default_shared_permille = (\d+)", file.read())[1], str(recordings.DEFAULT_SHARED_PERMILLE))


class Scenarios(unittest.TestCase):
    def test_a_machine_is_calibrated_as_it_is_judged(self):
        for scenario in scenarios.SCENARIOS:
            self.assertIn(scenario.kind, scenarios.KINDS)
            if scenario.calibration:
                model = models.MODELS[scenario.calibration]
                self.assertEqual(scenario.config, model.config, scenario.name)
                self.assertEqual(scenario.parameters, model.parameters, scenario.name)

    def test_what_goes_with_more_than_cycles_is_calibrated(self):
        for scenario in scenarios.SCENARIOS:
            self.assertEqual(bool(scenario.calibration), scenario.config == "two-packages" or scenario.kind == "frequency"
                             or scenario.fine, scenario.name)

    def test_a_calibration_has_other_work_than_what_is_judged(self):
        duties = {duty for _, duty in models.LOADS} | {models.VM_DUTY_PERCENT}
        for scenario in scenarios.SCENARIOS:
            if scenario.calibration:
                self.assertFalse(any("memory" in vm.work for vm in scenario.vms), scenario.name)
                used = {vm.duty_percent for vm in scenario.vms} | {burn.duty_percent for burn in scenario.processes}
                self.assertFalse(duties & (used - {30}), scenario.name)

    def test_each_step_of_a_calibration_has_a_frequency_and_known_loads(self):
        self.assertEqual(len(models.STEPS), len(models.FREQUENCIES))
        self.assertLess(max(number for step in models.STEPS for number in step), len(models.LOADS))


def result_with(name="s", kind="linear", unseen="", **rows):
    """formula=(attributed, true); what the VM drew is host-share's truth."""
    found = [table.Row(name, kind, "a", formula.replace("_", "-"), *pair) for formula, pair in rows.items()]
    scenario = scenarios.Scenario(name, "text", (), kind=kind, unseen=unseen)
    return SimpleNamespace(scenario=scenario, rows=found, variants=[], dynamic_uj={"a": rows["host_share"][1]}, gap_s=0.0, by_time=0)


class Sections(unittest.TestCase):
    def test_a_peer_that_is_nearer_only_by_its_claim_is_told_so(self):
        result = result_with(kind="mix", unseen="it is hidden", host_share=(80, 100), kepler=(170, 200))
        self.assertEqual(sections.nearer(result), {"kepler": 0.15})
        text = sections.worse_than_a_peer([result])
        self.assertIn("its error is 30.0 %, no nearer", text)
        self.assertIn("it is hidden", text)

    def test_a_peer_that_is_really_nearer_is_not_talked_away(self):
        text = sections.worse_than_a_peer([result_with(host_share=(80, 100), kepler=(190, 200))])
        self.assertIn("its error is 10.0 % |", text)
        self.assertIn("largest error here is 0.000 J (a)", text)

    def test_none_is_nearer(self):
        self.assertEqual(sections.worse_than_a_peer([result_with(host_share=(99, 100), kepler=(150, 200))]), "There is none in this run.")

    def test_verdict_names_the_best_of_the_others(self):
        result = result_with(host_share=(99, 100), kepler=(90, 100), qemu=(80, 100))
        self.assertIn("host-share (1.0 %) is nearer than the best of the others, kepler (10.0 %)", sections.verdict([result]))
        self.assertIn("is not nearer", sections.verdict([result_with(host_share=(80, 100), kepler=(90, 100))]))

    def test_the_simplest_way_that_does_it_is_named(self):
        result = result_with("f", "frequency", host_share=(100, 100))
        result.variants = [table.Row("f", "frequency", "a", table.CYCLES, 70, 100), table.Row("f", "frequency", "a", table.FINE, 99, 100)]
        result.scenario = scenarios.Scenario("f", "text", (), kind="frequency", fine=True)
        text = sections.frequency_verdict([result])
        self.assertIn("in each scenario) is cycles as they are, sampled each 0.1 s. Within it are also: weighed cycles; ", text)
        self.assertIn("cycles as they are not in f (30.0 %)", text)

    def test_the_part_that_is_no_vcpus_where_it_is_no_trace(self):
        result = result_with(host_share=(100, 100))
        result.helpers = [table.Row("s", "linear", "a", "helpers", 51_000_000, 50_000_000), table.Row("s", "linear", "b", "helpers", 1, 2)]
        result.dynamic_uj = {"a": 100_000_000, "b": 100}
        text = sections.helpers([result])
        self.assertIn("| s | a | 51.000 J | 50.000 J | +2.0 % | 50 % |", text)
        self.assertNotIn("| s | b |", text)

    def test_weights_beside_what_the_module_was_told(self):
        told = {"smt_percent": 60, "frequency_exponent_percent": 100}
        weights = {"shared_permille": 605, "shared_deviation_permille": 10, "cycle_permille": 1000, "square_permille": 0}
        text = sections.weights_found([table.Calibration(models.MODELS["threads-60"], [], weights, told, 26.0)])
        self.assertIn("| 0.605 ± 0.020 (module: 0.60) | the same | not told: each cycle weighs the same |", text)
        weights = {"cycle_permille": 0, "cycle_deviation_permille": 50, "square_permille": 250, "square_deviation_permille": 10}
        told = {"smt_percent": 100, "frequency_exponent_percent": 300}
        text = sections.weights_found([table.Calibration(models.MODELS["cubed"], [], weights, told, 26.0)])
        self.assertIn("| no core has two hyperthreads | goes with f^2 | 0.000 ± 0.098 + (0.250 ± 0.020) × f² |", text)

    def test_static_power_beside_what_the_module_was_told(self):
        zone = {"name": "package-0", "type": "package", "static_uw": 19_800_000, "from_uw": 19_500_000, "to_uw": 20_100_000}
        found = table.Calibration(models.MODELS["flat"], [zone], {}, {"static_uw": 20_000_000}, 26.0)
        self.assertIn("| flat | package-0 | 20.0000 W | 19.8000 W | 19.5000 to 20.1000 W | −1.0 % | yes |", sections.static_found([found]))


def judged(*rows, mean=0.05, bound=0.1, against_peers=False, shared=0.05):
    result = SimpleNamespace(rows=[table.Row("s", kind, vm, formula, attributed, true) for kind, vm, formula, attributed, true in rows])
    return accuracy.judge([result], {"linear": mean, "shared": shared}, bound, against_peers)


class Judge(unittest.TestCase):
    GOOD = ("linear", "a", "host-share", 99_000_000, 100_000_000)

    def test_the_mean_is_bounded(self):
        two = (self.GOOD, ("linear", "b", "host-share", 105_000_000, 100_000_000))
        self.assertEqual(judged(*two, mean=0.031), [])
        self.assertRegex(judged(*two, mean=0.02)[0], "3.00 % on average in the scenarios of linear")

    def test_shared_cores_have_a_bound_of_their_own(self):
        off = ("shared", "b", "host-share", 103_000_000, 100_000_000)
        self.assertEqual(judged(self.GOOD, off, mean=0.011), [])
        self.assertRegex(judged(self.GOOD, off, shared=0.02)[0], "3.00 % on average in the scenarios of shared")

    def test_what_cannot_be_seen_is_not_bounded(self):
        self.assertEqual(judged(self.GOOD, ("mix", "a", "host-share", 2, 100_000_000), ("linear", "a", "kepler", 5, 100_000_000)), [])
        self.assertRegex(judged(("linear", "a", "kepler", 1, 1))[0], "has no row")

    def test_one_vm_that_is_wrong_is_not_hidden_by_the_others(self):
        wrong, = judged(*[self.GOOD] * 30, ("linear", "b", "host-share", 0, 100_000_000))
        self.assertRegex(wrong, "s, b: host-share gives 0.000 J of 100.000 J")

    def test_energy_for_one_that_drew_none_is_wrong_if_it_is_more_than_a_trace(self):
        self.assertEqual(judged(self.GOOD, ("linear", "b", "host-share", 400_000, 0)), [])
        self.assertRegex(judged(self.GOOD, ("linear", "b", "host-share", 5_000_000, 0))[0], "5.000 J of 0.000 J")

    def test_the_best_of_the_others_is_to_be_beaten(self):
        better = ("mix", "a", "thesis", 995, 1000)
        self.assertEqual(judged(self.GOOD, better), [])
        self.assertRegex(judged(self.GOOD, better, against_peers=True)[0], "1.00 % on average over all scenarios, and thesis by 0.50 %")
        self.assertEqual(judged(self.GOOD, ("linear", "a", "vm-share", 1, 1), ("linear", "a", "kepler", 9, 10), against_peers=True), [])


if __name__ == "__main__":
    unittest.main()
