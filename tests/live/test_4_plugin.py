# SPDX-License-Identifier: LGPL-2.1-or-later
"""Without the plugin, or with one that is none, guests start, run and stop as ever."""

import os
import subprocess
import tempfile

from lab.build import TOP
from lab.guest import HALT, SPIN_ONE
from live import LiveTest, Run, Sample, json_lines, new_daemon, records, row, virt_power

# A table that is right but for what a test breaks.
PLUGIN = """
#include <stddef.h>
#include "virt-power/host_power_plugin.h"
static HostPower *open_(const HostPowerOptions *o) { (void)o; return NULL; }
static void close_(HostPower *p) { (void)p; }
static int started(HostPower *p, const unsigned char *u, const char *n, int64_t pid)
{ (void)p; (void)u; (void)n; (void)pid; return -1; }
static void stopped(HostPower *p, const unsigned char *u) { (void)p; (void)u; }
static HostPowerSnapshot *snapshot(HostPower *p, uint32_t f) { (void)p; (void)f; return NULL; }
static void snapshot_free(HostPowerSnapshot *s) { (void)s; }
static const char *status(const HostPowerSnapshot *s) { (void)s; return "ok"; }
static int host(const HostPowerSnapshot *s, HostPowerVisible v, HostPowerEmit e, void *o)
{ (void)s; (void)v; (void)e; (void)o; return 0; }
static int domain(const HostPowerSnapshot *s, const unsigned char *u, HostPowerEmit e, void *o)
{ (void)s; (void)u; (void)e; (void)o; return 0; }
static const HostPowerPlugin table = { ABI, SIZE, open_, close_, started, stopped, snapshot, snapshot_free,
                                       status, host, domain };
const HostPowerPlugin *SYMBOL(void);
const HostPowerPlugin *SYMBOL(void) { return &table; }
"""


class GuestsGoOn(LiveTest):
    """Each test starts daemons of its own."""

    @classmethod
    def setUpClass(cls):
        cls.guests = {}

    @classmethod
    def tearDownClass(cls):
        pass

    def start(self, plugin, **keywords):
        self.daemon = type(self).daemon = new_daemon(plugin=plugin, **keywords).start()
        self.addCleanup(self.daemon.stop)
        return self.daemon

    def plugin_dir(self):
        """An empty one, another at each attempt."""
        return tempfile.mkdtemp(prefix="plugin-", dir=Run.lab.dir)

    def warnings(self):
        return [line for line in self.daemon.logs().splitlines()
                if (": warning :" in line or ": error :" in line) and "plugin" in line]

    def check_runs_without_energy(self, expected):
        """A whole guest's life, the status, and one warning that says what is wrong."""
        guest = self.own_guest("guest", HALT)
        (_, values), = records(self.daemon.uri)
        self.assertEqual({"energy.status": "no-plugin"}, values)
        self.daemon.virsh("suspend", guest.name)
        self.daemon.virsh("resume", guest.name)
        self.destroy(guest)
        self.assertEqual([], records(self.daemon.uri))
        warnings = self.warnings()
        self.assertEqual(1, len(warnings), warnings)
        self.assertRegex(warnings[0], expected)

    def make_plugin(self, abi="HOST_POWER_PLUGIN_ABI_VERSION", size="sizeof(HostPowerPlugin)",
                    symbol="host_power_plugin"):
        directory = self.plugin_dir()
        with open(f"{directory}/plugin.c", "w", encoding="ascii") as file:
            file.write(PLUGIN)
        subprocess.run(["cc", "-shared", "-fPIC", f"-I{TOP}/include", f"-DABI={abi}", f"-DSIZE={size}",
                        f"-DSYMBOL={symbol}", "-o", f"{directory}/host-power.so", f"{directory}/plugin.c"], check=True)
        return directory

    def test_no_plugin_file(self):
        self.start(self.plugin_dir())
        self.check_runs_without_energy(r"host-power\.so")

    def test_a_file_that_is_no_plugin(self):
        directory = self.plugin_dir()
        with open(f"{directory}/host-power.so", "w", encoding="ascii") as file:
            file.write("not a shared object\n")
        self.start(directory)
        self.check_runs_without_energy(r"host-power\.so")

    def test_a_shared_object_that_is_no_plugin(self):
        self.start(self.make_plugin(symbol="something_else"))
        self.check_runs_without_energy("host_power_plugin")

    def test_a_plugin_of_another_abi_version(self):
        self.start(self.make_plugin(abi="99"))
        self.check_runs_without_energy("ABI version 99")

    def test_a_plugin_with_a_table_that_is_too_short(self):
        self.start(self.make_plugin(size="16"))
        self.check_runs_without_energy("16 bytes")

    def test_a_plugin_that_does_not_start(self):
        self.start(self.make_plugin())
        self.check_runs_without_energy("did not start")

    def test_plugin_added_and_taken_away_under_a_running_guest(self):
        self.start(None)
        guest = self.own_guest("guest", SPIN_ONE)

        def restart(plugin_dir):
            self.daemon.env["LIBVIRT_HOST_POWER_DIR"] = plugin_dir
            self.daemon.restart()
            self.assertEqual(guest.pid, self.daemon.guest_pid(guest))
            os.kill(guest.pid, 0)
            return records(self.daemon.uri)[0][1]

        self.assertEqual({"energy.status": "no-plugin"}, records(self.daemon.uri)[0][1])
        with_plugin = restart(f"{Run.build}/src/plugin")
        self.assertEqual("ok", with_plugin["energy.status"])
        self.assertIn("energy.zone.0.energy", with_plugin)
        self.assertIn("energy.instance", with_plugin)
        self.assertEqual({"energy.status": "no-plugin"}, restart("/nonexistent"))

    def test_virt_power_without_plugin_shows_cpu_shares_and_one_line_why(self):
        self.start(None)
        guest = self.own_guest("guest", SPIN_ONE)
        result = virt_power("--json", "--count", "1", "--delay", "1", uri=self.daemon.uri)
        interval, = json_lines(result.stdout)
        shown = row(interval, kind="domain", uuid=guest.uuid)
        self.assertGreater(shown["cpu_share"], 0)
        self.assertIsNone(shown.get("energy_uj"))
        self.assertIsNone(shown.get("power_w"))
        table = virt_power("--count", "1", "--delay", "1", uri=self.daemon.uri)
        self.assertRegex(table.stdout + table.stderr, "(?i)plugin")
        self.assertIn(guest.name, table.stdout)

    def test_a_host_without_any_source_says_no_source_and_still_counts_time(self):
        self.start(True, power_conf={"sources": {"powercap": "false", "perf": "false", "modelled": "false"}})
        guest = self.own_guest("guest", SPIN_ONE)
        before = Sample(self.daemon)
        self.assertEqual("no-source", before.first["energy.status"])
        self.assertEqual(0, before.first["energy.zone.count"])
        self.assertIn("energy.package.0.time", before.by_uuid[guest.uuid])


