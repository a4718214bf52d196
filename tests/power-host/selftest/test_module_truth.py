# SPDX-License-Identifier: LGPL-2.1-or-later
"""The truth adds up, and follows the model: parameters, classes, siblings."""

import ctypes
import errno
import os
import threading
import time
import unittest

import interfaces
from interfaces import DEBUG, Spinner, TestCase, Truth, control, needs, pause, read, watts, write


def _spun(cpus, seconds=1.0):
    """Two truths of the time in which these CPUs were busy, and the processes that kept them so."""
    spinners = [Spinner(cpu) for cpu in cpus]
    try:
        time.sleep(0.3)
        before = Truth()
        time.sleep(seconds)
        return before, Truth(), [spinner.pid for spinner in spinners]
    finally:
        for spinner in spinners:
            spinner.end()


def _watts_while_busy(before, after, pid):
    time_ns = after.process(pid, "time_ns") - before.process(pid, "time_ns")
    return (after.process(pid, "energy_uj") - before.process(pid, "energy_uj")) * 1000 / time_ns


SYS_EXIT = 60


def _leader_goes():
    """This process's first thread ends; another starts one more every 50 ms."""
    def start_others():
        while True:
            other = threading.Thread(target=sum, args=(range(20000),))
            other.start()
            other.join()
            time.sleep(0.05)

    threading.Thread(target=start_others).start()
    ctypes.CDLL(None).syscall(SYS_EXIT, 0)


class Sums(TestCase):
    def test_rows_add_up_while_all_moves(self):
        spinners = [Spinner() for _ in range(6)]
        try:
            for _ in range(40):
                if os.fork() == 0:
                    os._exit(0)
                os.wait()
                self.assert_sums(Truth())
        finally:
            for spinner in spinners:
                spinner.end()

    def test_nothing_is_lost(self):
        self.assertEqual(Truth().lost, 0)

    def test_reset_begins_anew_and_forgets_the_ended(self):
        with Spinner() as spinner:
            time.sleep(0.3)
            pid = spinner.pid
        self.assertTrue([row for row in Truth().processes if row["pid"] == pid and row["ended"] == 1])
        before = Truth()
        write(f"{DEBUG}/control", "reset")
        truth = Truth()
        self.assertFalse([row for row in truth.processes if row["pid"] == pid])
        self.assertLess(truth.packages[0]["static_uj"], before.packages[0]["static_uj"])
        self.assert_sums(truth)

    def test_a_process_without_its_leader_has_one_row(self):
        with Spinner(work=_leader_goes) as process:
            time.sleep(0.5)
            write(f"{DEBUG}/class", f"{process.pid} 150")
            write(f"{DEBUG}/control", "reset")
            time.sleep(1)
            truth = Truth()
            rows = [row for row in truth.processes if row["pid"] == process.pid]
        self.assertTrue(rows)
        self.assertEqual(len(rows), len({row["package"] for row in rows}))
        self.assertEqual({row["class"] for row in rows}, {150})
        self.assert_sums(truth)

    def test_threads_are_told_apart(self):
        done = threading.Event()
        ids = []

        def spin():
            ids.append(threading.get_native_id())
            while not done.is_set():
                pass

        thread = threading.Thread(target=spin)
        thread.start()
        time.sleep(0.5)
        truth = Truth()
        done.set()
        thread.join()
        rows = [row for row in truth.threads if row["tid"] == ids[0]]
        self.assertTrue(rows)
        self.assertEqual({row["pid"] for row in rows}, {os.getpid()})
        self.assertGreater(sum(row["time_ns"] for row in rows), 100_000_000)

    def test_start_time_is_the_kernels(self):
        start_ticks = int(read("/proc/self/stat").rsplit(")", 1)[1].split()[19])
        row = next(row for row in Truth().processes if row["pid"] == os.getpid())
        self.assertEqual(row["start_ns"] // (interfaces.NS // os.sysconf("SC_CLK_TCK")), start_ticks)


class Model(TestCase):
    def test_much_power_for_long(self):
        control(static_uw=1_000_000_000, busy_cpu_uw=1_000_000_000, smt_percent=200)
        with Spinner(1) as spinner:
            write(f"{DEBUG}/class", f"{spinner.pid} 10000")
            before = Truth()
            time.sleep(1)
            self.assertGreaterEqual(_watts_while_busy(before, Truth(), spinner.pid), 99_999)

    def test_time_is_the_kernels_cpu_time(self):
        with Spinner(1) as spinner:
            time.sleep(2)
            pause(spinner.pid)
            on_cpu_ns = int(read(f"/proc/{spinner.pid}/schedstat").split()[0])
            self.assert_share(Truth().process(spinner.pid, "time_ns"), on_cpu_ns, 1, "time of a process against schedstat, ns")

    def test_watts_of_an_idle_package(self):
        before = Truth()
        time.sleep(0.5)
        after = Truth()
        for package in before.packages:
            self.assert_share(watts(before.packages[package]["static_uj"], after.packages[package]["static_uj"],
                                    before.time_ns, after.time_ns), 20, 0.01, "static power, W")

    def test_watts_of_a_busy_cpu(self):
        before, after, pids = _spun([1])
        self.assert_share(_watts_while_busy(before, after, pids[0]), 5, 0.01, "a busy CPU, W")
        self.assertGreater(after.process(pids[0], "time_ns") - before.process(pids[0], "time_ns"), 900_000_000)

    def test_parameters_change_while_running(self):
        with Spinner(1) as spinner:
            for busy_uw in (5_000_000, 12_000_000, 1_500_000):
                control(busy_cpu_uw=busy_uw, dram_busy_cpu_uw=busy_uw // 10)
                before = Truth()
                time.sleep(0.3)
                after = Truth()
                self.assert_share(_watts_while_busy(before, after, spinner.pid), busy_uw / 1e6, 0.01, "a busy CPU, W")
        self.assertIn("busy_cpu_uw=1500000", read(f"{DEBUG}/control").split())

    def test_junk_is_refused(self):
        for text, number in (("busy_cpu_uw=x", errno.EINVAL), ("nothing=1", errno.EINVAL), ("busy_cpu_uw", errno.EINVAL),
                             ("counters=100", errno.ERANGE), (f"counters={2**64}", errno.ERANGE), ("smt_percent=201", errno.ERANGE),
                             ("busy_cpu_uw=5\0junk", errno.EINVAL), ("x" * 200, errno.E2BIG)):
            self.assert_errno(number, write, f"{DEBUG}/control", text)
        for text, number in (("x", errno.EINVAL), ("1", errno.EINVAL), ("999999 200", errno.ESRCH), ("1 99999", errno.ERANGE),
                             (f"1 {2**32 + 100}", errno.ERANGE), (f"{2**32 + 1} 100", errno.ERANGE), ("1 100 5", errno.EINVAL),
                             ("1 100junk", errno.EINVAL), ("1 100\0junk", errno.EINVAL)):
            self.assert_errno(number, write, f"{DEBUG}/class", text)

    def test_class_is_of_the_process_and_of_what_it_forks(self):
        with Spinner(1) as spinner:
            write(f"{DEBUG}/class", f"{spinner.pid} 250")
            self.assertEqual(read(f"{DEBUG}/class"), f"{spinner.pid} 250")
            before = Truth()
            time.sleep(0.3)
            self.assert_share(_watts_while_busy(before, Truth(), spinner.pid), 12.5, 0.01, "a busy CPU of class 250 %, W")
        self.assertEqual(read(f"{DEBUG}/class"), "")
        write(f"{DEBUG}/class", f"{os.getpid()} 40")
        try:
            with Spinner(1) as child:
                time.sleep(0.3)
                truth = Truth()
                self.assertEqual({row["class"] for row in truth.processes if row["pid"] == child.pid}, {40})
        finally:
            write(f"{DEBUG}/class", f"{os.getpid()} 100")

    @needs("smt")
    def test_siblings_draw_less_together(self):
        siblings = [0, 1]
        self.assertEqual(read(f"{interfaces.CPU}/cpu0/topology/thread_siblings_list"), "0-1")
        control(smt_percent=60)
        before, after, pids = _spun(siblings)
        # what they draw alone, they draw while the other is off for a moment
        for pid in pids:
            self.assert_share(_watts_while_busy(before, after, pid), 3, 3, "one of two busy siblings, W")
        before, after, pids = _spun(siblings[:1])
        self.assert_share(_watts_while_busy(before, after, pids[0]), 5, 3, "the same alone, W")

    @needs("second-package")
    def test_a_package_counts_its_own(self):
        before, after, pids = _spun([3])

        def time_in(truth, package):
            return sum(row["time_ns"] for row in truth.processes if (row["pid"], row["package"]) == (pids[0], package))

        self.assertGreater(time_in(after, 1) - time_in(before, 1), 900_000_000)
        self.assertEqual(time_in(after, 0), time_in(before, 0))
        of_package = after.packages[1]["time_ns"] - before.packages[1]["time_ns"]
        self.assertGreaterEqual(of_package, time_in(after, 1) - time_in(before, 1))


if __name__ == "__main__":
    unittest.main()
