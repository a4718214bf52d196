# SPDX-License-Identifier: LGPL-2.1-or-later
"""The daemon is killed at random moments while guests run, others start and end, and a client samples."""

import contextlib
import random
import signal
import threading
import time

import libvirt
import live
from common import SLACK_NS, Client, KnownEnergy, check, check_intervals, start_time, wall_ns
from lab import meters
from lab.fleet import Fleet
from lab.guest import HALT, SPIN_ONE

DELAY_S = 0.2
LONGEST_S = 1.5  # from a client that has figures again to the next kill
BACK_S = 60      # a client that failed several times waits longer each time
SEED = 20261120


class Starter(threading.Thread):
    """Starts and destroys a guest again and again, whether there is a daemon or not."""

    def __init__(self, fleet):
        super().__init__(daemon=True)
        self.fleet = fleet
        # Made beforehand: the supervisor hears of them by the run's own thread.
        self.guests = [fleet.new_guest(f"s{n}") for n in range(8)]
        self.stopping = threading.Event()
        self.started = self.failed = 0

    def run(self):
        number = 0
        while not self.stopping.is_set():
            guest = self.guests[number % len(self.guests)]
            number += 1
            try:
                connection = libvirt.open(self.fleet.daemon.uri)
            except libvirt.libvirtError:
                time.sleep(0.05)
                continue
            try:
                connection.createXML(guest.xml(f"{self.fleet.lab.dir}/img"), 0)
                self.started += 1
                connection.lookupByUUIDString(guest.uuid).destroy()
            except libvirt.libvirtError:
                self.failed += 1
                self._remove_left(connection, guest)

    @staticmethod
    def _remove_left(connection, guest):
        """What a daemon that came back has found of it."""
        try:
            connection.lookupByUUIDString(guest.uuid).destroy()
        except libvirt.libvirtError:
            pass

    def stop(self):
        self.stopping.set()
        self.join(60)


class Guests:
    """Those that must not notice."""

    def __init__(self, fleet):
        self.daemon = fleet.daemon
        self.guests = [fleet.new_guest("spin0", SPIN_ONE), fleet.new_guest("spin1", SPIN_ONE), fleet.new_guest("halt", HALT)]
        for guest in self.guests:
            guest.pid = fleet.create(guest, paused=False)
            guest.start_time = start_time(guest.pid)
        self.used_ns = {guest.uuid: 0 for guest in self.guests}

    def check(self):
        """The same processes, which go on, and which the daemon has again."""
        def found():
            return self.daemon.virsh("list", "--name", check=False).stdout.split()
        names = {guest.name for guest in self.guests}
        live.wait_for(lambda: names <= set(found()), 20, "the daemon has its guests again")
        for guest in self.guests:
            check.assertEqual(guest.start_time, start_time(guest.pid), guest.name)
            check.assertEqual(guest.pid, self.daemon.guest_pid(guest), guest.name)
            check.assertEqual("running", self.daemon.virsh("domstate", guest.name).stdout.strip(), guest.name)
            used_ns = meters.process_time_ns(guest.pid)
            if guest.code is SPIN_ONE:
                check.assertGreater(used_ns, self.used_ns[guest.uuid], guest.name)
            self.used_ns[guest.uuid] = used_ns


def runs_a_guest(pid):
    """Not one that libvirt asks for QEMU's capabilities, which a daemon that is killed meanwhile leaves behind."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return b"\0guest=" in file.read()
    except OSError:
        return False


def orphans(context, daemon):
    """Guests of this run that the daemon does not know: it was killed while it started them."""
    processes = set(filter(runs_a_guest, context.lab.supervisor.call("descendants")["pids"]))
    known = set()
    for name in daemon.virsh("list", "--name").stdout.split():
        with contextlib.suppress(FileNotFoundError), \
                open(f"{daemon.dir}/var/run/libvirt/qemu/{name}.pid", encoding="ascii") as file:
            known.add(int(file.read()))
    return processes - known


def orphans_that_stay(context, daemon):
    """The daemon may be just about to end what it found half started."""
    deadline = time.monotonic() + 10
    while (found := orphans(context, daemon)) and time.monotonic() < deadline:
        time.sleep(0.2)
    return found


def check_no_energy_is_missing(intervals, energy_uj, known):
    """Zones and use are pinned, so they go on across each kill: all intervals together hold what the counter grew by, but for
    what it grew between the last reading and its answer, for which a second is allowed."""
    start_ns, end_ns = wall_ns(intervals[0]["start"]), wall_ns(intervals[-1]["end"])
    check.assertGreaterEqual(energy_uj, known.grown_uj(start_ns, end_ns - SLACK_NS), "energy around the kills")


def run(context):
    kills = context.scaled(100)
    chance = random.Random(SEED)
    away_s = []
    with KnownEnergy(context.lab, "kill") as known, Fleet(context.lab, known.daemon, context.kvm) as fleet:
        guests = Guests(fleet)
        starter = Starter(fleet)
        with Client([known.daemon.uri], DELAY_S) as client:
            client.wait_for_energy(30)
            held = client.holdings()
            starter.start()
            for _ in range(kills):
                time.sleep(chance.uniform(0, LONGEST_S))
                said = len(client.errors)
                known.daemon.stop(signal.SIGKILL)
                begun = time.monotonic()
                seen = len(client.lines)
                time.sleep(chance.choice((0, 0, 0.3, 1)))
                known.daemon.start()
                guests.check()
                client.wait_for_energy(BACK_S, after=seen)
                away_s.append(time.monotonic() - begun)
                check.assertGreater(len(client.errors), said, "it says that the daemon went away")
            starter.stop()
            client.wait_for_energy(30)
            client.check_holds(held)
            client.finish()
        count, energy_uj, grown_uj = check_intervals(client.lines, known)
        if known.daemon.bpf_fs:
            check_no_energy_is_missing(client.lines, energy_uj, known)
        left = orphans_that_stay(context, known.daemon)
    away_s.sort()
    return {"kills": kills, "guests_started": starter.started, "starts_that_failed": starter.failed,
            "orphans": len(left), "intervals": count, "energy_attributed_j": round(energy_uj / 1e6),
            "energy_of_counter_j": round(grown_uj / 1e6), "client_back_after_s_median": round(away_s[len(away_s) // 2], 1),
            "client_back_after_s_longest": round(away_s[-1], 1)}
