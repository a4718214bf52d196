# SPDX-License-Identifier: LGPL-2.1-or-later
"""The stats group `energy` as any client sees it."""

import os
import re
import signal
import time

import libvirt

from lab.guest import HALT, SPIN_ALL, SPIN_ONE
from lab.build import TOP
from live import ENERGY, LiveTest, Run, Sample, new_daemon, records, wait_for


class StatsGroup(LiveTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.spins = cls.guest("spins", SPIN_ALL, vcpus=2)
        cls.halts = cls.guest("halts", HALT)
        wait_for(lambda: any(zone["counted"] for zone in Sample(cls.daemon).zones()), 10, "a zone counts")

    def test_status_is_ok_and_in_the_first_record_only(self):
        self.assertEqual(["ok", None], [values.get("energy.status") for _, values in records(self.daemon.uri)])

    def test_one_domain_asked_for_alone_has_the_status(self):
        connection = libvirt.open(self.daemon.uri)
        self.addCleanup(connection.close)
        for guest in (self.spins, self.halts):
            domain = connection.lookupByUUIDString(guest.uuid)
            (_, values), = connection.domainListGetStats([domain], ENERGY)
            self.assertEqual("ok", values["energy.status"])
            self.assertIn("energy.host.epoch", values)

    def test_host_figures_are_in_the_first_record_only(self):
        first, second = [values for _, values in records(self.daemon.uri)]
        for name in ("energy.host.epoch", "energy.host.time", "energy.package.count", "energy.package.0.id",
                     "energy.package.0.host.time", "energy.package.0.vms.time", "energy.zone.count",
                     "energy.zone.0.name", "energy.departed.count"):
            self.assertIn(name, first)
            self.assertNotIn(name, second)

    def test_every_record_has_instance_and_time_per_package_and_at_most_a_dozen(self):
        sample = Sample(self.daemon)
        for _, values in sample.records:
            self.assertIn("energy.instance", values)
            for package in range(sample.first["energy.package.count"]):
                self.assertIn(f"energy.package.{package}.time", values)
        self.assertLessEqual(len(sample.records[1][1]), 12)

    def test_all_records_come_from_one_pass(self):
        """Only then do the records add up to the sum to the nanosecond."""
        for _ in range(5):
            sample = Sample(self.daemon)
            total = sum(sample.domain(uuid) for uuid, _ in sample.records)
            self.assertEqual(sample.host("vms.time"), total + sample.departed_total())

    def test_rest_of_the_host_is_never_negative(self):
        samples = [Sample(self.daemon) for _ in range(20)]
        for sample in samples:
            self.assertGreaterEqual(sample.host("host.time"), sample.host("vms.time"))
        for before, after in zip(samples, samples[1:]):
            self.assertGreaterEqual(after.host("host.time") - before.host("host.time"),
                                    after.host("vms.time") - before.host("vms.time"))

    def test_counters_are_monotone_and_epoch_and_instances_constant(self):
        before = Sample(self.daemon)
        for _ in range(10):
            time.sleep(0.05)
            after = Sample(self.daemon)
            self.assertEqual(before.first["energy.host.epoch"], after.first["energy.host.epoch"])
            self.assertGreater(after.time, before.time)
            for uuid in (self.spins.uuid, self.halts.uuid):
                self.assertEqual(before.by_uuid[uuid]["energy.instance"], after.by_uuid[uuid]["energy.instance"])
                self.assertGreaterEqual(after.domain(uuid), before.domain(uuid))
            for old, new in zip(before.zones(), after.zones()):
                self.assertGreaterEqual(new["energy"], old["energy"])
            before = after

    def test_time_is_boottime_of_the_call(self):
        before = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        sample = Sample(self.daemon)
        self.assertLess(before, sample.time)
        self.assertLess(sample.time, time.clock_gettime_ns(time.CLOCK_BOOTTIME))

    def test_every_name_is_in_the_metrics_document(self):
        with open(f"{TOP}/docs/metrics.md", encoding="utf-8") as file:
            documented = set(re.findall(r"`(energy\.[a-zA-Z.]+)`", file.read()))
        patterns = [re.compile(re.escape(name).replace(r"\.N", r"\.\d+").replace(r"\.M", r"\.\d+")) for name in documented]
        for _, values in records(self.daemon.uri):
            for name in values:
                self.assertTrue(any(pattern.fullmatch(name) for pattern in patterns), name)

    def test_every_name_fits_a_typed_parameter(self):
        for _, values in records(self.daemon.uri):
            for name in values:
                self.assertLess(len(name), 80)

    def test_virsh_domstats_energy_shows_the_group_and_no_other(self):
        out = self.daemon.virsh("domstats", "--energy").stdout
        names = re.findall(r"^ +(\S+)=", out, re.M)
        self.assertIn("energy.instance", names)
        self.assertEqual([], [name for name in names if not name.startswith("energy.")])

    def test_stock_virsh_domstats_shows_the_group(self):
        out = self.daemon.virsh("domstats", stock=True).stdout
        self.assertEqual(1, out.count("energy.status=ok"))
        self.assertEqual(2, out.count("energy.instance="))
        self.assertEqual(1, out.count("energy.host.epoch="))

    def test_all_groups_at_once_include_energy(self):
        self.assertIn("energy.status", records(self.daemon.uri, groups=0)[0][1])

    def test_other_groups_alone_do_not_include_energy(self):
        for _, values in records(self.daemon.uri, groups=libvirt.VIR_DOMAIN_STATS_STATE):
            self.assertEqual([], [name for name in values if name.startswith("energy.")])

    def test_enforced_stats_are_known(self):
        found = records(self.daemon.uri, flags=libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_ENFORCE_STATS)
        self.assertEqual("ok", found[0][1]["energy.status"])

    def test_inactive_domains_have_no_energy(self):
        connection = libvirt.open(self.daemon.uri)
        self.addCleanup(connection.close)
        domain = connection.defineXML(f"<domain type='qemu'><name>{Run.lab.name('off')}</name><memory>16384</memory>"
                                      "<os><type arch='x86_64'>hvm</type></os></domain>")
        self.addCleanup(domain.undefine)
        found = connection.getAllDomainStats(ENERGY, 0)
        inactive = [values for dom, values in found if not dom.isActive()]
        self.assertEqual([{}], inactive)
        self.assertEqual(1, sum("energy.host.epoch" in values for _, values in found))

    def test_one_domain_alone_gets_the_same_host_figures(self):
        connection = libvirt.open(self.daemon.uri)
        self.addCleanup(connection.close)
        domain = connection.lookupByUUIDString(self.halts.uuid)
        (_, values), = connection.domainListGetStats([domain], ENERGY, 0)
        self.assertIn("energy.host.epoch", values)
        self.assertGreater(values["energy.package.0.vms.time"], values["energy.package.0.time"])

    def test_no_descriptor_of_the_plugin_reaches_a_guest(self):
        for guest in (self.spins, self.halts):
            targets = [os.readlink(f"/proc/{guest.pid}/fd/{fd}") for fd in os.listdir(f"/proc/{guest.pid}/fd")]
            bad = [t for t in targets if "bpf" in t or "perf_event" in t or "powercap" in t]
            self.assertEqual([], bad)

    def test_every_descriptor_of_the_plugin_is_close_on_exec(self):
        fds = f"/proc/{self.daemon.pid}/fd"
        ours = [fd for fd in os.listdir(fds) if re.search("bpf|perf_event", os.readlink(f"{fds}/{fd}"))]
        for fd in ours:
            with open(f"/proc/{self.daemon.pid}/fdinfo/{fd}", encoding="ascii") as file:
                flags = int(re.search(r"^flags:\s+(\d+)", file.read(), re.M)[1], 8)
            self.assertTrue(flags & os.O_CLOEXEC, fd)
        if self.daemon_counts_by_bpf():
            self.assertTrue(ours)

    def daemon_counts_by_bpf(self):
        return Sample(self.daemon).first["energy.host.usage"] == "bpf"


class HungGuest(LiveTest):
    def test_a_stopped_qemu_adds_under_5_ms_and_does_not_stall_the_call(self):
        spins = self.own_guest("busy", SPIN_ONE)
        stopped = self.own_guest("stop", HALT)
        time.sleep(2)
        os.kill(stopped.pid, signal.SIGSTOP)
        self.addCleanup(os.kill, stopped.pid, signal.SIGCONT)
        time.sleep(0.1)
        Sample(self.daemon)
        begun = time.monotonic()
        before = Sample(self.daemon)
        elapsed = time.monotonic() - begun
        self.assertLess(elapsed, 0.5)
        time.sleep(2)
        after = Sample(self.daemon)
        self.assertLess(after.domain(stopped.uuid) - before.domain(stopped.uuid), 5_000_000)
        self.assertGreater(after.domain(spins.uuid) - before.domain(spins.uuid), 100_000_000)

    def test_many_calls_at_once_are_all_answered(self):
        from concurrent.futures import ThreadPoolExecutor
        guest = self.own_guest("busy", SPIN_ONE)
        with ThreadPoolExecutor(8) as pool:
            samples = list(pool.map(lambda _: Sample(self.daemon), range(40)))
        for sample in samples:
            self.assertEqual("ok", sample.first["energy.status"])
            self.assertGreaterEqual(sample.host("vms.time"), sample.domain(guest.uuid))


class Virtqemud(LiveTest):
    program = "virtqemud"

    def test_virtqemud_serves_the_group(self):
        guest = self.own_guest("busy", SPIN_ONE)
        before = Sample(self.daemon)
        time.sleep(1)
        after = Sample(self.daemon)
        self.assertEqual("ok", after.first["energy.status"])
        self.assertGreater(after.domain(guest.uuid), before.domain(guest.uuid))


class Configuration(LiveTest):
    @classmethod
    def setUpClass(cls):
        cls.guests = {}

    @classmethod
    def tearDownClass(cls):
        pass

    def log_with(self, conf):
        daemon = new_daemon(conf)
        daemon.start()
        self.addCleanup(daemon.stop)
        guest = self.guest("conf", HALT, daemon=daemon)
        self.addCleanup(daemon.destroy, guest)
        return daemon, daemon.logs()

    def test_a_wrong_key_is_named_with_file_and_group_and_the_rest_serves(self):
        daemon, log = self.log_with({**MODELLED_ONLY, "usage": {"conuter": "proc"}})
        self.assertRegex(log, r"host-power\.conf.*usage.*conuter")
        self.assertEqual("modelled", Sample(daemon).zones()[0]["source"])

    def test_a_wrong_value_is_named_and_the_default_serves(self):
        daemon, log = self.log_with({**MODELLED_ONLY, "access": {"read_only": "perhaps"}})
        self.assertRegex(log, r"host-power\.conf.*access.*read_only.*perhaps")
        (_, values), = records(daemon.uri_read_only, read_only=True)
        self.assertEqual("denied", values["energy.status"])


MODELLED_ONLY = {"sources": {"powercap": "false", "perf": "false", "modelled": "true"},
                 "modelled": {"idle_watts": 3, "busy_cpu_watts": 2}}
