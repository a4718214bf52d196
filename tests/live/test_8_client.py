# SPDX-License-Identifier: LGPL-2.1-or-later
"""virt-power on a real daemon."""

import os
import re
import signal
import subprocess
import time

from lab.daemon import client_env
from lab.guest import HALT, SPIN_ALL, Guest, wait_until_quiet
from live import (LiveTest, Run, RunningVirtPower, assert_rows_add_up, json_lines, process_time, row, steal_ns, thread_times, virt_power,
                  virt_power_program)
from test_5_access import NOBODY, as_user


class Table(LiveTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.spins = cls.guest("spins", SPIN_ALL, vcpus=2)
        cls.halts = cls.guest("halts", HALT)
        wait_until_quiet(cls.halts.pid)

    def intervals(self, *arguments):
        result = virt_power("--json", *arguments, uri=self.daemon.uri)
        self.assertEqual(0, result.returncode, result.stderr)
        return json_lines(result.stdout)

    def test_counted_zones_and_rows_have_the_same_sum_three_times(self):
        command = f"'{virt_power_program()}' -c '{self.daemon.uri}' -n 3 -d 1 --json | jq -e " \
                  "'([.zones[]|select(.counted).energy_uj]|add)==([.rows[].energy_uj//0]|add)'"
        result = subprocess.run(command, shell=True, env=client_env(), text=True, capture_output=True, check=False)
        self.assertEqual((0, "true\ntrue\ntrue\n"), (result.returncode, result.stdout), result.stderr)

    def test_rows_add_up_by_each_model_and_policy(self):
        for arguments in ((), ("--model", "vm-share"), ("--static", "even", "--static-watts", "3"),
                          ("--static", "proportional", "--static-watts", "3"), ("--static", "allocation", "--static-watts", "3"),
                          ("--static-watts", "3")):
            for interval in self.intervals("--count", "1", "--delay", "1", *arguments):
                assert_rows_add_up(self, interval)

    def test_the_spinning_guest_has_the_most_and_two_cpus_worth_of_time(self):
        ran, (_, waited), stolen = process_time(self.spins.pid), thread_times(self.spins.pid), steal_ns()
        with RunningVirtPower("--count", "1", "--delay", "3", uri=self.daemon.uri) as client:
            interval = client.next()
        after, (_, waited_after) = process_time(self.spins.pid), thread_times(self.spins.pid)
        spins = row(interval, uuid=self.spins.uuid)
        # What it had to wait for the CPU is this machine's doing, and known.
        lost = waited_after - waited + steal_ns() - stolen
        busy = lost > 0.1 * interval["duration_ns"]  # with other work, which then has a share of its own
        others = [entry["energy_uj"] for entry in interval["rows"]
                  if entry is not spins and not (busy and entry["kind"] == "host")]
        self.assertGreater(spins["energy_uj"], max(others))
        self.assertGreater(spins["cpu_time_ns"], 2 * interval["duration_ns"] * 0.97 - lost)
        self.assertLessEqual(spins["cpu_time_ns"], after - ran)

    def test_in_a_pipe_the_table_is_plain_and_says_what_it_shows(self):
        result = virt_power("--count", "2", "--delay", "1", uri=self.daemon.uri)
        self.assertEqual(0, result.returncode, result.stderr)
        self.assertNotRegex(result.stdout, r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")
        for name in (self.spins.name, self.halts.name):
            self.assertEqual(2, len(re.findall(rf"(?m)^.*{name}", result.stdout)))
        self.assertIn("modelled", result.stdout)
        self.assertLess(result.stdout.index(self.spins.name), result.stdout.index(self.halts.name))

    def test_a_filter_hides_rows_and_leaves_shares_alone(self):
        all_rows, = self.intervals("--count", "1", "--delay", "1")
        filtered, = self.intervals("--count", "1", "--delay", "1", self.halts.name)
        self.assertIsNone(row(filtered, uuid=self.spins.uuid))
        self.assertLess(row(filtered, uuid=self.halts.uuid)["energy_share"], 0.5)
        self.assertLess(row(all_rows, uuid=self.halts.uuid)["energy_share"], 0.5)

    def test_csv_has_a_header_and_a_line_for_each_row(self):
        lines = virt_power("--csv", "--count", "1", "--delay", "1", uri=self.daemon.uri).stdout.splitlines()
        self.assertGreaterEqual(len(lines), 4)
        self.assertEqual(1, len({line.count(",") for line in lines}))

    def test_the_uri_is_taken_from_the_environment(self):
        result = virt_power("--count", "1", "--delay", "1", env={"LIBVIRT_DEFAULT_URI": self.daemon.uri})
        self.assertIn(self.spins.name, result.stdout)

    def test_it_ends_at_once_on_sigterm_and_sigint(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            with RunningVirtPower("--delay", "3600", uri=self.daemon.uri) as client:
                time.sleep(0.7)
                begun = time.monotonic()
                client.process.send_signal(number)
                client.process.wait(5)
                self.assertLess(time.monotonic() - begun, 1)

    def test_one_call_a_sample_and_no_descriptor_left_open(self):
        with RunningVirtPower("--delay", "0.2", uri=self.daemon.uri) as client:
            for _ in range(3):
                client.next()
            before = len(os.listdir(f"/proc/{client.process.pid}/fd"))
            for _ in range(10):
                client.next()
            self.assertEqual(before, len(os.listdir(f"/proc/{client.process.pid}/fd")))


class NoGuests(LiveTest):
    def test_a_host_where_nothing_runs_says_so_and_goes_on_when_a_guest_starts(self):
        with RunningVirtPower("--delay", "1", uri=self.daemon.uri) as client:
            time.sleep(2.5)
            guest = self.own_guest("first", HALT)
            interval = client.next()
            while row(interval, uuid=guest.uuid) is None:
                interval = client.next()
            client.finish()
        self.assertRegex(client.errors, "(?i)no (domain|guest|vm)")


class StrangeNames(LiveTest):
    # A C1 control is a terminal's escape, and XML allows it; so does it a mark that turns text around.
    NAME = "\u009b1\u202e"

    def test_a_name_with_a_terminal_escape_is_shown_escaped(self):
        guest = Guest(Run.lab.name(self.NAME), HALT, kvm=bool(Run.kvm))
        self.daemon.create(guest)
        self.addCleanup(self.daemon.destroy, guest)
        table = virt_power("--count", "1", "--delay", "1", uri=self.daemon.uri).stdout
        self.assertNotIn("\u009b", table)
        self.assertNotIn("\u202e", table)
        self.assertRegex(table, Run.lab.tag)
        interval, = json_lines(virt_power("--json", "--count", "1", "--delay", "1", uri=self.daemon.uri).stdout)
        self.assertEqual(guest.name, row(interval, uuid=guest.uuid)["name"])


class BadInput(LiveTest):
    def check(self, result, status, text):
        self.assertEqual(status, result.returncode, result.stderr)
        self.assertEqual(1, len(result.stderr.strip().splitlines()), result.stderr)
        self.assertRegex(result.stderr, text)
        self.assertEqual("", result.stdout)

    def test_usage_errors_have_status_2(self):
        for arguments, text in ((("--delay", "0"), "delay"), (("--delay", "-1"), "delay"), (("--delay", "1e9"), "delay"),
                                (("--delay", "soon"), "delay"), (("--count", "0"), "count"), (("--model", "magic"), "model"),
                                (("--static", "sometimes"), "static"), (("--json", "--csv"), "csv|json"),
                                (("--nonsense",), "nonsense")):
            with self.subTest(arguments):
                self.check(virt_power(*arguments, uri=self.daemon.uri), 2, text)

    def test_an_unknown_uri(self):
        self.check(virt_power("--count", "1", uri="nonsense:///system"), 1, "nonsense")

    def test_no_daemon(self):
        self.check(virt_power("--count", "1", uri="qemu:///system?socket=/nonexistent/sock"), 1, "/nonexistent/sock")

    def test_no_permission(self):
        os.chmod(self.daemon.socket, 0o700)
        result = as_user(NOBODY, virt_power_program(), "-c", self.daemon.uri, "--count", "1")
        self.check(result, 1, "(?i)permission|denied")
