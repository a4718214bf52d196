# SPDX-License-Identifier: LGPL-2.1-or-later
"""A kernel that is locked down, as Secure Boot may start one. There is no way back, and the module's control goes with it: it
wants a machine of its own, and runs only where --only asks for it."""

import contextlib
import os
import subprocess
import tempfile
import time
import unittest

from host import PluginTest, Run
from inside import read, write
from interfaces import Spinner, needs
from plugin import Plugin

SECURITYFS = "/sys/kernel/security"
LOCKDOWN = f"{SECURITYFS}/lockdown"
COUNTED_S = 10


@needs("powercap", "cpu-pmu")
class LockedDown(unittest.TestCase):
    def setUp(self):
        if not os.path.exists(LOCKDOWN):
            with contextlib.suppress(subprocess.CalledProcessError):
                subprocess.run(["mount", "-t", "securityfs", "securityfs", SECURITYFS], check=True, capture_output=True)
        if not os.path.exists(LOCKDOWN):
            self.skipTest("this kernel has no lockdown")
        directory = tempfile.TemporaryDirectory(prefix="live-")
        self.addCleanup(directory.cleanup)
        self.directory = directory.name
        with open(f"{self.directory}/host-power.conf", "w", encoding="ascii") as file:
            file.write(PluginTest.config)

    def open(self):
        plugin = Plugin(Run.plugin(), self.directory)
        self.addCleanup(plugin.close)
        deadline = time.monotonic() + COUNTED_S
        while PluginTest.counted_zones(plugin.snapshot()) != PluginTest.expected_counted():
            self.assertLess(time.monotonic(), deadline, f"zones that are to be counted are not: {plugin.log}")
            time.sleep(0.1)
        return plugin

    def check_all_is_counted(self, level):
        if f"[{level}]" not in read(LOCKDOWN):
            write(LOCKDOWN, level)
        self.assertIn(f"[{level}]", read(LOCKDOWN))
        plugin = self.open()
        with Spinner(1) as spinner:
            pid = spinner.pid
            plugin.start(pid)
            first = plugin.snapshot()
            time.sleep(2)
            second = plugin.snapshot()
        self.assertEqual(("ok", "bpf"), (second.status, second.host["energy.host.usage"]), plugin.log)
        for figure in ("time", "cycles"):
            self.assertGreater(sum(second.domain(pid, figure).values()), sum(first.domain(pid, figure).values()))
        for name in PluginTest.expected_counted():
            self.assertGreater(second.zones()[name]["energy"], first.zones()[name]["energy"], name)

    def test_what_is_forbidden_is_nothing_that_is_needed(self):
        """The BPF program reads its own arguments alone, and no other memory of the kernel's; events that only count stay."""
        levels = read(LOCKDOWN).split()  # from none on; that of now in brackets
        now = next(number for number, level in enumerate(levels) if level.startswith("["))
        for level in levels[now + 1:] or [levels[now].strip("[]")]:
            with self.subTest(level=level):
                self.check_all_is_counted(level)
