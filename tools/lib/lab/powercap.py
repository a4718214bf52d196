# SPDX-License-Identifier: LGPL-2.1-or-later
"""Energy counters that a run plays, below a root of its own."""

import bisect
import os
import threading
import time

STEP_S = 0.05


class FakePowercap:
    """A tree as the kernel's, whose counters a thread moves."""

    def __init__(self, root, zones, range_uj=1 << 40):
        """zones: {directory: (name, microjoules a step)}"""
        self.root = root
        self.range_uj = range_uj
        self.fed = {}
        self.steps = {}
        self.history = []  # (nanoseconds since the epoch, what was fed by then)
        self.lock = threading.Lock()
        for directory, (name, step) in zones.items():
            path = self.path(directory)
            os.makedirs(path)
            self.write(f"{path}/name", name)
            self.write(f"{path}/max_energy_range_uj", range_uj)
            self.write(f"{path}/constraint_0_max_power_uw", 25_000_000)
            self.fed[directory], self.steps[directory] = range_uj // 2, step
            self.write(f"{path}/energy_uj", range_uj // 2)
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._feed, daemon=True)
        self.thread.start()

    def path(self, directory):
        return f"{self.root}/sys/class/powercap/{directory}"

    @staticmethod
    def write(path, value):
        with open(path + ".new", "w", encoding="ascii") as file:
            file.write(f"{value}\n")
        os.rename(path + ".new", path)

    def _feed(self):
        while not self.stopping.wait(STEP_S):
            with self.lock:
                for directory, step in self.steps.items():
                    self.fed[directory] += step
                    self.write(f"{self.path(directory)}/energy_uj", self.fed[directory] % self.range_uj)
                self.history.append((time.time_ns(), dict(self.fed)))

    def fed_by(self, wall_ns, directory):
        """What the counter stood at then, wraps undone."""
        after = bisect.bisect_right(self.history, wall_ns, key=lambda entry: entry[0])
        return self.history[max(after - 1, 0)][1][directory]

    def leave_alone(self, directory):
        """The feeder no longer writes this zone."""
        with self.lock:
            return self.steps.pop(directory)

    def close(self):
        self.stopping.set()
        self.thread.join()
