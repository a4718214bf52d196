# SPDX-License-Identifier: LGPL-2.1-or-later
"""The PMUs `power` and `cpu` as perf gives them."""

import contextlib
import errno
import os
import signal
import time
import unittest

import interfaces
from inside import package_of
from interfaces import (BASE_KHZ, CYCLES, EVENT_SOURCES, EXCLUDE_USER, INHERIT, INSTRUCTIONS, REFERENCE_CYCLES, TYPE_HARDWARE,
                    TYPE_RAW, UNIT_UJ, WRAP_UJ, Event, Mark, Spinner, TestCase, Truth, control, counted_while, go_on, needs,
                    pause, power_event, power_uj, read, read_uj)

KINDS = {"energy-pkg": "package", "energy-cores": "core", "energy-ram": "dram"}


def _reader_cpus():
    text = read(f"{EVENT_SOURCES}/power/cpumask")
    return [int(number) for number in text.replace("-", ",").split(",")]


@needs("power-pmu")
class Power(TestCase):
    def test_events_and_mask(self):
        names = {name for name in os.listdir(f"{EVENT_SOURCES}/power/events") if "." not in name}
        expected = {"energy-pkg"} if "intel" not in interfaces.FEATURES else set(KINDS)
        self.assertEqual(names, expected)
        for name in names:
            self.assertEqual(read(f"{EVENT_SOURCES}/power/events/{name}.unit"), "Joules")
        packages = [package_of(cpu) for cpu in _reader_cpus()]
        self.assertEqual(sorted(packages), sorted(Truth().packages))

    def test_agrees_with_the_truth_and_with_powercap(self):
        kinds = ["energy-pkg"] if "intel" not in interfaces.FEATURES else list(KINDS)
        for cpu in _reader_cpus():
            package = package_of(cpu)
            with Spinner(cpu), contextlib.ExitStack() as stack:
                events = {kind: stack.enter_context(power_event(kind, cpu)) for kind in kinds}

                def counts(events=events, zone=f"intel-rapl:{package}"):
                    found = {kind: event.count for kind, event in events.items()}
                    return found | ({"zone": read_uj(zone)} if "powercap" in interfaces.FEATURES else {})

                first = Mark(counts)
                time.sleep(1)
                second = Mark(counts)
            for name, count in second.value.items():
                def true(truth, domain=KINDS.get(name, "package")):
                    return truth.package_uj(package, domain)

                grown = count - first.value[name]
                counted = power_uj(grown, name) if name in KINDS else grown % (WRAP_UJ + 1)
                self.assert_counted(counted, first, second, true, 2 * UNIT_UJ, f"{name}, uJ")

    def test_does_not_wrap(self):
        control(static_uw=400_000_000)
        cpu = _reader_cpus()[0]
        with power_event("energy-pkg", cpu) as event:
            time.sleep(1)
            self.assertGreater(power_uj(event.count, "energy-pkg"), 5 * WRAP_UJ)

    def test_refuses(self):
        pmu = interfaces.pmu_type("power")
        for config, keywords in ((0, {"cpu": 0}), (9, {"cpu": 0}), (2, {"pid": 0}), (2, {"cpu": 0, "sample_period": 1000}),
                                 (2, {"cpu": 0, "flags": EXCLUDE_USER})):
            self.assert_errno(errno.EINVAL, Event, pmu, config, **keywords)
        if "intel" not in interfaces.FEATURES:
            self.assert_errno(errno.EINVAL, Event, pmu, 1, cpu=0)


@needs("cpu-pmu")
class Cycles(TestCase):
    def test_of_a_task(self):
        for cpu in range(2):
            with Spinner(cpu) as spinner, Event(TYPE_HARDWARE, CYCLES, pid=spinner.pid) as cycles, \
                    Event(TYPE_HARDWARE, REFERENCE_CYCLES, pid=spinner.pid) as reference:
                counts, true = counted_while(spinner, [cycles, reference], lambda: time.sleep(1))
            self.assert_share(counts[0][0], true, 0.5, "cycles of a task against the truth")
            self.assert_share(counts[1][0], true, 0.5, "reference cycles of a task, at full frequency")

    def test_of_a_task_that_sleeps_often(self):
        def work():
            end = time.thread_time_ns() + 2_000_000
            while time.thread_time_ns() < end:
                pass
            time.sleep(0.002)

        with Spinner(work=work) as spinner, Event(TYPE_HARDWARE, CYCLES, pid=spinner.pid) as event:
            [(counted, *_)], true = counted_while(spinner, [event], lambda: time.sleep(1.2))
        # perf and the module see a switch one after the other
        self.assert_share(counted, true, 3, "cycles of a task that sleeps 200 times a second against the truth")

    def test_of_a_cpu(self):
        with Spinner(2), Event(TYPE_HARDWARE, CYCLES, cpu=2) as event:
            first = Mark(lambda: event.count)
            time.sleep(1)
            second = Mark(lambda: event.count)
        self.assert_counted(second.value - first.value, first, second, lambda truth: truth.cpus[2]["cycles"], 0,
                            "cycles of a CPU")

    def test_stands_still_with_the_cpu(self):
        with Event(TYPE_HARDWARE, CYCLES, cpu=3) as event:
            first, before = event.count, Truth()
            time.sleep(1)
            counted, after = event.count - first, Truth()
        self.assertLess(after.cpus[3]["time_ns"] - before.cpus[3]["time_ns"], 300_000_000)
        self.assertLess(counted, 0.4 * BASE_KHZ * 1000)

    def test_more_events_than_counters(self):
        with Spinner(1) as spinner, contextlib.ExitStack() as stack:
            events = [stack.enter_context(Event(TYPE_HARDWARE, CYCLES, pid=spinner.pid)) for _ in range(5)]
            counts, true = counted_while(spinner, events, lambda: time.sleep(3))
        for count, enabled, running in counts:
            self.assertTrue(0 < running < 0.9 * enabled, (running, enabled))
            self.assert_share(count * enabled / running, true, 3, "cycles scaled from a shared counter against the truth")
        self.assert_share(sum(running / enabled for _, enabled, running in counts), 3, 5, "counters in use")

    def test_more_counters_when_told(self):
        control(counters=5)
        with Spinner(1) as spinner, contextlib.ExitStack() as stack:
            events = [stack.enter_context(Event(TYPE_HARDWARE, CYCLES, pid=spinner.pid)) for _ in range(5)]
            time.sleep(0.5)
            for event in events:
                _, enabled, running = event.read()
                self.assertEqual(enabled, running)

    def test_inherited(self):
        ready, go = os.pipe()

        def work():
            os.read(ready, 1)
            for _ in range(2):
                if os.fork() == 0:
                    while os.getppid() != 1:
                        pass
                    os._exit(0)
            for _ in range(2):
                os.wait()

        def children():
            return [int(word) for word in read(f"/proc/{parent.pid}/task/{parent.pid}/children").split()]

        with Spinner(work=work) as parent, Event(TYPE_HARDWARE, CYCLES, pid=parent.pid, flags=INHERIT) as event, \
                Event(TYPE_HARDWARE, CYCLES, pid=parent.pid) as alone:
            true_before, before = pause(parent.pid), event.count
            go_on(parent.pid)
            os.write(go, b"x")
            time.sleep(1)
            spinning = children()
            self.assertEqual(len(spinning), 2)
            true, counted = pause(parent.pid, *spinning) - true_before, event.count - before
            self.assert_share(counted, true, 0.5, "cycles of a task and its children against the truth")
            self.assertLess(alone.count, counted / 3)
            for pid in spinning:
                os.kill(pid, signal.SIGKILL)
            go_on(parent.pid)
            while children():
                time.sleep(0.05)
            self.assertGreaterEqual(event.count - before, counted)  # what they counted stays

    def test_raw_events_and_instructions(self):
        with Spinner(1) as spinner, Event(TYPE_RAW, 0x3c, pid=spinner.pid) as raw, \
                Event(TYPE_HARDWARE, INSTRUCTIONS, pid=spinner.pid) as instructions:
            ((cycles, *_), (counted, *_)), true = counted_while(spinner, [raw, instructions], lambda: time.sleep(0.5))
        self.assert_share(cycles, true, 0.5, "raw cycles of a task against the truth")
        self.assert_share(counted, true, 0.5, "instructions against cycles, one in each")

    def test_refuses(self):
        self.assert_errno(errno.EINVAL, Event, TYPE_HARDWARE, CYCLES, cpu=0, flags=EXCLUDE_USER)
        self.assert_errno(errno.EOPNOTSUPP, Event, TYPE_HARDWARE, CYCLES, cpu=0, sample_period=1000)
        self.assert_errno(errno.ENOENT, Event, TYPE_HARDWARE, 3, cpu=0)  # cache misses
        self.assert_errno(errno.EINVAL, Event, TYPE_RAW, 0x1234, cpu=0)
        with contextlib.ExitStack() as stack:
            leader = stack.enter_context(Event(TYPE_HARDWARE, CYCLES, cpu=0))
            for _ in range(2):
                stack.enter_context(Event(TYPE_HARDWARE, CYCLES, cpu=0, group=leader.descriptor))
            self.assert_errno(errno.EINVAL, Event, TYPE_HARDWARE, CYCLES, cpu=0, group=leader.descriptor)


class Absent(TestCase):
    def test_what_is_not_there_is_not_there(self):
        for feature, name in (("power-pmu", "power"), ("cpu-pmu", "cpu")):
            self.assertEqual(os.path.exists(f"{EVENT_SOURCES}/{name}"), feature in interfaces.FEATURES, name)
        self.assertEqual(os.path.exists(f"{interfaces.POWERCAP}/intel-rapl"), "powercap" in interfaces.FEATURES)
        if "cpu-pmu" not in interfaces.FEATURES:
            self.assert_errno(errno.ENOENT, Event, TYPE_HARDWARE, CYCLES, cpu=0)


if __name__ == "__main__":
    unittest.main()
