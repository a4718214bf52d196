# SPDX-License-Identifier: LGPL-2.1-or-later
"""The daemon stands still for a while, as one that hangs: the client says so and goes on, and nobody else notices."""

import random
import signal
import time

from common import STEP_UJ, Client, KnownEnergy, check, check_intervals, has_energy, wall_ns
from lab import meters
from lab.fleet import Fleet
from lab.guest import SPIN_ONE
from lab.powercap import STEP_S

DELAY_S = 0.5
TIMEOUT_S = 1
BACK_S = 60
SEED = 7


def known_uj_of(seconds):
    """What the counter grows by in this time."""
    return round(seconds / STEP_S * STEP_UJ)


def longest_gap_s(intervals, begun_ns, ended_ns):
    """Between the ends of intervals, begin and end of that time included."""
    ends = [wall_ns(interval["end"]) for interval in intervals]
    ends = [begun_ns, *(end for end in ends if begun_ns < end < ended_ns), ended_ns]
    return max(later - earlier for earlier, later in zip(ends, ends[1:])) / 1e9


def stand_still(daemon, guest, client, seconds):
    """Begin and end of that, in wall time."""
    said, seen = len(client.errors), len(client.lines)
    used_ns = meters.process_time_ns(guest.pid)
    begun_ns = time.time_ns()
    daemon.send(signal.SIGSTOP)
    time.sleep(seconds)
    ended_ns = time.time_ns()
    check.assertGreater(meters.process_time_ns(guest.pid), used_ns, "the guest runs on")
    check.assertEqual([], [line for line in client.lines[seen + 2:] if line["uri"] == client.stopped and has_energy(line)])
    daemon.send(signal.SIGCONT)
    client.wait_for_energy(BACK_S, uri=client.stopped)
    check.assertTrue(any("did not answer" in line for line in client.errors[said:]), client.errors[said:])
    return begun_ns, ended_ns


def run(context):
    times = context.scaled(10)
    chance = random.Random(SEED)
    gaps_s = []
    with KnownEnergy(context.lab, "stopped") as stopped, KnownEnergy(context.lab, "other") as other, \
            Fleet(context.lab, stopped.daemon, context.kvm) as fleet, Fleet(context.lab, other.daemon, context.kvm) as beside:
        guest = fleet.new_guest("stopped", SPIN_ONE)
        guest.pid = fleet.create(guest, paused=False)
        beside.create(beside.new_guest("beside", SPIN_ONE), paused=False)
        with Client([stopped.daemon.uri, other.daemon.uri], DELAY_S, "--timeout", str(TIMEOUT_S)) as client:
            client.stopped = stopped.daemon.uri
            client.wait_for_energy(30, uri=stopped.daemon.uri)
            client.wait_for_energy(30, uri=other.daemon.uri)
            held = client.holdings()
            for _ in range(times):
                span = stand_still(stopped.daemon, guest, client, chance.uniform(2, 5))
                time.sleep(1)
                gaps_s.append(longest_gap_s(client.of(other.daemon.uri), *span))
            client.check_holds(held)
            client.finish()
        lines = client.of(stopped.daemon.uri)
        count, energy_uj, grown_uj = check_intervals(lines, stopped)
        check_intervals(client.of(other.daemon.uri), other)
        # The counters went on meanwhile: the interval that spans the pause has what was drawn in it, and nothing is missing.
        check.assertLess(abs(energy_uj - grown_uj), known_uj_of(1))
    check.assertLess(max(gaps_s), DELAY_S + TIMEOUT_S + 1)
    return {"times": times, "intervals": count, "energy_attributed_j": round(energy_uj / 1e6),
            "energy_of_counter_j": round(grown_uj / 1e6), "other_hosts_longest_gap_s": round(max(gaps_s), 2)}
