# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the faults share: a host whose energy is known to the microjoule, a client in the background, and what must
hold of everything that the client said."""

import datetime
import json
import os
import signal
import subprocess
import tempfile
import threading
import time
import unittest
from collections import defaultdict

import live
from lab import meters
from lab.daemon import client_env
from lab.powercap import FakePowercap

ZONE = "intel-rapl:0"
STEP_UJ = 800_000  # each 50 ms: 16 W
# The counter is read before the client has the answer, and moves in steps.
SLACK_NS = 1_000_000_000
# A reading takes its time where many want the CPU, and has one time stamp.
PASS_NS = 20_000_000

check = unittest.TestCase()
check.longMessage = True


class KnownEnergy:
    """A daemon whose one energy counter the run itself moves. A context manager."""

    def __init__(self, lab, name, **keywords):
        root = tempfile.mkdtemp(prefix=f"{name}-", dir=lab.dir)
        self.counter = FakePowercap(root, {ZONE: ("package-0", STEP_UJ)})
        self.daemon = live.new_daemon({"sources": {"powercap": "true", "perf": "false"}, "host": {"root": root}}, **keywords)

    def __enter__(self):
        self.daemon.start()
        return self

    def __exit__(self, *_):
        self.counter.close()
        if self.daemon.pid is not None:
            self.daemon.stop(signal.SIGKILL)

    def grown_uj(self, start_ns, end_ns):
        return self.counter.fed_by(end_ns, ZONE) - self.counter.fed_by(start_ns, ZONE)


class Client:
    """virt-power in the background; all that it says is kept. A context manager."""

    def __init__(self, uris, delay_s, *arguments):
        command = [live.virt_power_program(), "--json", "--delay", str(delay_s), *arguments]
        for uri in uris:
            command += ["-c", uri]
        self.process = subprocess.Popen(command, env=client_env(), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        stdin=subprocess.DEVNULL, text=True)
        self.lines, self.errors = [], []
        self.threads = [threading.Thread(target=self._keep, args=given, daemon=True)
                        for given in ((self.process.stdout, self.lines, json.loads), (self.process.stderr, self.errors, str))]
        for thread in self.threads:
            thread.start()

    @staticmethod
    def _keep(stream, where, form):
        for line in stream:
            where.append(form(line))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def of(self, uri):
        """The intervals of one host so far."""
        return [interval for interval in list(self.lines) if interval["uri"] == uri]

    def holdings(self):
        """What must not grow."""
        return {"descriptors": len(meters.open_descriptors(self.process.pid)), "threads": meters.threads(self.process.pid)}

    def check_holds(self, holdings):
        """No more than that, once what was given up has ended."""
        live.wait_for(lambda: all(now <= holdings[key] for key, now in self.holdings().items()), 30,
                      f"virt-power holds no more than before, {holdings}, but {self.holdings()}")

    def runs(self):
        return self.process.poll() is None

    def wait_for_energy(self, seconds, uri=None, after=None):
        """Until there is one more interval with energy than there are now, or after so many; the seconds that it took."""
        begun = time.monotonic()
        seen = len(self.lines) if after is None else after

        def more():
            check.assertTrue(self.runs(), f"virt-power ended: {''.join(self.errors[-3:])}")
            return any(has_energy(interval) for interval in self.lines[seen:] if uri in (None, interval["uri"]))
        live.wait_for(more, seconds, "virt-power goes on")
        return time.monotonic() - begun

    def finish(self):
        """Ends it as Ctrl-C does."""
        check.assertTrue(self.runs(), f"virt-power ended by itself: {''.join(self.errors[-3:])}")
        self.process.send_signal(signal.SIGINT)
        check.assertEqual(0, self.process.wait(30), "".join(self.errors[-3:]))
        for thread in self.threads:
            thread.join()


def has_energy(interval):
    return any(zone["counted"] for zone in interval["zones"])


def wall_ns(text):
    """Of an RFC 3339 time, as of end."""
    when = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    return int(when.timestamp() * 1000) * 1_000_000


def check_intervals(intervals, known):
    """Whatever happened: rows add up, nothing is negative or more than there can be, and no joule was invented.
    Returns how many there were, their energy, and what the counter grew by from the first one's start to the last one's
    end, which are the client's times and not quite those of the readings."""
    cpus = os.sysconf("SC_NPROCESSORS_ONLN")
    energy_uj = 0
    for interval in intervals:
        live.assert_rows_add_up(check, interval)
        for row in interval["rows"]:
            for key in ("energy_uj", "cpu_time_ns", "power_w", "energy_share", "cpu_share"):
                check.assertGreaterEqual(row.get(key) or 0, 0, row)
            check.assertLessEqual(row.get("cpu_time_ns") or 0, (interval["duration_ns"] + PASS_NS) * cpus * 1.02, row)
        end_ns = wall_ns(interval["end"])
        own_uj = sum(zone["energy_uj"] for zone in interval["zones"] if zone["counted"])
        energy_uj += own_uj
        check.assertLessEqual(own_uj, known.grown_uj(end_ns - interval["duration_ns"] - SLACK_NS, end_ns), interval)
    if not intervals:
        return 0, 0, 0
    start_ns, end_ns = wall_ns(intervals[0]["start"]), wall_ns(intervals[-1]["end"])
    check.assertLessEqual(energy_uj, known.grown_uj(start_ns - SLACK_NS, end_ns))
    return len(intervals), energy_uj, known.grown_uj(start_ns, end_ns)


def check_all_time_is_booked(intervals, before, after):
    """Of a client that sees every guest: nothing is hidden from it, and its rows hold no more CPU time than the host used
    between a sample before its start and one after its end."""
    check.assertEqual([], [row for interval in intervals for row in interval["rows"] if row["kind"] == "other"])
    rows_ns = sum(row.get("cpu_time_ns") or 0 for interval in intervals for row in interval["rows"])
    check.assertLessEqual(rows_ns, after.host("host.time") - before.host("host.time"))


def booked_ns(intervals):
    """{uuid: CPU time over all intervals}, of guests that ran or ended."""
    found = defaultdict(int)
    for interval in intervals:
        for row in interval["rows"]:
            if row["kind"] in ("domain", "departed"):
                found[row["uuid"]] += row.get("cpu_time_ns") or 0
    return found


def start_time(pid):
    """In clock ticks; tells a process from a later one of the same pid. None if there is none."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return int(file.read().rpartition(")")[2].split()[19])
    except FileNotFoundError:
        return None
