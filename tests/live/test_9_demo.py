# SPDX-License-Identifier: LGPL-2.1-or-later
"""tools/demo, as a user runs it."""

import glob
import os
import signal
import subprocess
import time
import unittest

from lab import kernel
from lab.build import TOP
from live import Run, assert_rows_add_up, json_lines, row, wait_for


class Demo(unittest.TestCase):
    longMessage = True

    @classmethod
    def setUpClass(cls):
        subprocess.run([f"{TOP}/tools/demo", "--count", "1"], check=True, stdin=subprocess.DEVNULL, capture_output=True)

    def setUp(self):
        self.tmp = f"{Run.lab.dir}/demo"
        os.makedirs(self.tmp, exist_ok=True)
        self.mounts = kernel.mount_points()
        self.pids = []

    def cgroups(self):
        return [path for mount in kernel.cgroup_mounts() for pid in self.pids
                for path in glob.glob(f"{mount}/machine/*-v{pid % 100000}-*")]

    def start(self, *arguments):
        process = subprocess.Popen([f"{TOP}/tools/demo", *arguments], env={**os.environ, "TMPDIR": self.tmp}, text=True,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   start_new_session=True)
        self.addCleanup(process.kill)
        self.pids.append(process.pid)  # part of its guests' names
        return process

    def run_demo(self, *arguments):
        process = self.start(*arguments)
        out, err = process.communicate(timeout=300)
        self.assertEqual(0, process.returncode, err)
        self.assert_nothing_left()
        return out, err

    def processes(self):
        """Everything that was told of this test's directory."""
        found = []
        for pid in kernel.parents():
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as file:
                    if self.tmp.encode() in file.read():
                        found.append(pid)
            except OSError:
                pass
        return found

    def assert_nothing_left(self):
        self.assertEqual([], self.processes())
        self.assertEqual([], os.listdir(self.tmp))
        self.assertEqual([], self.cgroups())
        self.assertEqual(self.mounts, kernel.mount_points())

    def check_guests(self, interval):
        spins = next(r for r in interval["rows"] if r.get("name", "").endswith("-spins"))
        halts = next(r for r in interval["rows"] if r.get("name", "").endswith("-halts"))
        self.assertGreater(spins["power_w"], halts["power_w"])

    def test_a_second_start_shows_both_guests_within_30_s_and_leaves_nothing(self):
        begun = time.monotonic()
        out, err = self.run_demo("--count", "2", "--json")
        self.assertLess(time.monotonic() - begun, 30)
        intervals = json_lines(out)
        self.assertEqual(2, len(intervals))
        for interval in intervals:
            assert_rows_add_up(self, interval)
            self.check_guests(interval)
            self.assertIsNotNone(row(interval, kind="host"))
        modelled = any("modelled" in zone["source"] for zone in intervals[0]["zones"])
        self.assertEqual(modelled, "MODELLED" in err)

    def test_over_tls(self):
        out, _ = self.run_demo("--count", "1", "--json", "--tls")
        interval, = json_lines(out)
        self.assertTrue(interval["uri"].startswith("qemu+tls://"))
        self.check_guests(interval)

    def test_the_table_has_the_notice_above_it(self):
        out, _ = self.run_demo("--count", "1")
        self.assertLess(out.find("MODELLED"), out.index("-spins"))

    def test_killed_in_any_way_it_leaves_nothing(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL):
            with self.subTest(number.name):
                process = self.start("--json")
                process.stdout.readline()  # guests run
                self.assertGreaterEqual(len(self.processes()), 4)
                self.assertTrue(self.cgroups())
                process.send_signal(number)
                process.wait(20)
                if number == signal.SIGKILL:
                    wait_for(lambda: not self.processes() and not os.listdir(self.tmp), 10, "all has gone")
                self.assert_nothing_left()

    def test_keep_leaves_it_running_until_it_is_ended_as_it_says(self):
        process = self.start("--count", "1", "--keep")
        _, err = process.communicate(timeout=120)
        self.assertEqual(0, process.returncode, err)
        self.assertIn("qemu:///system?socket=", err)
        self.assertGreaterEqual(len(self.processes()), 4)
        os.kill(int(err.rpartition("kill ")[2]), signal.SIGTERM)
        wait_for(lambda: not self.processes() and not os.listdir(self.tmp), 20, "all has gone")
        self.assert_nothing_left()

    def run_to(self, stdout, tmp):
        return subprocess.run([f"{TOP}/tools/demo", "--count", "1"], env={**os.environ, "TMPDIR": tmp}, stdin=subprocess.DEVNULL,
                              stdout=stdout, stderr=subprocess.PIPE, text=True, check=False, timeout=120)

    def test_output_that_cannot_be_written_is_said_in_one_line(self):
        with open("/dev/full", "wb") as full:
            result = self.run_to(full, self.tmp)
        self.assertEqual(1, result.returncode)
        self.assertIn("demo: standard output cannot be written: No space left on device\n", result.stderr)
        self.assert_nothing_left()

    def test_a_reader_that_left_is_no_error(self):
        reading, writing = os.pipe()
        os.close(reading)
        with open(writing, "wb") as pipe:
            result = self.run_to(pipe, self.tmp)
        self.assertEqual(0, result.returncode, result.stderr)
        self.assertNotIn("Errno", result.stderr)
        self.assert_nothing_left()

    def test_a_directory_that_is_not_there_is_named(self):
        result = self.run_to(subprocess.PIPE, "/nonexistent")
        self.assertEqual(1, result.returncode)
        self.assertEqual("demo: TMPDIR=/nonexistent: there is no such directory; make it, or unset TMPDIR\n", result.stderr)

    def test_wrong_arguments_have_status_2_and_start_nothing(self):
        for arguments in (("--count", "0"), ("--count", "x"), ("--count",), ("--nonsense",)):
            process = self.start(*arguments)
            _, err = process.communicate(timeout=10)
            self.assertEqual(2, process.returncode)
            self.assertEqual(1, len(err.strip().splitlines()))
