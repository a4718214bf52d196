# SPDX-License-Identifier: LGPL-2.1-or-later
"""Guests that come and go while virt-power samples: nothing is left behind, nothing is booked twice or lost."""

import concurrent.futures
import subprocess
import tempfile
import time

import live
from common import Client, KnownEnergy, booked_ns, check, check_all_time_is_booked, check_intervals
from lab import meters
from lab.fleet import STARTERS, Fleet
from lab.guest import HALT

DELAY_S = 0.5
# Of a guest's CPU time, what its process used before it was QEMU: that is libvirt's.
BEFORE_QEMU_NS = 50_000_000


def come_and_go(fleet, guests):
    """{uuid: (CPU time just before its end, that and what it can have used until it was gone)}"""
    def life(guest):
        pid = fleet.create(guest)
        spent_ns = meters.process_time_ns(pid)
        begun = time.monotonic_ns()
        fleet.destroy(guest)
        return guest.uuid, (spent_ns, spent_ns + time.monotonic_ns() - begun)

    with concurrent.futures.ThreadPoolExecutor(STARTERS) as pool:
        return dict(pool.map(life, guests))


def holdings(pid):
    """What must not grow."""
    targets = sorted(meters.open_descriptors(pid).values())
    return {"descriptors": len(targets), "bpf": sum(target.startswith("anon_inode:bpf") for target in targets),
            "threads": meters.threads(pid), "map_entries": meters.map_entries(pid)}


def settled_holdings(pid):
    """What the daemon holds once it has done with the guests that ended: connections and threads of theirs end a little later."""
    last = [holdings(pid)]

    def same_for_a_second():
        time.sleep(1)
        before, last[0] = last[0], holdings(pid)
        return before == last[0]
    live.wait_for(same_for_a_second, 30, "the daemon comes to rest")
    return last[0]


def grow(fleet, number, first):
    """Lives and deaths of so many; (their CPU times, how much the daemon's heap grew for each, in bytes, what it holds
    before and after)"""
    guests = [fleet.new_guest(f"c{first + n}") for n in range(number)]
    before = settled_holdings(fleet.daemon.pid)
    heap_kib = meters.memory_kib(fleet.daemon.pid)["RssAnon"]
    spans = come_and_go(fleet, guests)
    grown_kib = meters.memory_kib(fleet.daemon.pid)["RssAnon"] - heap_kib
    live.wait_for(lambda: holdings(fleet.daemon.pid)["threads"] <= before["threads"] + 2, 30, "threads of guests end")
    return spans, grown_kib * 1024 / number, before, settled_holdings(fleet.daemon.pid)


def without_plugin(context, number, warm_up):
    """The same on a daemon without the plugin, which nobody samples: what libvirt itself grows by."""
    daemon = live.new_daemon(plugin=False).start()
    with Fleet(context.lab, daemon, context.kvm) as fleet:
        grow(fleet, warm_up, 0)
        _, grown, _, _ = grow(fleet, number, warm_up)
    daemon.stop()
    return grown


def plugin_growth(context):
    """Bytes by which the heap of the plugin alone grew over so many domains, where nothing else is in motion."""
    config = tempfile.mkdtemp(dir=context.lab.dir)
    with open(f"{config}/host-power.conf", "w", encoding="ascii") as file:
        file.write("[sources]\npowercap=false\nperf=false\nmodelled=true\n[usage]\npin=false\n")
    output = subprocess.run([f"{live.Run.build}/tests/faults/plugin-growth", f"{live.plugin_dir()}/host-power.so", config,
                             str(context.scaled(10_000))], check=True, stdout=subprocess.PIPE, text=True).stdout
    before, after = map(int, output.split())
    check.assertGreater(before, 0)
    return after - before


def check_bookings(spans, booked, sample_before, sample_after):
    """Every guest once, with what it used; all of them together are the daemon's total. Returns the largest lack."""
    lacks = []
    for uuid, (least_ns, most_ns) in spans.items():
        check.assertIn(uuid, booked)
        check.assertGreaterEqual(booked[uuid], least_ns - BEFORE_QEMU_NS)
        check.assertLessEqual(booked[uuid], most_ns)
        lacks.append(least_ns - booked[uuid])
    total_ns = sample_after.departed_total() - sample_before.departed_total()
    check.assertEqual(total_ns, sum(booked[uuid] for uuid in spans))
    return max(lacks)


def run(context):
    plugin_bytes = plugin_growth(context)
    check.assertLess(plugin_bytes, 1024)
    number = context.scaled(1000)
    # More than the daemon remembers by name, so that this list grows no more.
    warm_up = number * 3 // 10
    with KnownEnergy(context.lab, "churn") as known, Fleet(context.lab, known.daemon, context.kvm) as fleet:
        stays = fleet.new_guest("stays", HALT)
        fleet.create(stays, paused=False)
        first = live.Sample(known.daemon)
        with Client([known.daemon.uri], DELAY_S) as client:
            client.wait_for_energy(30)
            before = live.Sample(known.daemon)
            spans, _, _, _ = grow(fleet, warm_up, 0)
            more, grown_bytes, held, holds = grow(fleet, number - warm_up, warm_up)
            spans.update(more)
            after = live.Sample(known.daemon)
            client.wait_for_energy(30)
            client.wait_for_energy(30)
            client_kib = meters.memory_kib(client.process.pid)["VmHWM"]
            client.finish()
        check.assertEqual([], client.errors)
        count, _, _ = check_intervals(client.lines, known)
        check_all_time_is_booked(client.lines, first, live.Sample(known.daemon))
        lack_ns = check_bookings(spans, booked_ns(client.lines), before, after)
        check.assertLessEqual(holds["descriptors"], held["descriptors"], holds)
        check.assertLessEqual(holds["bpf"], held["bpf"], holds)
        check.assertEqual({"owners": 1, "cgroup_owners": 1}, holds["map_entries"])
    plain_bytes = without_plugin(context, (number - warm_up) // 2, warm_up)
    if number >= 500:  # with fewer, pages are too coarse
        check.assertLess(grown_bytes - plain_bytes, 2048)
    return {"plugin_alone_grew_by_bytes": plugin_bytes, "guests": len(spans), "intervals": count, "descriptors": holds["descriptors"],
            "map_entries": holds["map_entries"]["owners"], "heap_bytes_per_guest": round(grown_bytes),
            "heap_bytes_per_guest_without_plugin": round(plain_bytes), "largest_lack_ms": round(lack_ns / 1e6, 2),
            "client_peak_kib": client_kib}
