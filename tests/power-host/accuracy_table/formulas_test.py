#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Unit tests of the formulas and of what takes samples apart."""

import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import accuracy  # noqa: E402
import formulas  # noqa: E402
import samples  # noqa: E402
import scenarios  # noqa: E402
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

    def test_truth_at_the_reading_lies_between_the_accounts(self):
        later = TRUTH.replace("time 1000", "time 2000").replace("energy_uj=20", "energy_uj=30")
        found = samples.truth_at_reading({"truth": [TRUTH, later], "reading_ns": 1100})
        self.assertEqual(found.time_ns, 1100)
        self.assertEqual(found.processes[5, 0], Used(22, 2, 5, 6))
        self.assertEqual(samples.truth_at_others({"truth": [TRUTH, later]}).processes[5, 0], Used(31, 2, 5, 6))

    def test_what_a_process_drew_before_it_was_a_vm_is_not_the_vms(self):
        rows = "process 5 start_ns=1 comm=sh class=100 package=0 energy_uj=7 dram_uj=1 time_ns=2 cycles=3\n"
        before = samples.truth_at_others({"truth": [TRUTH, TRUTH]}).processes[5, 0]
        found = samples.truth_at_others({"truth": [TRUTH, TRUTH], "launched": {5: rows}}).processes[5, 0]
        self.assertEqual(before - found, Used(7, 1, 2, 3))

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


class Table(unittest.TestCase):
    def setUp(self):
        pair = (samples.parse_truth(BEGIN), samples.parse_truth(END))
        self.true = table.TrueEnergy([pair], {"a": [5], "b": [6]}, {0: 4})

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
        self.assertAlmostEqual(table.Row("s", True, "a", "kepler", 90, 100).error, -0.1)
        self.assertIsNone(table.Row("s", True, "a", "kepler", 90, 0).error)

    def test_what_was_not_measured_whole_is_an_error_with_its_directory(self):
        with self.assertRaisesRegex(table.TableError, "/nonexistent: not what"):
            table.result_of("/nonexistent", scenarios.SCENARIOS[0], "virt-power")


def judged(*rows, mean=0.05, bound=0.1):
    class Result:
        pass
    Result.rows = [table.Row("s", linear, vm, formula, attributed, true) for linear, vm, formula, attributed, true in rows]
    return accuracy.judge([Result], mean, bound)


class Judge(unittest.TestCase):
    GOOD = (True, "a", "host-share", 99_000_000, 100_000_000)

    def test_the_mean_is_bounded(self):
        two = (self.GOOD, (True, "b", "host-share", 105_000_000, 100_000_000))
        self.assertEqual(judged(*two, mean=0.031), [])
        self.assertRegex(judged(*two, mean=0.02)[0], "3.00 % on average")

    def test_only_host_share_where_it_is_linear(self):
        self.assertEqual(judged(self.GOOD, (False, "a", "host-share", 2, 100_000_000), (True, "a", "kepler", 5, 100_000_000)), [])
        self.assertRegex(judged((True, "a", "kepler", 1, 1))[0], "has no row")

    def test_one_vm_that_is_wrong_is_not_hidden_by_the_others(self):
        wrong, = judged(*[self.GOOD] * 30, (True, "b", "host-share", 0, 100_000_000))
        self.assertRegex(wrong, "s, b: host-share gives 0.000 J of 100.000 J")

    def test_energy_for_one_that_drew_none_is_wrong_if_it_is_more_than_a_trace(self):
        self.assertEqual(judged(self.GOOD, (True, "b", "host-share", 400_000, 0)), [])
        self.assertRegex(judged(self.GOOD, (True, "b", "host-share", 5_000_000, 0))[0], "5.000 J of 0.000 J")


if __name__ == "__main__":
    unittest.main()
