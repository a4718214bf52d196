# SPDX-License-Identifier: LGPL-2.1-or-later
"""Calibrating a host whose energy is modelled: what comes out is known beforehand."""

import json
import os
import re
import socket
import time

from lab.guest import HALT, SPIN_ONE
from live import MODELLED, LiveTest, Run, Sample, assert_rows_add_up, json_lines, records, row, virt_power, wait_for

PLUGIN_FILE = "host-power-calibration.conf"
IDLE_UW = MODELLED["modelled"]["idle_watts"] * 1_000_000
BUSY_UW = MODELLED["modelled"]["busy_cpu_watts"] * 1_000_000


class Calibration(LiveTest):
    """This machine is seldom idle while it is tested, so that what is refused is told with a guest that spins, and what is
    measured is compared with the model."""

    def setUp(self):
        self.path = f"{self.daemon.conf}/{PLUGIN_FILE}"
        if os.path.exists(self.path):
            os.unlink(self.path)
        self.paused = self.own_guest("paused", HALT)
        self.daemon.virsh("suspend", self.paused.name)
        wait_for(lambda: self.static() == [None] and Sample(self.daemon).first["energy.status"] == "ok", 15,
                 "energy counts and no static power is known")

    def static(self):
        return [zone.get("static") for zone in Sample(self.daemon).zones()]

    def calibrate(self, *arguments, seconds=4):
        return virt_power("calibrate", "-c", self.daemon.uri, "--seconds", str(seconds), "--json", *arguments)

    def calibrated(self):
        result = self.calibrate("--max-busy", "100", "--output", self.path)
        self.assertEqual(0, result.returncode, result.stderr)
        return json.loads(result.stdout)

    def warnings(self):
        return [line for line in self.daemon.logs().splitlines() if PLUGIN_FILE in line]

    def test_static_power_is_measured_published_and_taken_out_of_the_shares_without_a_restart(self):
        before, = json_lines(virt_power("--json", "-n", "1", "-d", "1", uri=self.daemon.uri).stdout)
        self.assertEqual("included", before["idle"])
        shown = self.calibrated()
        self.assertEqual(socket.gethostname(), shown["host"].partition(".")[0])
        zone, = shown["zones"]
        # The model's own idle power, and what the machine did meanwhile.
        expected = IDLE_UW + BUSY_UW * os.sysconf("SC_NPROCESSORS_ONLN") * shown["busy_percent"] / 100
        self.assertLess(abs(zone["static_uw"] - expected), 0.002 * expected)
        self.assertEqual("modelled", zone["source"])
        self.assertGreaterEqual(zone["windows"], 5)
        self.assertLessEqual(zone["lowest_uw"], zone["static_uw"])
        self.assertGreaterEqual(zone["highest_uw"], zone["static_uw"])
        self.assertEqual((self.path, True), (shown["file"], shown["published"]))
        self.assertEqual([zone["static_uw"]], self.static())
        self.assertIn(f"energy.zone.0.static={zone['static_uw']}",
                      self.daemon.virsh("domstats", "--energy", self.paused.name).stdout)
        after, = json_lines(virt_power("--json", "-n", "1", "-d", "1", uri=self.daemon.uri).stdout)
        self.assertEqual("separated", after["idle"])
        assert_rows_add_up(self, after)
        energy = sum(z["energy_uj"] for z in after["zones"] if z["counted"])
        share = zone["static_uw"] * after["duration_ns"] // 10**9
        self.assertEqual(min(share, energy), row(after, kind="static")["energy_uj"])
        table = virt_power("-n", "1", "-d", "1", uri=self.daemon.uri).stdout
        self.assertNotIn("W+IDLE", table)
        self.assertIn("(static power)", table)
        unused, = json_lines(virt_power("--json", "-n", "1", "-d", "1", "--static-watts", "none",
                                        uri=self.daemon.uri).stdout)
        self.assertEqual("included", unused["idle"])

    def test_it_survives_a_restart_and_goes_with_the_file(self):
        static, warned = self.calibrated()["zones"][0]["static_uw"], len(self.warnings())
        self.daemon.restart()
        wait_for(lambda: self.static() == [static], 15, "it is published again")
        os.unlink(self.path)
        wait_for(lambda: self.static() == [None], 5, "it is taken back")
        self.assertEqual([], self.warnings()[warned:])

    def test_a_busy_host_is_refused_and_the_guest_named(self):
        guest = self.own_guest("spins", SPIN_ONE)
        time.sleep(1)
        result = self.calibrate("--output", self.path, seconds=60)
        self.assertEqual((1, ""), (result.returncode, result.stdout))
        self.assertRegex(result.stderr, r"is not idle: .* busy \d+\.\d %")
        self.assertRegex(result.stderr, f"Busiest: (domain {guest.name}|the host itself)")
        self.assertFalse(os.path.exists(self.path))
        self.assertEqual([None], self.static())

    def test_without_a_domain_there_is_nothing_to_be_read(self):
        self.destroy(self.paused)
        result = self.calibrate("--output", self.path)
        self.assertEqual(1, result.returncode)
        self.assertRegex(result.stderr, "no domain runs on .*virsh start --paused")

    def test_a_wrong_file_is_warned_of_once_and_ignored(self):
        self.calibrated()
        with open(self.path, encoding="utf-8") as file:
            good = file.read()
        for text, expected in (
                (re.sub("machine_id=.", "machine_id=x", good), "'machine_id'.*another machine"),
                (good.replace("source=modelled", "source=powercap"), "'source'.*modelled now, not by powercap"),
                (good.replace("static_uw=", "static_uw=-"), "'static_uw'.*is not whole microwatts"),
                (good[:-1], "cut off"), ("\0\x1b[31m junk\n", "ignored")):
            with self.subTest(expected):
                seen = len(self.warnings())
                with open(self.path + ".new", "w", encoding="utf-8") as file:
                    file.write(text)
                os.rename(self.path + ".new", self.path)
                # The plugin looks when it is asked for figures.
                wait_for(lambda: self.static() == [None] and len(self.warnings()) > seen, 5, "it is ignored")
                for _ in range(3):
                    time.sleep(1.1)
                    self.assertEqual([None], self.static())
                fresh = self.warnings()[seen:]
                self.assertRegex("\n".join(fresh), expected)
                self.assertLessEqual(len(fresh), 2, fresh)  # a key, and the group that cannot do without it
                self.assertNotRegex("".join(fresh), "[\x00-\x1f]")
                self.assertEqual("ok", records(self.daemon.uri)[0][1]["energy.status"])
        os.unlink(self.path)
        os.mkfifo(self.path)
        seen = len(self.warnings())
        wait_for(lambda: self.static() == [None] and len(self.warnings()) > seen, 5, "a FIFO blocks nothing")
        self.assertIn("is not a file", self.warnings()[-1])

    def test_the_users_own_file_serves_where_the_daemons_place_is_not_known(self):
        home = f"{Run.lab.dir}/home"
        env = {"XDG_CONFIG_HOME": home}
        result = virt_power("calibrate", "-c", self.daemon.uri, "--seconds", "2", "--max-busy", "100", env=env)
        self.assertEqual(0, result.returncode, result.stderr)
        self.assertIn(f"written to {home}/virt-power/calibration/", result.stdout)
        self.assertEqual([None], self.static())
        for with_home, idle in ((env, "separated"), ({"XDG_CONFIG_HOME": "/nonexistent"}, "included")):
            shown, = json_lines(virt_power("--json", "-n", "1", "-d", "1", uri=self.daemon.uri, env=with_home).stdout)
            self.assertEqual(idle, shown["idle"])
