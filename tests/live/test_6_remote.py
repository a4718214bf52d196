# SPDX-License-Identifier: LGPL-2.1-or-later
"""The same figures over TLS, to stock clients too, and from several hosts at once."""

import subprocess

from lab.daemon import client_env
from lab.guest import HALT, SPIN_ONE, wait_until_quiet
from lab.tls import Tls
from live import LiveTest, Run, Sample, assert_rows_add_up, json_lines, new_daemon, row, virt_power


class OverTls(LiveTest):
    @classmethod
    def setUpClass(cls):
        cls.tls = Tls(f"{Run.lab.dir}/pki")
        cls.daemon = new_daemon(tls=cls.tls).start()
        cls.guests = {}
        cls.spins = cls.guest("spins", SPIN_ONE)
        cls.halts = cls.guest("halts", HALT)
        wait_until_quiet(cls.halts.pid)

    def test_stock_python_sees_the_group(self):
        sample = Sample(self.daemon, uri=self.tls.uri)
        self.assertEqual("ok", sample.first["energy.status"])
        self.assertEqual({self.spins.uuid, self.halts.uuid}, set(sample.by_uuid))

    def test_stock_virsh_shows_the_group(self):
        out = self.daemon.virsh("domstats", stock=True, uri=self.tls.uri).stdout
        self.assertIn("energy.zone.0.energy=", out)

    def test_virt_power_shows_watts(self):
        result = virt_power("--json", "--count", "2", "--delay", "1", uri=self.tls.uri)
        self.assertEqual(0, result.returncode, result.stderr)
        intervals = json_lines(result.stdout)
        self.assertEqual(2, len(intervals))
        for interval in intervals:
            assert_rows_add_up(self, interval)
            self.assertGreater(row(interval, uuid=self.spins.uuid)["power_w"],
                               row(interval, uuid=self.halts.uuid)["power_w"])

    def test_a_client_without_a_certificate_is_told_so(self):
        result = virt_power("--count", "1", uri=f"qemu+tls://localhost:{self.tls.port}/system?pkipath=/nonexistent")
        self.assertNotIn(result.returncode, (0, 2))
        self.assertEqual(1, len(result.stderr.strip().splitlines()), result.stderr)


class SeveralHosts(LiveTest):
    def test_one_table_with_a_column_for_the_host_and_one_json_line_for_each(self):
        other = new_daemon().start()
        self.addCleanup(other.stop)
        mine = self.own_guest("mine", SPIN_ONE)
        theirs = self.guest("theirs", HALT, daemon=other)
        self.addCleanup(other.destroy, theirs)
        arguments = ("-c", other.uri, "--count", "1", "--delay", "1")
        table = virt_power(*arguments, uri=self.daemon.uri).stdout
        self.assertIn(mine.name, table)
        self.assertIn(theirs.name, table)
        self.assertRegex(table, r"(?m)^.*\bHOST\b")
        intervals = json_lines(virt_power("--json", *arguments, uri=self.daemon.uri).stdout)
        self.assertEqual({self.daemon.uri, other.uri}, {interval["uri"] for interval in intervals})

    def test_one_host_away_does_not_hide_the_other(self):
        guest = self.own_guest("mine", SPIN_ONE)
        result = virt_power("-c", "qemu:///system?socket=/nonexistent/sock", "--json", "--count", "1", "--delay", "1",
                            uri=self.daemon.uri)
        found = [i for i in json_lines(result.stdout) if i["uri"] == self.daemon.uri]
        self.assertIsNotNone(row(found[0], uuid=guest.uuid))
        self.assertIn("/nonexistent/sock", result.stderr)


class StockDaemon(LiveTest):
    """libvirt's test driver stands for a daemon whose driver has no energy."""

    @classmethod
    def setUpClass(cls):
        pass

    @classmethod
    def tearDownClass(cls):
        pass

    def test_virt_power_says_that_there_is_no_energy(self):
        result = virt_power("--count", "1", "--delay", "1", uri="test:///default")
        self.assertTrue(result.stderr.strip() or "energy" in result.stdout)
        self.assertNotRegex(result.stdout, r"\d W\b")

    def test_stock_virsh_of_the_machine_works_on(self):
        result = subprocess.run(["/usr/bin/virsh", "-c", "test:///default", "list"], env=client_env(), text=True,
                                capture_output=True, check=False)
        self.assertEqual(0, result.returncode, result.stderr)
