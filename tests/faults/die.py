# SPDX-License-Identifier: LGPL-2.1-or-later
"""Guests that are killed or hang while they are sampled: each is booked once, and nobody waits for them."""

import os
import random
import signal
import time

import live
from common import Client, KnownEnergy, booked_ns, check, check_all_time_is_booked, check_intervals, wall_ns
from lab import meters
from lab.fleet import Fleet
from lab.guest import HALT, SPIN_ONE

DELAY_S = 0.1
BEFORE_QEMU_NS = 50_000_000
SEED = 11


def kill_one(fleet, guest, chance):
    """(CPU time just before its end, that and what it can have used until the daemon had seen it)"""
    pid = fleet.create(guest, paused=False)
    time.sleep(chance.uniform(0, 0.5))
    spent_ns = meters.process_time_ns(pid)
    begun = time.monotonic_ns()
    os.kill(pid, signal.SIGKILL)
    live.wait_for(lambda: guest.name not in fleet.daemon.virsh("list", "--name").stdout.split(), 20, "the daemon has seen it")
    fleet.remove_image(guest)
    return spent_ns, spent_ns + time.monotonic_ns() - begun


def hang_one(fleet, guest, client, seconds):
    """A QEMU that stands still, so that its monitor answers nobody; how much the client was held up, in seconds."""
    pid = fleet.create(guest, paused=False)
    os.kill(pid, signal.SIGSTOP)
    seen = len(client.lines)
    time.sleep(seconds)
    ends = [wall_ns(interval["end"]) for interval in client.lines[seen:]]
    os.kill(pid, signal.SIGCONT)
    fleet.destroy(guest)
    check.assertGreater(len(ends), 3)
    return max(later - earlier for earlier, later in zip(ends, ends[1:])) / 1e9


def run(context):
    number = context.scaled(100)
    hangs = context.scaled(5)
    chance = random.Random(SEED)
    with KnownEnergy(context.lab, "die") as known, Fleet(context.lab, known.daemon, context.kvm) as fleet:
        fleet.create(fleet.new_guest("stays", HALT), paused=False)
        first = live.Sample(known.daemon)
        with Client([known.daemon.uri], DELAY_S) as client:
            client.wait_for_energy(30)
            spans = {}
            for n in range(number):
                guest = fleet.new_guest(f"d{n}", SPIN_ONE)
                spans[guest.uuid] = kill_one(fleet, guest, chance)
            gap_s = max(hang_one(fleet, fleet.new_guest(f"h{n}", HALT), client, 3) for n in range(hangs))
            client.wait_for_energy(30)
            client.wait_for_energy(30)
            client.finish()
        check.assertEqual([], client.errors)
        count, _, _ = check_intervals(client.lines, known)
        check_all_time_is_booked(client.lines, first, live.Sample(known.daemon))
    booked = booked_ns(client.lines)
    for uuid, (least_ns, most_ns) in spans.items():
        check.assertGreaterEqual(booked[uuid], least_ns - BEFORE_QEMU_NS)
        check.assertLessEqual(booked[uuid], most_ns)
    check.assertLess(gap_s, 1)
    return {"guests_killed": number, "guests_hung": hangs, "intervals": count, "longest_gap_while_one_hung_s": round(gap_s, 2)}
