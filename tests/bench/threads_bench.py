# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whether a sample costs the daemon more for guests with many threads: two daemons with as many guests, which differ in their
I/O threads alone."""

import daemon_bench
from lab import meters
from series import differences, estimate, span

KINDS = ["energy", "perf"]


def threads_of(subject):
    """Of a guest of this daemon."""
    return meters.threads(subject.daemon.guest_pid(subject.fleet.guests[0]))


def run(lab, programs, scale, kvm, say):
    say(f"starting {scale.threads_guests} guests, and as many with {scale.iothreads} I/O threads")
    few, many = (daemon_bench.Subject(lab, programs, stem, scale.threads_guests, kvm, iothreads=iothreads)
                 for stem, iothreads in (("s", 0), ("t", scale.iothreads)))
    daemon_bench.measure_calls([few, many], scale.rounds, scale.calls, say, KINDS)
    above = [estimate(differences(s.cpu_us["energy"], s.cpu_us["perf"])).as_dict() for s in (few, many)]
    found = {"guests": scale.threads_guests, "threads": [threads_of(few), threads_of(many)],
             "energy_us": [estimate(s.cpu_us["energy"]).as_dict() for s in (few, many)], "energy-perf_us": above,
             "ratio": daemon_bench.compare([few, many])["energy"]}
    for subject in (few, many):
        subject.end()
    return found


def lines(found):
    few, many = found["threads"]
    yield f"threads: daemon's CPU time in µs per domain and call, {found['guests']} guests each; median (its 95 % bounds)"
    for name, text in (("energy_us", "domstats energy"), ("energy-perf_us", "energy above perf")):
        yield f"  {text:40} {few} threads {span(found[name][0])}   {many} threads {span(found[name][1])}"
    yield f"  {'domstats energy, many to few':40} {span(found['ratio'])}"
