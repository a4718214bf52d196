# SPDX-License-Identifier: LGPL-2.1-or-later
"""Energy counters, played by files below another root; and the model."""

import os
import shutil
import time

from lab.guest import HALT, SPIN_ALL
from lab.powercap import STEP_S, FakePowercap
from live import MODELLED, LiveTest, Run, Sample, json_lines, new_daemon, records, virt_power, wait_for

class Powercap(LiveTest):
    zones = {
        "intel-rapl:0": ("package-0", 800_000),
        "intel-rapl:0:0": ("core", 300_000),
        "intel-rapl:0:1": ("dram", 200_000),
        "intel-rapl:1": ("psys", 5_000_000),
        "intel-rapl-mmio:0": ("package-0", 800_000),
        "intel-rapl:2": ("package-7", 0),
    }
    range_uj = 1 << 40

    @classmethod
    def setUpClass(cls):
        root = f"{Run.lab.dir}/root-{cls.__name__}"
        cls.fake = FakePowercap(root, cls.zones, cls.range_uj)
        cls.power_conf = {"sources": {"powercap": "true", "perf": "false"}, "host": {"root": root}}
        super().setUpClass()
        cls.spins = cls.guest("spins", SPIN_ALL, vcpus=2)
        wait_for(lambda: cls.counted(), 10, "zones count")

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        cls.fake.close()

    @classmethod
    def counted(cls):
        return sorted(zone["name"] for zone in Sample(cls.daemon).zones() if zone["counted"])

    def named(self, sample, name):
        return next(zone for zone in sample.zones() if zone["name"] == name)


class Zones(Powercap):
    def test_packages_and_dram_count_and_core_psys_and_mirrors_do_not(self):
        self.assertEqual(["package-0", "package-0/dram"], self.counted())
        types = {zone["type"] for zone in Sample(self.daemon).zones()}
        self.assertLessEqual({"package", "core", "dram", "psys"}, types)

    def test_a_counter_that_never_moved_does_not_count(self):
        zone = self.named(Sample(self.daemon), "package-7")
        self.assertFalse(zone["counted"])

    def test_a_source_of_another_root_says_simulated(self):
        self.assertEqual({"simulated-powercap"}, {zone["source"] for zone in Sample(self.daemon).zones()})

    def test_energy_is_what_the_counter_grew_by(self):
        before, fed_before = Sample(self.daemon), dict(self.fake.fed)
        time.sleep(2)
        after, fed_after = Sample(self.daemon), dict(self.fake.fed)
        for name, directory in (("package-0", "intel-rapl:0"), ("package-0/dram", "intel-rapl:0:1")):
            grown = self.named(after, name)["energy"] - self.named(before, name)["energy"]
            fed = fed_after[directory] - fed_before[directory]
            self.assertLessEqual(abs(grown - fed), 3 * self.zones[directory][1])

    def test_rows_of_virt_power_add_up_to_the_counted_zones(self):
        result = virt_power("--json", "--count", "3", "--delay", "1", uri=self.daemon.uri)
        for interval in json_lines(result.stdout):
            energy = sum(zone["energy_uj"] for zone in interval["zones"] if zone["counted"])
            self.assertGreater(energy, 0)
            self.assertEqual(energy, sum(entry.get("energy_uj", 0) for entry in interval["rows"]))


class Wraps(Powercap):
    """A counter of 65 J at 16 W wraps every four seconds."""

    range_uj = 65_000_000
    zones = {"intel-rapl:0": ("package-0", 800_000)}

    def test_wraps_between_two_samples_far_apart_are_undone(self):
        before, fed_before = Sample(self.daemon), self.fake.fed["intel-rapl:0"]
        time.sleep(10)
        after, fed_after = Sample(self.daemon), self.fake.fed["intel-rapl:0"]
        self.assertGreater(fed_after - fed_before, 2 * self.range_uj)
        grown = self.named(after, "package-0")["energy"] - self.named(before, "package-0")["energy"]
        self.assertLessEqual(abs(grown - (fed_after - fed_before)), 3 * 800_000)
        self.assertEqual(self.named(before, "package-0").get("gaps"), self.named(after, "package-0").get("gaps"))


class BadSensors(Powercap):
    zones = {
        "intel-rapl:0": ("package-0", 800_000),
        "intel-rapl:0:0": ("dram", 200_000),
        "intel-rapl:0:1": ("core", 200_000),
    }

    def test_1_a_zone_that_vanishes_costs_that_zone(self):
        self.fake.leave_alone("intel-rapl:0:1")
        shutil.rmtree(self.fake.path("intel-rapl:0:1"))
        wait_for(lambda: "energy" not in self.named(Sample(self.daemon), "package-0/core"), 5, "it is given up")
        before = Sample(self.daemon)
        self.assertEqual("ok", before.first["energy.status"])
        time.sleep(0.5)
        after = Sample(self.daemon)
        self.assertGreater(self.named(after, "package-0")["energy"], self.named(before, "package-0")["energy"])
        self.assertRegex(self.daemon.logs(), "warning.*package-0/core")

    def test_2_a_sensor_that_hangs_holds_up_nobody_and_is_named(self):
        self.fake.leave_alone("intel-rapl:0:0")
        path = f"{self.fake.path('intel-rapl:0:0')}/energy_uj"
        os.mkfifo(path + ".new")  # opening it waits for a writer that never comes
        os.rename(path + ".new", path)
        self.addCleanup(self.release, path)
        slowest, begun = 0.0, time.monotonic()
        while time.monotonic() - begun < 5:
            called = time.monotonic()
            values = records(self.daemon.uri)[0][1]
            slowest = max(slowest, time.monotonic() - called)
            self.assertEqual("ok", values["energy.status"])
            time.sleep(0.1)
        self.assertLess(slowest, 1.0)
        before = Sample(self.daemon)
        self.assertNotIn("energy", self.named(before, "package-0/dram"))
        guest = self.own_guest("late", HALT)  # nor does a start wait
        time.sleep(0.5)
        after = Sample(self.daemon)
        self.assertGreater(self.named(after, "package-0")["energy"], self.named(before, "package-0")["energy"])
        self.assertGreater(after.domain(guest.uuid), 0)
        self.assertRegex(self.daemon.logs(), "warning.*package-0/dram")

    @staticmethod
    def release(path):
        """Lets a thread go that still waits in open()."""
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
        except OSError:
            pass

    def test_3_a_counter_with_junk_in_it_costs_that_zone(self):
        with self.fake.lock:
            step = self.fake.steps.pop("intel-rapl:0")
        self.fake.write(f"{self.fake.path('intel-rapl:0')}/energy_uj", "-17 junk")
        wait_for(lambda: "energy" not in self.named(Sample(self.daemon), "package-0"), 5, "it is given up")
        with self.fake.lock:
            self.fake.steps["intel-rapl:0"] = step
        wait_for(lambda: "energy" in self.named(Sample(self.daemon), "package-0"), 5, "it is read again")


class Modelled(LiveTest):
    def test_energy_is_idle_watts_and_watts_for_each_busy_cpu(self):
        self.own_guest("spins", SPIN_ALL, vcpus=2)
        time.sleep(2)
        before = Sample(self.daemon)
        time.sleep(3)
        after = Sample(self.daemon)
        model = MODELLED["modelled"]
        seconds = (after.time - before.time) / 1e9
        busy = (after.host("host.time") - before.host("host.time")) / 1e9
        packages = after.first["energy.package.count"]
        expected = (packages * model["idle_watts"] * seconds + model["busy_cpu_watts"] * busy) * 1e6
        grown = sum(zone["energy"] for zone in after.zones()) - sum(zone["energy"] for zone in before.zones())
        self.assertLessEqual(abs(grown - expected), 0.001 * expected)

    def test_modelled_zones_are_labelled_and_counted(self):
        self.own_guest("halts", HALT)
        for zone in Sample(self.daemon).zones():
            self.assertEqual("modelled", zone["source"])
            self.assertTrue(zone["counted"])

    def test_nothing_is_modelled_that_was_not_configured(self):
        daemon = new_daemon({"sources": {"powercap": "false", "perf": "false"}}).start()
        self.addCleanup(daemon.stop)
        guest = self.guest("plain", HALT, daemon=daemon)
        self.addCleanup(daemon.destroy, guest)
        self.assertEqual("no-source", records(daemon.uri)[0][1]["energy.status"])
