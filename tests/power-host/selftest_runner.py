# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tests of tests/power-host/run from outside: what becomes of commands that fail, hang, crash or are ended.

    python3 -B tests/power-host/selftest_runner.py [--module DIR] [--only TEXT]

Boots a machine for each; some minutes.
"""

import argparse
import glob
import hashlib
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from unittest import mock

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [f"{HERE}/host", f"{os.path.dirname(os.path.dirname(HERE))}/tools/lib"]

import cache  # noqa: E402
from lab import kernel, report  # noqa: E402
from machine import CAUSE_LINES, NotReadError, Stream, crash_lines  # noqa: E402
from run_dir import run_dir  # noqa: E402

RUN = f"{HERE}/run"
BOOT_S = 300  # on a busy machine
OPTIONS = []


def run(*arguments, **keywords):
    return subprocess.run([RUN, *OPTIONS, *arguments], capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False,
                          timeout=BOOT_S + 60, **keywords)


class Started:
    """A runner whose command has begun; on leaving it, it is gone."""

    def __init__(self, *command):
        self.base = tempfile.TemporaryDirectory()
        self.runner = subprocess.Popen([RUN, *OPTIONS, "sh", "-c", f"echo begun; {' '.join(command)}"], text=True,
                                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                       env={**os.environ, "TMPDIR": self.base.name})

    def __enter__(self):
        assert self.runner.stdout.readline() == "begun\n"
        self.qemu = kernel.descendants(self.runner.pid)
        assert len(self.qemu) == 1, self.qemu
        return self

    def __exit__(self, *_):
        self.runner.kill()
        self.runner.communicate()
        self.base.cleanup()

    def left(self):
        """What the runner left: processes, and files where temporary ones are."""
        return [pid for pid in self.qemu if pid in kernel.parents()], os.listdir(self.base.name)


class Outcome(unittest.TestCase):
    def test_status_and_outputs_are_the_commands(self):
        result = run("sh", "-c", "echo to-out; echo to-err >&2; exit 3")
        self.assertEqual((result.returncode, result.stdout), (3, "to-out\n"))
        self.assertIn("to-err\n", result.stderr)

    def test_much_output_comes_whole_and_arguments_as_they_are(self):
        program = "import sys; sys.stdout.write(sys.argv[1] * 300000)"
        argument = "a 'b' $c \\d\n"
        result = run("python3", "-c", program, argument)
        self.assertEqual(hashlib.sha256(result.stdout.encode()).digest(),
                         hashlib.sha256((argument * 300000).encode()).digest(), f"{len(result.stdout)} characters")
        self.assertEqual(result.returncode, 0)

    def test_results_are_brought_back(self):
        with tempfile.TemporaryDirectory() as results:
            result = run("--results", results, "sh", "-c", "echo $POWER_HOST_CONFIG >$POWER_HOST_RESULTS/name; touch /not-outside")
            self.assertEqual(result.returncode, 0, result.stderr)
            with open(f"{results}/name", encoding="utf-8") as file:
                self.assertEqual(file.read(), "two-packages\n")
            self.assertTrue(os.path.getsize(f"{results}/console.log"))
        self.assertFalse(os.path.exists("/not-outside"))

    def test_a_command_that_is_not_there(self):
        self.assertEqual(run("no-such-command").returncode, 127)

    def test_output_that_is_not_copied_is_told(self):
        begun = time.monotonic()
        result = run("sh", "-c", "echo before; kill -9 -1; echo after")
        self.assertEqual(result.returncode, 71, result.stderr)
        self.assertIn("a part of it is lost", result.stderr)
        self.assertLess(time.monotonic() - begun, BOOT_S)

    def test_output_that_nobody_reads_is_waited_for_in_time(self):
        begun = time.monotonic()
        with Started("yes aaa") as started:
            boot_s = time.monotonic() - begun
            started.runner.kill()
        limit_s = 3 * boot_s + 10
        reader, writer = os.pipe()
        try:
            begun = time.monotonic()
            result = subprocess.run([RUN, *OPTIONS, "--timeout", f"{limit_s:.0f}", "sh", "-c", "yes aaa"], stdin=subprocess.DEVNULL,
                                    stdout=writer, stderr=subprocess.PIPE, text=True, check=False, timeout=limit_s + 60)
        finally:
            os.close(reader)
            os.close(writer)
        self.assertEqual(result.returncode, 124, result.stderr)
        self.assertIn("nobody read the command's output", result.stderr)
        self.assertLess(time.monotonic() - begun, limit_s + 20)

    def test_a_reader_that_goes_ends_it_without_a_word(self):
        command = 'set -o pipefail; "$@" sh -c "yes aaa" | head -n 1'
        result = subprocess.run(["bash", "-c", command, "bash", RUN, *OPTIONS], stdin=subprocess.DEVNULL, capture_output=True,
                                text=True, check=False, timeout=BOOT_S)
        self.assertEqual((result.returncode, result.stdout), (141, "aaa\n"))
        self.assertNotIn("rror", result.stderr)

    def test_status_comes_whatever_descriptors_are_closed(self):
        for closed in (">&-", "2>&-", "<&- >&- 2>&-"):
            with self.subTest(closed):
                command = f'"$@" sh -c "echo hi; exit 3" {closed}'
                result = subprocess.run(["bash", "-c", command, "bash", RUN, *OPTIONS], stdin=subprocess.DEVNULL,
                                        capture_output=True, text=True, check=False, timeout=BOOT_S)
                self.assertEqual(result.returncode, 3, result.stderr)
                self.assertNotIn("rror", result.stderr)
                self.assertEqual(result.stdout, "" if ">&-" in closed.split() else "hi\n")

    def test_a_temporary_directory_of_any_name(self):
        with tempfile.TemporaryDirectory(prefix="a,b ") as base:
            result = run("sh", "-c", "echo $TMPDIR", env={**os.environ, "TMPDIR": base})
            self.assertEqual((result.returncode, result.stdout), (0, f"{base}\n"), result.stderr)
            self.assertEqual(os.listdir(base), [])
        with tempfile.TemporaryDirectory(dir="/dev/shm") as base:
            result = run("sh", "-c", "echo .$TMPDIR.", env={**os.environ, "TMPDIR": base})
            self.assertEqual((result.returncode, result.stdout), (0, "..\n"), result.stderr)

    def test_what_the_kernel_killed_for_memory_is_told(self):
        program = "blocks = []\nwhile True: blocks.append(b'x' * (1 << 26))"
        result = run("sh", "-c", 'echo 1000 >/proc/self/oom_score_adj; exec python3 -c "$1"', "sh", program)
        self.assertEqual(result.returncode, 137, result.stderr)
        self.assertIn("Out of memory: Killed process", result.stderr)

    def test_a_crash_is_told_with_the_consoles_lines(self):
        result = run("sh", "-c", "echo before; echo c >/proc/sysrq-trigger; sleep 60")
        self.assertEqual((result.returncode, result.stdout), (70, "before\n"))
        self.assertIn("the kernel inside died", result.stderr)
        self.assertIn("sysrq triggered crash", result.stderr)
        self.assertIn("Call Trace", result.stderr)

    def test_a_hang_ends_in_time(self):
        begun = time.monotonic()
        with Started("sleep 1000"):
            boot_s = time.monotonic() - begun
        limit_s = 3 * boot_s + 10
        begun = time.monotonic()
        result = run("--timeout", f"{limit_s:.0f}", "sh", "-c", "echo before; sleep 1000")
        self.assertEqual(result.returncode, 124, result.stderr)
        self.assertIn("within", result.stderr)
        self.assertLess(time.monotonic() - begun, limit_s + 20)

    def test_a_machine_that_powers_off(self):
        result = run("sh", "-c", "echo o >/proc/sysrq-trigger; sleep 60")
        self.assertEqual(result.returncode, 71, result.stderr)
        self.assertIn("QEMU ended (status 0)", result.stderr)


class Ended(unittest.TestCase):
    def test_signals_leave_nothing(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(number.name), Started("sleep 1000") as started:
                started.runner.send_signal(number)
                _, errors = started.runner.communicate(timeout=20)
                self.assertEqual(started.runner.returncode, 128 + number)
                self.assertIn("the machine is gone", errors)
                self.assertEqual(started.left(), ([], []))

    def test_qemu_goes_with_a_runner_that_is_killed(self):
        with Started("sleep 1000") as started:
            started.runner.kill()
            started.runner.wait(20)
            deadline = time.monotonic() + 20
            while started.left()[0] and time.monotonic() < deadline:
                time.sleep(0.1)
            self.assertEqual(started.left()[0], [])
            self.assertEqual(len(started.left()[1]), 1)
            with mock.patch.object(tempfile, "tempdir", started.base.name), run_dir() as mine, run_dir() as other:
                self.assertEqual(sorted(f"{started.base.name}/{name}" for name in started.left()[1]), sorted([mine, other]))
            self.assertEqual(started.left()[1], [])

    def test_qemus_death_is_told(self):
        with Started("sleep 1000") as started:
            os.kill(started.qemu[0], signal.SIGKILL)
            _, errors = started.runner.communicate(timeout=20)
            self.assertEqual(started.runner.returncode, 71)
            self.assertIn("QEMU ended (status -9)", errors)


class Usage(unittest.TestCase):
    def test_mistakes_are_told(self):
        for arguments, text in ((("--config", "none", "true"), "no configuration 'none'"), (("--bad",), "unknown option '--bad'"),
                                ((), "needs a command"), (("--timeout", "0", "true"), "--timeout needs"),
                                (("--timeout", "1e9", "true"), "at most 1000000"), (("--timeout", "-1", "true"), "--timeout needs"),
                                (("--config",), "--config needs a value"), (("--config=none", "true"), "no configuration 'none'"),
                                (("--results", "", "true"), "not an empty name"), (("--results=", "true"), "not an empty name"),
                                (("--all", "--config", "amd", "true"), "contradict"), (("--list", "true"), "different things"),
                                (("--list", "--all"), "different things")):
            with self.subTest(arguments):
                result = subprocess.run([RUN, *arguments], capture_output=True, text=True, check=False)
                self.assertEqual(result.returncode, 2)
                self.assertIn(text, result.stderr)


class EndMark(unittest.TestCase):
    def test_output_ends_at_the_mark_however_it_is_cut(self):
        whole = b"some \x00 outMAR MARK put" + b"MARKER" + b"later"
        for step in range(1, len(whole) + 1):
            reader, writer = os.pipe()
            stream = Stream(b"MARKER", writer)
            for at in range(0, len(whole), step):
                stream.feed(whole[at:at + step])
            os.close(writer)
            with open(reader, "rb") as file:
                self.assertEqual(file.read(), b"some \x00 outMAR MARK put", step)
            self.assertTrue(stream.ended)


    def test_what_nobody_reads_is_waited_for_in_time(self):
        reader, writer = os.pipe()
        stream = Stream(b"MARKER", writer, time.monotonic() + 0.5)
        with self.assertRaises(NotReadError):
            stream.feed(bytes(1 << 20))
        os.close(reader)
        os.close(writer)


class Console(unittest.TestCase):
    def test_a_crash_begins_with_its_cause(self):
        boot, cause, end = ["boot"] * 200, "BUG: kernel NULL pointer dereference", "Kernel panic - not syncing"
        shown = crash_lines([*boot, cause, *["trace"] * 60, end]).splitlines()
        self.assertEqual((shown[0].strip(), shown[-1].strip(), len(shown)), (cause, end, 62))
        shown = crash_lines([*boot, cause, *["trace"] * 500, end]).splitlines()
        self.assertEqual((shown[0].strip(), shown[-1].strip(), len(shown)), (cause, end, CAUSE_LINES + 1))


def _make_slowly(directory):
    cache.write(f"{directory}/made", b"once")
    time.sleep(0.5)


def _prepare(results):
    results.put(cache.prepared("kind", "key", _make_slowly))


class Cache(unittest.TestCase):
    def setUp(self):
        base = tempfile.TemporaryDirectory()
        self.addCleanup(base.cleanup)
        patch = mock.patch.dict(os.environ, {"XDG_CACHE_HOME": base.name})
        patch.start()
        self.addCleanup(patch.stop)
        self.directory = f"{base.name}/virt-power/power-host"

    def test_half_a_preparation_is_never_used(self):
        def fail(directory):
            cache.write(f"{directory}/half", b"")
            raise cache.PrepareError("no")
        with self.assertRaises(cache.PrepareError):
            cache.prepared("kind", "key", fail)
        self.assertEqual(glob.glob(f"{self.directory}/*-*"), [])
        os.makedirs(f"{self.directory}/half-of-one-that-was-killed")
        path = cache.prepared("kind", "key", _make_slowly)
        self.assertEqual(os.listdir(path), ["made"])
        self.assertEqual(sorted(os.listdir(self.directory)), ["kind-key", "lock"])

    def test_two_at_once_make_it_once(self):
        results = multiprocessing.Queue()
        both = [multiprocessing.Process(target=_prepare, args=(results,)) for _ in range(2)]
        begun = time.monotonic()
        for process in both:
            process.start()
        paths = {results.get(timeout=30) for _ in both}
        for process in both:
            process.join()
        self.assertEqual(len(paths), 1)
        self.assertLess(time.monotonic() - begun, 30)
        self.assertEqual(sorted(os.listdir(self.directory)), ["kind-key", "lock"])

    def test_what_nobody_used_for_long_goes(self):
        path = cache.prepared("kind", "old", _make_slowly)
        os.utime(path, (0, 0))
        cache.prepared("kind", "new", _make_slowly)
        self.assertFalse(os.path.exists(path))


def main():
    parser = argparse.ArgumentParser(prog="selftest_runner.py")
    parser.add_argument("--module", help="as for tests/power-host/run")
    parser.add_argument("--only", default="", metavar="TEXT", help="tests with this in their name")
    arguments = parser.parse_args()
    if arguments.module:
        OPTIONS.extend(["--module", os.path.abspath(arguments.module)])
    prepared = run("--prepare")
    if prepared.returncode != 0:
        sys.exit(f"not prepared: {prepared.stderr}")
    return report.run(lambda: unittest.defaultTestLoader.loadTestsFromModule(sys.modules["__main__"]),
                      lambda name: arguments.only in name, verbose=True)


if __name__ == "__main__":
    sys.exit(main())
