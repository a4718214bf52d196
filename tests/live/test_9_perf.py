# SPDX-License-Identifier: LGPL-2.1-or-later
"""libvirt's own perf events count every thread of a guest, whenever they were enabled."""

import os
import time

import libvirt

from lab.guest import SPIN_ALL, SPIN_LATE
from live import LiveTest, records, steal_ns, wait_for

EVENT = "task_clock"
HARDWARE = ("cpu_cycles", "instructions", "cache_references", "cache_misses", "branch_instructions", "branch_misses",
            "bus_cycles", "ref_cpu_cycles")
SECONDS = 5


class PerfEvents(LiveTest):
    def stats(self, guest, groups=libvirt.VIR_DOMAIN_STATS_PERF):
        return dict(records(self.daemon.uri, groups))[guest.uuid]

    def enable(self, guest, *events):
        return self.daemon.virsh("perf", guest.name, "--enable", ",".join(events), "--live")

    def busy_guest(self, code=SPIN_ALL, **keywords):
        guest = self.own_guest("perf", code, vcpus=2, **keywords)
        time.sleep(3)  # until its BIOS has gone and both CPUs spin
        return guest

    def reading(self, guest):
        """The event's count, and the guest's CPU time right before and after: the closest of some."""
        best = None
        for _ in range(10):
            before = self.stats(guest, libvirt.VIR_DOMAIN_STATS_CPU_TOTAL)["cpu.time"]
            count = self.stats(guest, libvirt.VIR_DOMAIN_STATS_PERF)[f"perf.{EVENT}"]
            after = self.stats(guest, libvirt.VIR_DOMAIN_STATS_CPU_TOTAL)["cpu.time"]
            if best is None or after - before < best[2] - best[0]:
                best = before, count, after
        return best

    def assert_all_is_counted(self, guest, seconds=SECONDS):
        """The event's growth is that of the guest's CPU time."""
        first, steal = self.reading(guest), steal_ns()
        time.sleep(seconds)
        last, stolen = self.reading(guest), steal_ns() - steal
        least, counted, most = last[0] - first[2], last[1] - first[1], last[2] - first[0]
        figures = f"cpu.time {least} to {most} ns, {EVENT} {counted} ns, {stolen} ns stolen"
        self.assertGreater(least, seconds * 1e8, "the guest was not busy")
        self.assertGreaterEqual(counted, least * 0.99 - stolen, figures)
        self.assertLessEqual(counted, most * 1.01 + stolen, figures)

    def test_enabled_in_the_xml(self):
        self.assert_all_is_counted(self.busy_guest(perf=(EVENT,)))

    def test_enabled_in_a_running_guest(self):
        guest = self.busy_guest()
        self.enable(guest, EVENT)
        self.assert_all_is_counted(guest)

    def test_after_a_restart_of_the_daemon(self):
        guest = self.busy_guest(perf=(EVENT,))
        before = self.stats(guest)[f"perf.{EVENT}"]
        self.daemon.restart()
        wait_for(lambda: f"perf.{EVENT}" in self.stats(guest), 10, "the daemon has found the guest again")
        self.assertLess(self.stats(guest)[f"perf.{EVENT}"], before, "the count begins anew")
        self.assert_all_is_counted(guest)

    def test_a_vcpu_that_is_plugged_in_later(self):
        guest = self.busy_guest(SPIN_LATE, absent_vcpus=1)
        self.enable(guest, EVENT)
        threads = set(os.listdir(f"/proc/{guest.pid}/task"))
        self.daemon.virsh("setvcpus", guest.name, "2", "--live")
        new = set(os.listdir(f"/proc/{guest.pid}/task")) - threads
        wait_for(lambda: self.thread_ns(guest, new) > 1e8, 60, "the new CPU runs")
        self.assert_all_is_counted(guest)

    @staticmethod
    def thread_ns(guest, threads):
        total = 0
        for thread in threads:
            with open(f"/proc/{guest.pid}/task/{thread}/schedstat", encoding="ascii") as file:
                total += int(file.read().split()[0])
        return total

    def test_enabling_again_begins_with_zero(self):
        guest = self.busy_guest()
        self.enable(guest, EVENT)
        time.sleep(1)
        first = self.stats(guest)[f"perf.{EVENT}"]
        self.daemon.virsh("perf", guest.name, "--disable", EVENT, "--live")
        self.assertNotIn(f"perf.{EVENT}", self.stats(guest))
        self.enable(guest, EVENT)
        self.assertLess(self.stats(guest)[f"perf.{EVENT}"], first)
        self.assert_all_is_counted(guest, 1)

    def test_no_descriptor_stays_behind(self):
        guest = self.busy_guest()
        descriptors = f"/proc/{self.daemon.pid}/fd"
        self.stats(guest)
        before = len(os.listdir(descriptors))
        for _ in range(20):
            self.enable(guest, EVENT, "page_faults")
            self.assertGreater(len(os.listdir(descriptors)), before)
            self.daemon.virsh("perf", guest.name, "--disable", f"{EVENT},page_faults", "--live")
        self.assertLessEqual(len(os.listdir(descriptors)), before)

    def test_more_hardware_events_than_counters(self):
        """Estimates of what was counted in turns; they never decrease."""
        guest = self.busy_guest()
        enabled = [name for name in HARDWARE
                   if self.daemon.virsh("perf", guest.name, "--enable", name, "--live", check=False).returncode == 0]
        if "cpu_cycles" not in enabled:
            self.skipTest("the CPU has no hardware events")
        last = self.stats(guest)
        for _ in range(20):
            time.sleep(0.1)
            now = self.stats(guest)
            for name in enabled:
                self.assertGreaterEqual(now[f"perf.{name}"], last[f"perf.{name}"], name)
            last = now
