# SPDX-License-Identifier: LGPL-2.1-or-later
"""The plugin in a process of a user's own, as a session daemon loads it: it may read nothing that tells energy, says so,
and counts CPU time."""

import json
import os
import shutil
import subprocess
import sys

import plugin as plugin_module
from host import PARANOID, PluginTest, Run, expected_zones, sysctl
from interfaces import Spinner

NOBODY = 65534


def as_nobody(*command, **keywords):
    return subprocess.run(["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", *command],
                          capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, timeout=60, **keywords)


class Unprivileged(PluginTest):
    def setUp(self):
        super().setUp()
        os.chmod(self.directory, 0o755)
        # The build may be in a directory that is root's alone.
        for path in (Run.plugin(), plugin_module.__file__):
            shutil.copy(path, self.directory)

    def probe(self, *pids):
        result = as_nobody(sys.executable, "-B", f"{self.directory}/plugin.py", f"{self.directory}/host-power.so",
                           self.directory, *map(str, pids), cwd="/")
        self.assertEqual(0, result.returncode, result.stderr)
        return json.loads(result.stdout)

    def test_there_is_no_energy_and_the_status_says_so(self):
        self.assertEqual(PARANOID, int(sysctl("kernel.perf_event_paranoid")))
        found = self.probe()
        self.assertEqual("no-source", found["status"])
        self.assertEqual([], [name for name in found["host"] if name.startswith("energy.zone.") and name.endswith(".energy")])
        log = "\n".join(line for _, line in found["log"])
        self.assertIn("a session daemon loads no BPF", log)
        for name in expected_zones():
            if not name.startswith("perf/"):
                self.assertRegex(log, f"zone {name}: .*Permission denied")

    def test_cpu_time_of_another_users_process_is_counted_from_proc(self):
        with Spinner(1) as spinner:
            pid = spinner.pid
            found = self.probe(pid)
        self.assertEqual("proc", found["host"]["energy.host.usage"])
        times = [value for name, value in found["domains"][str(pid)].items() if name.endswith(".time")]
        self.assertGreater(sum(times), 200_000_000)
        self.assertEqual([], [name for name in found["host"] if name.endswith("cycles")])
