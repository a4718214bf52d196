# SPDX-License-Identifier: LGPL-2.1-or-later
"""virt-power record on real daemons, and replay: the same output, byte for byte."""

import os
import signal
import subprocess
import tempfile
import time

from lab.daemon import client_env
from lab.guest import HALT, SPIN_ONE
from live import (MODELLED, LiveTest, assert_rows_add_up, json_lines, new_daemon, row, virt_power, virt_power_program,
                  wait_for)


class Recording:
    """virt-power record in the background; its output goes to files. A context manager."""

    def __init__(self, *arguments):
        self.directory = tempfile.TemporaryDirectory()
        self.file = f"{self.directory.name}/recording"
        self.streams = [open(f"{self.directory.name}/{name}", "w+b") for name in ("out", "err")]
        self.process = subprocess.Popen([virt_power_program(), "record", self.file, *arguments], env=client_env(),
                                        stdin=subprocess.DEVNULL, stdout=self.streams[0], stderr=self.streams[1])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for stream in self.streams:
            stream.close()
        self.directory.cleanup()

    def shown(self):
        """(standard output, standard error) so far, as text."""
        return tuple(os.pread(stream.fileno(), 1 << 24, 0).decode() for stream in self.streams)

    def wait_lines(self, more, seconds=30):
        """Until so many lines more have come."""
        wanted = self.shown()[0].count("\n") + more
        wait_for(lambda: self.shown()[0].count("\n") >= wanted, seconds, f"{wanted} lines of output")

    def finish(self):
        """Ends it; (output, messages)."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        if self.process.wait(15) != 0:
            raise AssertionError(f"status {self.process.returncode}: {self.shown()[1]}")
        return self.shown()

    def replay(self, *arguments):
        result = virt_power("replay", self.file, *arguments)
        if result.returncode != 0:
            raise AssertionError(f"status {result.returncode}: {result.stderr}")
        return result.stdout, result.stderr


class Record(LiveTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.stays = cls.guest("stays", HALT)

    def test_guests_that_come_and_go_and_a_daemon_that_restarts_are_replayed_to_the_byte(self):
        with Recording("-c", self.daemon.uri, "--json", "--delay", "0.5") as recording:
            recording.wait_lines(2)
            guest = self.guest("brief", SPIN_ONE)
            recording.wait_lines(3)
            self.destroy(guest)
            recording.wait_lines(2)
            self.daemon.restart(signal.SIGKILL)
            wait_for(lambda: "connected" in recording.shown()[1], 40, "the client's connection")
            recording.wait_lines(2)
            live = recording.finish()
            self.assertEqual(live, recording.replay("--json"))
            self.assertIn("trying again", live[1])
            # Where counting outlives the daemon nothing restarts.
            (self.assertNotIn if self.daemon.bpf_fs else self.assertIn)("counters restarted", live[1])
            intervals = json_lines(live[0])
            self.assertTrue(any(row(interval, uuid=guest.uuid, kind="domain") for interval in intervals))
            self.assertTrue(any(row(interval, uuid=guest.uuid, kind="departed") for interval in intervals))
            # Other models of the same samples add up to the same energy.
            other = json_lines(recording.replay("--json", "--model", "vm-share", "--static", "even", "--static-watts", "2")[0])
            self.assertEqual([interval["zones"] for interval in intervals], [interval["zones"] for interval in other])
            for interval in other:
                self.assertEqual(("vm-share", "separated"), (interval["model"], interval["idle"]))
                assert_rows_add_up(self, interval)

    def test_every_format_is_replayed_to_the_byte(self):
        for form in ([], ["--csv"], ["--json", "--sort", "name", self.stays.name, "nobody"]):
            with self.subTest(form), Recording("-c", self.daemon.uri, "-n", "3", "-d", "0.3", *form) as recording:
                recording.process.wait(30)
                live = recording.finish()
                self.assertIn(self.stays.name, live[0])
                self.assertEqual(live, recording.replay(*form))

    def test_a_recording_without_a_policy_is_divided_by_allocation(self):
        two = self.own_guest("two", HALT, vcpus=2)
        with Recording("-c", self.daemon.uri, "-n", "2", "-d", "0.5") as recording:
            recording.process.wait(30)
            recording.finish()
            watts = ("--json", "--static-watts", "3")
            separate = json_lines(recording.replay(*watts)[0])
            self.assertEqual(2, len(separate))
            for apart, given in zip(separate, json_lines(recording.replay(*watts, "--static", "allocation")[0])):
                assert_rows_add_up(self, given)
                self.assertEqual([], [r for r in given["rows"] if r["kind"] == "static"])
                total = sum(r["energy_uj"] for r in apart["rows"] if r["kind"] == "static")
                more = {r["name"]: r["energy_uj"] - row(apart, uuid=r["uuid"])["energy_uj"] for r in given["rows"] if r["kind"] == "domain"}
                self.assertAlmostEqual(total * 2 / 3, more[two.name], delta=2)
                self.assertAlmostEqual(total / 3, more[self.stays.name], delta=2)

    def test_a_kill_leaves_all_that_was_shown(self):
        for _ in range(5):
            with Recording("-c", self.daemon.uri, "--json", "--delay", "0.1") as recording:
                recording.wait_lines(1)
                time.sleep(0.3)
                recording.process.kill()
                recording.process.wait()
                shown = recording.shown()[0]
                result = virt_power("replay", recording.file, "--json")
                self.assertEqual(1, result.returncode)
                self.assertIn("cut off", result.stderr)
                self.assertTrue(result.stdout.startswith(shown), (shown, result.stdout))


class SeveralHosts(LiveTest):
    power_conf = {**MODELLED, "access": {"read_only": "coarse"}}

    def test_a_coarse_connection_and_a_host_without_energy_are_replayed_to_the_byte(self):
        plain = new_daemon(plugin=False, power_conf=None).start()
        self.addCleanup(plain.stop)
        self.own_guest("here", HALT)
        other = self.own_guest("there", SPIN_ONE, daemon=plain)
        self.addCleanup(plain.virsh, "destroy", other.name, check=False)
        with Recording("--readonly", "-c", self.daemon.uri_read_only, "-c", plain.uri_read_only, "-d", "1", "-n", "14") as recording:
            recording.process.wait(60)
            live = recording.finish()
            self.assertEqual(live, recording.replay())
            self.assertIn("gets a reading every 10 s", live[1])
            self.assertIn("modelled", live[0])
            self.assertIn("cpu.time", live[0])
            energies = [r.get("energy_uj") for interval in json_lines(recording.replay("--json")[0]) for r in interval["rows"]]
            self.assertTrue(any(energies))
            self.assertIn(None, energies)
