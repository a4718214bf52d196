# SPDX-License-Identifier: LGPL-2.1-or-later
"""Guests that start and end, daemons that restart: nothing twice, nothing lost."""

import concurrent.futures
import contextlib
import datetime
import os
import signal
import time

import libvirt
from lab.guest import HALT, SPIN_ALL, SPIN_ONE, Guest
from live import (ENERGY, MODELLED, NS, LiveTest, Run, RunningVirtPower, Sample, assert_rows_add_up, new_daemon, process_time, row,
                  wait_for)


def end_ns(interval):
    return datetime.datetime.fromisoformat(interval["end"].replace("Z", "+00:00")).timestamp() * 1e9


class Departed(LiveTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.stays = cls.guest("stays", HALT)

    def test_a_guest_that_came_and_went_with_no_client_is_booked_once(self):
        before = Sample(self.daemon)
        guest = self.guest("gone", SPIN_ONE)
        time.sleep(5)
        spent = process_time(guest.pid)
        begun = time.monotonic_ns()
        self.destroy(guest)
        ending = time.monotonic_ns() - begun
        after = Sample(self.daemon)
        mine = {key: value for key, value in after.departed().items() if key[0] == guest.uuid}
        self.assertEqual(1, len(mine))
        used = next(iter(mine.values()))
        self.assertGreaterEqual(used, spent * 0.99)
        self.assertLess(used, spent + ending + NS // 2)
        self.assertEqual(used, after.departed_total() - before.departed_total())
        later = Sample(self.daemon)
        self.assertEqual(after.departed(), later.departed())
        self.assertEqual(after.departed_total(), later.departed_total())

    def test_started_again_it_has_a_new_instance_from_zero(self):
        first = self.guest("again", SPIN_ONE)
        time.sleep(3)
        before = Sample(self.daemon)
        instance = before.by_uuid[first.uuid]["energy.instance"]
        self.destroy(first)
        second = self.own_guest("again", SPIN_ONE, uuid=first.uuid)
        after = Sample(self.daemon)
        self.assertEqual(first.uuid, second.uuid)
        self.assertNotEqual(instance, after.by_uuid[first.uuid]["energy.instance"])
        self.assertLess(after.domain(first.uuid), before.domain(first.uuid))
        self.assertIn((first.uuid, instance), after.departed())

    def test_virt_power_books_a_guest_that_ended_between_two_samples_once(self):
        with RunningVirtPower("--delay", "8", "--count", "2", uri=self.daemon.uri) as client:
            time.sleep(0.5)  # its first sample
            guest = self.guest("brief", SPIN_ONE)
            time.sleep(3)
            spent = process_time(guest.pid)
            self.destroy(guest)
            first = client.next()
            second = client.next()
        booked = row(first, kind="departed", uuid=guest.uuid)
        self.assertIsNotNone(booked, first)
        self.assertGreaterEqual(booked["cpu_time_ns"], spent * 0.99)
        self.assertLess(booked["cpu_time_ns"], spent + NS)
        self.assertIsNone(row(second, uuid=guest.uuid))
        for interval in (first, second):
            assert_rows_add_up(self, interval)

    def test_virt_power_books_a_guest_started_between_two_samples_from_its_start(self):
        with RunningVirtPower("--delay", "5", "--count", "1", uri=self.daemon.uri) as client:
            time.sleep(0.5)
            guest = self.own_guest("fresh", SPIN_ONE)
            interval = client.next()
        used = row(interval, kind="domain", uuid=guest.uuid)["cpu_time_ns"]
        self.assertGreater(used, NS)
        self.assertLess(used, interval["duration_ns"])
        assert_rows_add_up(self, interval)


class KeepingDeparted(LiveTest):
    power_conf = {**MODELLED, "departed": {"keep_seconds": 2, "keep_max": 2}}

    def test_names_go_after_their_time_and_totals_stay(self):
        self.own_guest("stays", HALT)
        guest = self.guest("gone", HALT)
        self.destroy(guest)
        sample = Sample(self.daemon)
        self.assertIn(guest.uuid, [uuid for uuid, _ in sample.departed()])
        total = sample.departed_total()
        time.sleep(2.5)
        sample = Sample(self.daemon)
        self.assertEqual({}, sample.departed())
        self.assertEqual(total, sample.departed_total())

    def test_no_more_names_than_configured_and_the_totals_have_all(self):
        self.own_guest("stays", HALT)
        before = Sample(self.daemon).departed_total()
        gone = []
        for index in range(3):
            guest = self.guest(f"g{index}", HALT)
            self.destroy(guest)
            gone.append(guest.uuid)
        sample = Sample(self.daemon)
        names = [uuid for uuid, _ in sample.departed()]
        self.assertLessEqual(len(names), 2)
        self.assertNotIn(gone[0], names)
        self.assertGreaterEqual(sample.departed_total() - before, sum(sample.departed().values()))


class OneReading(LiveTest):
    """A call waits for each guest that is just being started, and what it gives is of one instant all the same."""

    HOOK = """#!/bin/sh
[ "$2" = prepare ] && [ -e {dir}/$1.is-held ] || exit 0
: >{dir}/$1.waits
while [ -e {dir}/$1.is-held ]; do sleep 0.05; done
"""

    @classmethod
    def setUpClass(cls):
        cls.daemon = new_daemon(cls.power_conf)
        cls.guests = {}
        os.mkdir(f"{cls.daemon.conf}/hooks")
        path = f"{cls.daemon.conf}/hooks/qemu"
        with open(path, "w", encoding="ascii") as file:
            file.write(cls.HOOK.format(dir=cls.daemon.dir))
        os.chmod(path, 0o755)
        cls.daemon.start()

    @contextlib.contextmanager
    def held(self, pool, name, start, *arguments):
        """A guest that is being started, which keeps its lock until go_on()."""
        path = f"{self.daemon.dir}/{name}"
        with open(f"{path}.is-held", "wb"):
            pass
        try:
            begun = pool.submit(start, *arguments)
            wait_for(lambda: os.path.exists(f"{path}.waits"), 20, "the hook runs")
            yield begun
        finally:
            self.go_on(name)

    def go_on(self, name):
        with contextlib.suppress(FileNotFoundError):
            os.remove(f"{self.daemon.dir}/{name}.is-held")

    def assert_all_have_records(self, sample, guest):
        self.assertIn("energy.instance", sample.by_uuid.get(guest.uuid, {}))
        seen = sum(sample.domain(uuid) for uuid in sample.by_uuid)
        self.assertEqual(sample.host("vms.time"), seen + sample.departed_total())

    def test_a_guest_that_started_while_the_call_waited_for_another_one_has_its_record(self):
        self.own_guest("stays", HALT)
        name = Run.lab.name("slow")
        with concurrent.futures.ThreadPoolExecutor() as pool, self.held(pool, name, self.own_guest, "slow", HALT) as slow:
            call = pool.submit(Sample, self.daemon)
            time.sleep(0.5)
            started = self.own_guest("started", SPIN_ONE)
            time.sleep(0.5)
            waited = not call.done()
            self.go_on(name)
            slow.result()
            sample = call.result()
        self.assertTrue(waited, "the call did not wait: this tests nothing")
        self.assert_all_have_records(sample, started)

    def defined_guest(self, short):
        """Its name. It does not run."""
        guest = Guest(Run.lab.name(short), HALT, kvm=Run.kvm)
        Run.lab.supervisor.call("guest", name=guest.name)
        path = f"{self.daemon.dir}/{guest.name}.xml"
        with open(path, "w", encoding="utf-8") as file:
            file.write(guest.xml(f"{Run.lab.dir}/img"))
        self.daemon.virsh("define", path)
        self.addCleanup(self.daemon.virsh, "undefine", guest.name)
        self.addCleanup(self.daemon.virsh, "destroy", guest.name, check=False)
        return guest.name

    def test_a_guest_that_ends_while_the_call_waits_again_has_its_record_if_it_is_in_the_reading(self):
        """The call waits for the last guest of its list; when it goes on, the first one is being started, too."""
        self.own_guest("stays", HALT)
        defined = [self.defined_guest(f"held-{number}") for number in range(4)]
        connection = libvirt.open(self.daemon.uri)
        self.addCleanup(connection.close)
        listed = [domain.name() for domain, _ in connection.getAllDomainStats(ENERGY, 0)]
        names = [name for name in listed if name in defined]
        with contextlib.ExitStack() as stack:
            pool = stack.enter_context(concurrent.futures.ThreadPoolExecutor())
            last = stack.enter_context(self.held(pool, names[-1], self.daemon.virsh, "start", names[-1]))
            call = pool.submit(Sample, self.daemon)
            time.sleep(0.5)
            started = self.own_guest("started", SPIN_ONE)
            time.sleep(0.5)
            first = stack.enter_context(self.held(pool, names[0], self.daemon.virsh, "start", names[0]))
            self.go_on(names[-1])
            last.result()
            time.sleep(0.5)
            waited = not call.done()
            self.destroy(started)
            self.go_on(names[0])
            first.result()
            sample = call.result()
        self.assertTrue(waited, "the call did not wait: this tests nothing")
        seen = sum(sample.domain(uuid) for uuid in sample.by_uuid)
        self.assertEqual(sample.host("vms.time"), seen + sample.departed_total())


class DaemonRestart(LiveTest):
    def setUp(self):
        self.spins = self.own_guest("spins", SPIN_ALL, vcpus=2)
        self.halts = self.own_guest("halts", HALT)

    def found_again(self):
        """The first sample in which the daemon has all its guests again: it looks for them meanwhile."""
        def look():
            sample = Sample(self.daemon)
            return sample if all("energy.instance" in values for _, values in sample.records) else None
        return wait_for(look, 10, "guests are found again")

    def pins(self):
        """The daemon's, as the mount namespace shows them that keeps them."""
        if not self.daemon.bpf_fs:
            self.skipTest("this machine mounts no BPF file system")
        root = f"/proc/{Run.lab.supervisor.process.pid}/root{self.daemon.bpf_fs}/virt-power"
        return os.path.join(root, os.listdir(root)[0])

    def check_restart(self, number):
        self.pins()
        before, clock = Sample(self.daemon), process_time(self.spins.pid)
        self.daemon.stop(number)
        time.sleep(1)
        self.daemon.start()
        after, clock = self.found_again(), process_time(self.spins.pid) - clock
        for guest in (self.spins, self.halts):
            self.assertEqual(guest.pid, self.daemon.guest_pid(guest))
            os.kill(guest.pid, 0)
            self.assertEqual(before.by_uuid[guest.uuid]["energy.instance"],
                             after.by_uuid[guest.uuid]["energy.instance"])
        self.assertEqual(before.first["energy.host.epoch"], after.first["energy.host.epoch"])
        counted = after.domain(self.spins.uuid) - before.domain(self.spins.uuid)
        self.assertGreater(clock, 100_000_000)
        self.assertAlmostEqual(counted, clock, delta=0.05 * clock + 50_000_000, msg="counting went on while no daemon was there")
        spent_uj = after.first["energy.zone.0.energy"] - before.first["energy.zone.0.energy"]
        seconds = (after.first["energy.host.time"] - before.first["energy.host.time"]) / 1e9
        self.assertGreaterEqual(spent_uj, seconds * MODELLED["modelled"]["idle_watts"] * 1e6 * 0.99)

    def test_killed_and_restarted_no_joule_is_lost(self):
        self.check_restart(signal.SIGKILL)

    def test_ended_and_restarted_no_joule_is_lost(self):
        self.check_restart(signal.SIGTERM)

    def test_a_guest_that_ended_while_no_daemon_was_there_is_departed_with_all_that_it_used(self):
        self.pins()
        guest = self.own_guest("dies", SPIN_ONE)
        before = Sample(self.daemon)
        instance = before.by_uuid[guest.uuid]["energy.instance"]
        self.daemon.stop(signal.SIGKILL)
        time.sleep(1)
        clock = process_time(guest.pid)
        os.kill(guest.pid, signal.SIGKILL)
        wait_for(lambda: not os.path.exists(f"/proc/{guest.pid}"), 10, "the guest is gone")
        self.daemon.start()
        after = self.found_again()
        self.assertNotIn(guest.uuid, after.by_uuid)
        used = after.departed()[(guest.uuid, instance)]
        self.assertAlmostEqual(used, clock, delta=0.05 * clock + 50_000_000)
        self.assertEqual(before.first["energy.host.epoch"], after.first["energy.host.epoch"])

    def test_pins_that_are_damaged_begin_a_new_epoch(self):
        pins, before = self.pins(), Sample(self.daemon)
        self.daemon.stop(signal.SIGKILL)
        os.unlink(f"{pins}/settings")
        self.daemon.start()
        after = self.found_again()
        self.assertNotEqual(before.first["energy.host.epoch"], after.first["energy.host.epoch"])
        self.assertLess(after.domain(self.spins.uuid), before.domain(self.spins.uuid) + 2_000_000_000)

    def test_a_daemon_that_does_not_count_by_bpf_any_more_ends_what_the_one_before_it_left(self):
        pins = self.pins()
        self.addCleanup(self.daemon.restart)  # the last one comes first
        self.addCleanup(self.daemon.write_power_conf, MODELLED)
        for usage in ({"counter": "proc"}, {"pin": "false"}):
            self.daemon.write_power_conf(MODELLED)
            self.daemon.restart(signal.SIGKILL)
            self.found_again()
            self.assertTrue(os.path.exists(f"{pins}/on_switch"))
            self.daemon.write_power_conf({**MODELLED, "usage": usage})
            self.daemon.restart(signal.SIGKILL)
            self.found_again()
            self.assertFalse(os.path.exists(pins), f"{usage}: the program still runs at each switch")

    def test_after_a_restart_all_threads_are_counted(self):
        """Where counting began before the thread existed is no excuse afterwards."""
        time.sleep(2)
        self.daemon.restart(signal.SIGKILL)
        self.found_again()
        before = process_time(self.spins.pid), Sample(self.daemon), process_time(self.spins.pid)
        time.sleep(3)
        after = process_time(self.spins.pid), Sample(self.daemon), process_time(self.spins.pid)
        counted = after[1].domain(self.spins.uuid) - before[1].domain(self.spins.uuid)
        self.assertGreaterEqual(counted, (after[0] - before[2]) * 0.99)
        self.assertLessEqual(counted, (after[2] - before[0]) * 1.01)

    def test_virt_power_over_a_killed_daemon_shows_no_negative_and_no_spike(self):
        with RunningVirtPower("--delay", "1", uri=self.daemon.uri) as client:
            client.next()
            client.next()
            self.daemon.stop(signal.SIGKILL)
            time.sleep(1.5)
            self.daemon.start()
            wait_for(lambda: client.next()["rows"] and client.lines[-1]["zones"], 30, "intervals go on")
            client.next()
            client.finish()
        if self.daemon.bpf_fs:
            spanned = sum(interval["duration_ns"] for interval in client.lines[1:])
            self.assertAlmostEqual(spanned, end_ns(client.lines[-1]) - end_ns(client.lines[0]), delta=500_000_000,
                                   msg="an interval spans the time without a daemon")
        cpus = os.sysconf("SC_NPROCESSORS_ONLN")
        watts = MODELLED["modelled"]["idle_watts"] + cpus * MODELLED["modelled"]["busy_cpu_watts"]
        for interval in client.lines:
            assert_rows_add_up(self, interval)
            for entry in interval["rows"]:
                for key in ("energy_uj", "cpu_time_ns", "power_w", "energy_share", "cpu_share"):
                    self.assertGreaterEqual(entry.get(key) or 0, 0)
                self.assertLessEqual(entry.get("cpu_time_ns") or 0, interval["duration_ns"] * cpus * 1.02)
                self.assertLessEqual(entry.get("power_w") or 0, watts * 1.02)
        self.assertTrue(client.errors.strip(), "it says that the daemon went away")
