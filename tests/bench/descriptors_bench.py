# SPDX-License-Identifier: LGPL-2.1-or-later
"""Descriptors that the plugin adds to the daemon, with some guests and with twice as many: the same daemon with the same guests,
started with the plugin and without."""

import time

import live
from lab import meters
from lab.fleet import Fleet

SETTLE_S = 30
STEADY_S = 1


def steady_count(daemon):
    """Once it no longer changes: what served a client or a guest that was found again is closed by then."""
    deadline = time.monotonic() + SETTLE_S
    count, since = -1, time.monotonic()
    while time.monotonic() - since < STEADY_S:
        now = len(meters.open_descriptors(daemon.pid))
        if now != count:
            count, since = now, time.monotonic()
        if time.monotonic() > deadline:
            raise RuntimeError(f"the daemon's descriptors do not come to rest: {count}, then {now}")
        time.sleep(0.05)
    return count


def count_with_and_without(daemon, guests):
    found = {"guests": guests}
    for name, plugin in (("without", "/nonexistent"), ("with", live.plugin_dir())):
        daemon.env["LIBVIRT_HOST_POWER_DIR"] = plugin
        daemon.restart()
        running = len(daemon.virsh("list", "--uuid").stdout.split())
        if running != guests:
            raise RuntimeError(f"{running} of {guests} guests after a restart of the daemon")
        has = "energy.host.time" in live.Sample(daemon).first
        if has != (name == "with"):
            raise RuntimeError(f"a daemon {name} the plugin gives energy: {has}")
        found[name] = steady_count(daemon)
    return {**found, "own": found["with"] - found["without"]}


def run(lab, scale, kvm, say):
    say("descriptors")
    daemon = live.new_daemon().start()
    found, guests = [], []
    for number in (scale.descriptor_guests, 2 * scale.descriptor_guests):
        with Fleet(lab, daemon, kvm) as fleet:
            fleet.guests = guests
            fleet.grow("f", number)
        found.append(count_with_and_without(daemon, number))
    with Fleet(lab, daemon, kvm) as fleet:
        fleet.guests = guests
        fleet.clear()
    daemon.stop()
    return {"counts": found, "grown": found[1]["own"] - found[0]["own"]}


def lines(found):
    cells = [f"{part['guests']} guests {part['with']} with the plugin, {part['without']} without: {part['own']} of its own"
             for part in found["counts"]]
    yield "descriptors of the daemon: " + "; ".join(cells)
