# SPDX-License-Identifier: LGPL-2.1-or-later
"""Counts against the kernel's own account, over real time.

A machine that runs other things, or is a guest itself, takes time from a vCPU:
both are measured (the wait in the run queue and steal) and counted in, exactly.
"""

import os
import time

from lab.guest import SPIN_ALL, SPIN_ONE
from live import MODELLED, NS, LiveTest, Sample, busy_ns, process_time, steal_ns, thread_times

TICK_NS = NS // os.sysconf("SC_CLK_TCK")


def alone(guest):
    """Keeps a guest's vCPU first in line on the last CPU."""
    cpu = max(os.sched_getaffinity(guest.pid))
    for thread in os.listdir(f"/proc/{guest.pid}/task"):
        with open(f"/proc/{guest.pid}/task/{thread}/comm", encoding="ascii") as file:
            if "KVM" in file.read():
                os.sched_setaffinity(int(thread), {cpu})
        os.setpriority(os.PRIO_PROCESS, int(thread), -20)


class Accuracy(LiveTest):
    counter = "auto"

    @classmethod
    def setUpClass(cls):
        cls.power_conf = {**MODELLED, "usage": {"counter": cls.counter}}
        super().setUpClass()

    def agree(self, expected, counted, tolerance=None):
        """expected: the least and the most that the kernel's own account leaves open, 1 % around them."""
        least, most = expected
        around = 0.01 * most if tolerance is None else tolerance
        self.assertGreaterEqual(counted, least - around, f"{least} to {most}")
        self.assertLessEqual(counted, most + around, f"{least} to {most}")

    def window(self, guests, seconds):
        """Growth of the stats, and of the kernel's own figures over the same time. These are read just before and just
        after each sample, so that of each growth the least and the most is known."""
        def kernel_figures():
            figures = {"busy": busy_ns(), "steal": steal_ns(), "ran": sum(process_time(guest.pid) for guest in guests)}
            for kind in ("vcpu", "other"):
                times = [thread_times(guest.pid, kind) for guest in guests]
                figures[f"{kind} ran"] = sum(ran for ran, _ in times)
                figures[f"{kind} waited"] = sum(waited for _, waited in times)
            return figures

        def look():
            before = kernel_figures()
            return before, Sample(self.daemon), kernel_figures()
        first = look()
        time.sleep(seconds)
        last = look()
        seen = {name: (last[0][name] - first[2][name], last[2][name] - first[0][name]) for name in first[0]}
        seen["wall"] = last[1].time - first[1].time
        seen["counted"] = sum(last[1].domain(g.uuid) - first[1].domain(g.uuid) for g in guests)
        seen["host"] = last[1].host("host.time") - first[1].host("host.time")
        return seen


class ByBpf(Accuracy):
    counter = "bpf"

    def setUp(self):
        self.need_bpf()

    def test_the_counter_is_bpf(self):
        self.own_guest("one", SPIN_ONE)
        self.assertEqual("bpf", Sample(self.daemon).first["energy.host.usage"])

    def test_one_vcpu_alone_agrees_with_the_clock_within_1_percent_each_second(self):
        guest = self.own_guest("one", SPIN_ONE)
        time.sleep(3)  # until its BIOS has gone
        alone(guest)
        time.sleep(0.2)
        for _ in range(5):
            seen = self.window([guest], 1)
            stolen = seen["steal"][1] and seen["steal"][1] + TICK_NS
            least = seen["wall"] - seen["vcpu waited"][1] - stolen + seen["other ran"][0]
            most = seen["wall"] - seen["vcpu waited"][0] + seen["other ran"][1]
            self.agree((least, most), seen["counted"], 0.01 * seen["wall"])

    def test_busy_guests_agree_with_the_kernel_within_1_percent(self):
        guests = [self.own_guest("two", SPIN_ALL, vcpus=2), self.own_guest("one", SPIN_ONE)]
        time.sleep(3)
        seen = self.window(guests, 5)
        self.agree(seen["ran"], seen["counted"])

    def test_all_owners_together_are_the_busy_time_within_1_percent(self):
        self.own_guest("two", SPIN_ALL, vcpus=2)
        time.sleep(3)
        seen = self.window([], 10)
        least, most = seen["busy"]
        self.agree((least - seen["steal"][1], most), seen["host"])

    def test_threads_from_their_first_to_their_last_instant(self):
        """A guest's whole life is its QEMU's whole CPU time, start-up included."""
        guest = self.own_guest("life", SPIN_ONE)
        time.sleep(2)
        least = process_time(guest.pid)
        counted = Sample(self.daemon).domain(guest.uuid)
        most = process_time(guest.pid)
        # What its threads used before libvirt knew the process, and no more, may be missing.
        self.assertGreater(counted, least - 200_000_000)
        self.assertLessEqual(counted, most * 1.01)


class ByProc(Accuracy):
    counter = "proc"

    def test_the_basis_says_so(self):
        self.own_guest("one", SPIN_ONE)
        self.assertEqual("proc", Sample(self.daemon).first["energy.host.usage"])

    def test_no_bpf_program_is_loaded(self):
        fds = f"/proc/{self.daemon.pid}/fd"
        self.assertEqual([], [fd for fd in os.listdir(fds) if "bpf" in os.readlink(f"{fds}/{fd}")])

    def test_busy_guests_agree_with_the_kernel_within_1_percent(self):
        guests = [self.own_guest("two", SPIN_ALL, vcpus=2), self.own_guest("one", SPIN_ONE)]
        time.sleep(3)
        seen = self.window(guests, 5)
        self.agree(seen["ran"], seen["counted"])

    def test_the_host_has_at_least_the_sum_of_its_guests(self):
        self.own_guest("two", SPIN_ALL, vcpus=2)
        time.sleep(1)
        for _ in range(10):
            before = Sample(self.daemon)
            time.sleep(0.1)
            after = Sample(self.daemon)
            self.assertGreaterEqual(after.host("host.time") - before.host("host.time"),
                                    after.host("vms.time") - before.host("vms.time"))
