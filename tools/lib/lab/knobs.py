# SPDX-License-Identifier: LGPL-2.1-or-later
"""Knobs below a root of a run's own: files that take what is written, as a driver without limits of its own would."""

import os

CPUS = 4
GOVERNORS = "performance powersave userspace schedutil"
MIN_KHZ, MAX_KHZ = 800_000, 3_000_000
LONG_TERM_UW, SHORT_TERM_UW = 20_000_000, 24_000_000  # FakePowercap says that 25 W are the most


def write(path, value):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="ascii") as file:
        file.write(f"{value}\n")


class FakeKnobs:
    """cpufreq of CPUs without a shared clock, and power limits of zones."""

    def __init__(self, root, zones=()):
        """zones: {directory: name}."""
        self.root = root
        write(f"{root}/sys/devices/system/cpu/online", f"0-{CPUS - 1}")
        for cpu in range(CPUS):
            for name, value in (("scaling_driver", "fake-cpufreq"), ("affected_cpus", cpu), ("related_cpus", cpu),
                                ("scaling_governor", "schedutil"), ("scaling_available_governors", GOVERNORS),
                                ("scaling_cur_freq", 1_000_000 + 100_000 * cpu), ("scaling_min_freq", MIN_KHZ),
                                ("scaling_max_freq", MAX_KHZ), ("cpuinfo_min_freq", MIN_KHZ), ("cpuinfo_max_freq", MAX_KHZ),
                                ("scaling_setspeed", "<unsupported>")):
                self.put(cpu, name, value)
        for directory, name in dict(zones).items():
            write(self.zone(directory, "name"), name)
            write(self.zone(directory, "enabled"), 1)
            for index, (constraint, limit, window) in enumerate((("long_term", LONG_TERM_UW, 27_983_872),
                                                                 ("short_term", SHORT_TERM_UW, 2_440))):
                for what, value in (("name", constraint), ("power_limit_uw", limit), ("time_window_us", window)):
                    write(self.zone(directory, f"constraint_{index}_{what}"), value)

    def zone(self, directory, name):
        return f"{self.root}/sys/class/powercap/{directory}/{name}"

    def rename_zone(self, directory, name):
        write(self.zone(directory, "name"), name)

    def _path(self, cpu, name):
        return f"{self.root}/sys/devices/system/cpu/cpu{cpu}/cpufreq/{name}"

    def put(self, cpu, name, value):
        write(self._path(cpu, name), value)

    def get(self, cpu, name):
        return self.read(self._path(cpu, name))

    @staticmethod
    def read(path):
        with open(path, encoding="ascii") as file:
            return file.read().strip()

    def governors(self):
        return [self.get(cpu, "scaling_governor") for cpu in range(CPUS)]

    def limit(self, directory, index=0):
        return int(self.read(self.zone(directory, f"constraint_{index}_power_limit_uw")))
