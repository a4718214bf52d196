# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a VM used: time and cycles as the module's truth has them, whatever else goes on. The VMs are processes that
keep a CPU busy: to the counting they are what QEMU is."""

import contextlib
import os
import time

import interfaces
from host import PluginTest
from inside import CPU
from interfaces import CYCLES, INSTRUCTIONS, NS, TYPE_HARDWARE, Event, Spinner, control, needs, read, write

PINNED = 1 << 2  # perf_event_attr's flag


def doze():
    """Sleeps and wakes 200 times a second."""
    end = time.thread_time_ns() + 2_000_000
    while time.thread_time_ns() < end:
        pass
    time.sleep(0.002)


class UsageTest(PluginTest):
    def vm(self, plugin, cpu=None, **keywords):
        """A process that is a domain until the test's end."""
        spinner = Spinner(cpu, **keywords)
        self.addCleanup(spinner.end)
        plugin.start(spinner.pid)
        return spinner.pid


class Usage(UsageTest):
    def test_time_is_the_truths_and_counted_at_each_switch(self):
        plugin = self.open()
        one, other = self.vm(plugin, 1), self.vm(plugin)
        span = self.span(plugin)
        self.assertEqual("bpf", span.second.snapshot.host["energy.host.usage"])
        for pid in (one, other):
            self.assert_usage(span, pid, "time", "time_ns")

    def test_cycles_are_there_where_a_pmu_counts_them(self):
        plugin = self.open()
        pid = self.vm(plugin, 1)
        snapshot = plugin.snapshot()
        there = "cpu-pmu" in interfaces.FEATURES
        self.assertEqual(there, bool(snapshot.domain(pid, "cycles")))
        self.assertEqual(there, bool(snapshot.packages("host.cycles")))
        self.assertEqual(there, "energy.host.cycles.gaps" in snapshot.host)

    @needs("cpu-pmu")
    def test_cycles_are_the_truths(self):
        plugin = self.open()
        one, other = self.vm(plugin, 1), self.vm(plugin)
        span = self.span(plugin)
        for pid in (one, other):
            self.assert_usage(span, pid, "cycles", "cycles")

    @needs("cpu-pmu")
    def test_cycles_of_one_that_sleeps_often_are_the_truths(self):
        """Nothing is lost where it begins and ends to run, beside idle."""
        plugin = self.open()
        pid = self.vm(plugin, 1, work=doze)
        self.assert_usage(self.span(plugin), pid, "cycles", "cycles")

    @needs("second-package")
    def test_a_vm_that_moves_is_charged_where_it_was(self):
        plugin = self.open()
        pid = self.vm(plugin, 0)
        time.sleep(0.5)
        os.sched_setaffinity(pid, {3})
        span = self.span(plugin)
        self.assertEqual(0, span.counted(lambda snapshot: snapshot.domain(pid, "time")[0]))
        self.assert_usage(span, pid, "time", "time_ns")

    @needs("cpu-pmu")
    def test_other_users_of_the_counters_share_them_and_leave_ours_alone(self):
        """Ours is pinned: theirs take turns."""
        plugin = self.open()
        pid = self.vm(plugin, 1)
        with contextlib.ExitStack() as stack:
            theirs = [stack.enter_context(Event(TYPE_HARDWARE, (CYCLES, INSTRUCTIONS)[n % 2], cpu=1)) for n in range(6)]
            span = self.span(plugin)
            _, enabled, running = theirs[0].read()
            self.assertLess(running, 0.9 * enabled, "theirs were not multiplexed")
            self.assert_usage(span, pid, "cycles", "cycles")

    @needs("cpu-pmu")
    def test_cycles_that_are_not_counted_are_gaps_and_come_back(self):
        """Another user holds the only counter, and then does not."""
        control(counters=1)
        with Event(TYPE_HARDWARE, CYCLES, cpu=1, flags=PINNED):
            plugin = self.open()
            pid = self.vm(plugin, 1)
            before = plugin.snapshot().host["energy.host.cycles.gaps"]
            self.wait_for(lambda: plugin.snapshot().host["energy.host.cycles.gaps"] > before, 10, "gaps are told")
        # An event that was lost is opened anew once in 10 s.
        span = self.span(plugin, 6)
        self.assert_usage(span, pid, "cycles", "cycles")

    @needs("acpi-cpufreq", "cpu-pmu")
    def test_cycles_follow_the_frequency(self):
        plugin = self.open()
        pid = self.vm(plugin, 1)
        policies = [f"{CPU}/cpu{cpu}/cpufreq" for cpu in range(os.cpu_count())]
        khz = int(read(f"{policies[0]}/cpuinfo_min_freq"))
        for policy in policies:
            write(f"{policy}/scaling_governor", "userspace")
            write(f"{policy}/scaling_setspeed", khz)
        span = self.span(plugin)
        self.assert_usage(span, pid, "cycles", "cycles")
        cycles, time_ns = (span.counted(lambda snapshot, figure=figure: sum(snapshot.domain(pid, figure).values()))
                           for figure in ("cycles", "time"))
        self.assertLess(abs(cycles * NS / time_ns / (khz * 1000) - 1), 0.02)


class Hotplug(UsageTest):
    def setUp(self):
        super().setUp()
        self.addCleanup(self.bring_back)

    @staticmethod
    def set_online(cpu, online):
        write(f"{CPU}/cpu{cpu}/online", int(online))

    @classmethod
    def bring_back(cls):
        for cpu in range(1, os.cpu_count()):
            if read(f"{CPU}/cpu{cpu}/online") == "0":
                cls.set_online(cpu, True)

    def test_a_cpu_goes_and_comes_back(self):
        plugin = self.open()
        pid = self.vm(plugin)
        packages = plugin.snapshot().host["energy.package.count"]
        self.set_online(3, False)
        away = self.span(plugin)
        self.assertEqual(packages, away.second.snapshot.host["energy.package.count"])
        self.assert_usage(away, pid, "time", "time_ns")
        self.set_online(3, True)
        os.sched_setaffinity(pid, {3})
        plugin.snapshot()
        time.sleep(0.5)
        back = self.span(plugin)
        self.assert_usage(back, pid, "time", "time_ns")
        if "cpu-pmu" in interfaces.FEATURES:
            self.assert_usage(back, pid, "cycles", "cycles")

    @needs("second-package", "powercap")
    def test_a_package_goes_with_its_cpus_and_comes_back(self):
        plugin = self.open()
        for cpu in (2, 3):
            self.set_online(cpu, False)
        away = self.wait_for(lambda: (s := plugin.snapshot()) and "energy" not in s.zones()["package-1"] and s, 5,
                             "the zone has no figure")
        self.assertEqual({"package-0", "package-0/dram"},
                         {name for name in self.counted_zones(away) if not name.startswith("perf/")})
        for cpu in (2, 3):
            self.set_online(cpu, True)
        self.wait_for(lambda: self.counted_zones(plugin.snapshot()) == self.expected_counted(), 5, "it counts again")
        self.assert_energy(self.span(plugin), ["package-0", "package-1", "package-1/dram"])
