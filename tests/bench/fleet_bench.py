# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a host full of guests pays for a sample a second: the daemon and virt-power, in percent of one core."""

import time

import client_bench
import live
from lab.fleet import Fleet
from series import span


def run(lab, scale, kvm, say):
    daemon = live.new_daemon().start()
    fleet = Fleet(lab, daemon, kvm)
    begun = time.monotonic()
    for number in range(100, scale.fleet_guests + 100, 100):
        fleet.grow("m", min(number, scale.fleet_guests))
        say(f"{len(fleet.guests)} of {scale.fleet_guests} guests, {time.monotonic() - begun:.0f} s")
    found = client_bench.run(daemon.uri, scale.fleet_guests, scale.fleet_samples, 1, daemon)
    fleet.clear()
    fleet.connection.close()
    daemon.stop()
    return found


def lines(found):
    yield (f"fleet: {found['domains']} guests sampled once a second for {found['wall_s']:.0f} s, in percent of one core: "
           f"of a second {span(found['percent'])}; over all of the time {found['daemon_percent'] + found['client_percent']:.2f}, "
           f"daemon {found['daemon_percent']:.2f} and virt-power {found['client_percent']:.2f}")
