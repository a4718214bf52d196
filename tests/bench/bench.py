# SPDX-License-Identifier: LGPL-2.1-or-later
"""The second half of tests/bench/run, which installs what this needs and then runs it."""

import argparse
import functools
import json
import os
import platform
import subprocess
import sys
from dataclasses import dataclass

HERE = os.path.dirname(os.path.abspath(__file__))
TESTS = os.path.dirname(HERE)
sys.path[:0] = [HERE, f"{TESTS}/live", f"{os.path.dirname(TESTS)}/tools/lib"]

import bounds  # noqa: E402
import client_bench  # noqa: E402
import daemon_bench  # noqa: E402
import descriptors_bench  # noqa: E402
import fleet_bench  # noqa: E402
import live  # noqa: E402
import replay_bench  # noqa: E402
import report  # noqa: E402
import slowdown_bench  # noqa: E402
import threads_bench  # noqa: E402
from lab import build  # noqa: E402
from lab.daemon import Lab, LabError, SupervisorError  # noqa: E402
from lab.signals import Signalled, catch_signals  # noqa: E402
from series import differences, estimate  # noqa: E402

PARTS = ["daemon", "threads", "descriptors", "client", "fleet", "switch", "slowdown", "attribution", "replay"]
NEED_GUESTS = {"daemon", "threads", "descriptors", "client", "fleet", "slowdown"}
PROGRAMS = ["bench-attribution", "make-recording", "slowdown", "stats-caller", "switch-cost", "switch-floor"]


@dataclass
class Scale:
    guests: tuple = (60, 240)
    rounds: int = 40
    calls: int = 10
    growth_calls: int = 5000
    idle_s: float = 10
    client_samples: int = 150
    made_up_domains: int = 10_000
    made_up_samples: int = 10
    made_up_delay_s: float = 1
    pairs: int = 20
    trips: int = 100_000
    slowdown_blocks: int = 48
    threads_guests: int = 60
    iothreads: int = 64
    descriptor_guests: int = 30
    fleet_guests: int = 500
    fleet_samples: int = 21
    attributed_domains: int = 10_000
    attribution_runs: int = 200
    recorded_domains: int = 100
    recorded_samples: int = 30 * 24 * 60  # a month, each minute


QUICK = Scale(guests=(3, 6), rounds=3, calls=5, growth_calls=100, idle_s=0.5, client_samples=5, made_up_domains=1000,
              made_up_samples=3, made_up_delay_s=0.3, pairs=3, trips=5000, slowdown_blocks=1,
              threads_guests=3, iothreads=16, descriptor_guests=3, fleet_guests=8, fleet_samples=3, attributed_domains=1000, attribution_runs=10, recorded_samples=3000)


def say(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


def run_program(path, *arguments):
    output = subprocess.run([path, *map(str, arguments)], check=True, stdout=subprocess.PIPE, text=True,
                            stdin=subprocess.DEVNULL).stdout
    return json.loads(output)


def bench_guests(lab, programs, scale, parts, kvm):
    """Daemon and client, which want the same guests."""
    found = {}
    subjects = daemon_bench.start_subjects(lab, programs, scale.guests, kvm, say)
    most = subjects[-1]
    if "daemon" in parts:
        daemon_bench.measure_calls(subjects, scale.rounds, scale.calls, say)
        say("growth of the daemon")
        found["daemon"] = {
            "guests": {subject.guests: subject.results() for subject in subjects},
            "linear": daemon_bench.compare(subjects),
            "growth_kib": most.growth(scale.growth_calls, 5),
            "growth_calls": scale.growth_calls,
            "idle_us_per_s": most.idle_us_per_s(scale.idle_s),
            "switch": most.switch_ns(f"{programs}/switch-floor", scale.idle_s),
        }
    if "client" in parts:
        say("virt-power")
        found["client"] = [client_bench.run(subject.daemon.uri, subject.guests, scale.client_samples)
                           for subject in subjects]
    for subject in subjects:
        subject.end()
    return found


def bench_switch(programs, scale):
    say("context switches")
    found = run_program(f"{programs}/switch-cost", scale.pairs, scale.trips, scale.guests[-1])
    for name in ("empty_ns", "least_ns", "lookup_ns"):
        found[name] = estimate(found[name]).as_dict()
    for kind in found["kinds"]:
        kind["added_ns"] = estimate(differences(kind["with_ns"], kind["without_ns"])).as_dict()
        kind["switch_ns"] = estimate(kind["without_ns"]).as_dict()
        kind["program_ns"] = estimate(kind["program_ns"]).as_dict()
    return found


def bench_attribution(programs, scale):
    say("attribution")
    found = run_program(f"{programs}/bench-attribution", scale.attributed_domains, scale.attribution_runs)
    took, least = found.pop("attribution_ns"), found.pop("direct_ns")
    return {**found, "ms": estimate(took).scaled(1e-6).as_dict(), "worst_ms": max(took) / 1e6,
            "direct_ms": estimate(least).scaled(1e-6).as_dict(),
            "ratio": estimate([a / b for a, b in zip(took, least)]).as_dict()}


def machine():
    return {"cpus": os.cpu_count(), "kernel": platform.release(),
            "pmu": os.path.isdir("/sys/bus/event_source/devices/cpu"),
            "virtual": "hypervisor" in open("/proc/cpuinfo", encoding="utf-8").read()}


def bench(lab, scale, parts):
    lab.prefix = build.build_libvirt(lab.supervisor, lab.dir)
    built = build.build_project(lab.supervisor, lab.dir, "plain", build.PLAIN,
                                targets=["all", *(f"tests/bench/{name}" for name in PROGRAMS)])
    programs = f"{built}/tests/bench"
    live.configure(lab, built)
    found = {"machine": machine()}
    if "attribution" in parts:
        found["attribution"] = bench_attribution(programs, scale)
    if "replay" in parts:
        say("replay")
        found["replay"] = replay_bench.run(lab, programs, scale.recorded_domains, scale.recorded_samples)
    if "switch" in parts:
        found["switch"] = bench_switch(programs, scale)
    kvm = daemon_bench.has_kvm(lab) if NEED_GUESTS.intersection(parts) else False
    if "slowdown" in parts:
        say("slowdown by context switches")
        found["slowdown"] = slowdown_bench.run(lab, functools.partial(run_program, f"{programs}/slowdown"), scale, kvm)
    if "daemon" in parts or "client" in parts:
        found.update(bench_guests(lab, programs, scale, parts, kvm))
    if "threads" in parts:
        found["threads"] = threads_bench.run(lab, programs, scale, kvm, say)
    if "descriptors" in parts:
        found["descriptors"] = descriptors_bench.run(lab, scale, kvm, say)
    if "fleet" in parts:
        found["fleet"] = fleet_bench.run(lab, scale, kvm, say)
    if "client" in parts:
        say(f"virt-power on {scale.made_up_domains} made-up domains")
        found["client"].append({"made_up": True, **client_bench.run_made_up(
            lab, scale.made_up_domains, scale.made_up_samples, scale.made_up_delay_s)})
    found["bounds"] = bounds.judge(found)
    return found


def parse():
    parser = argparse.ArgumentParser(prog="tests/bench/run")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", action="append", choices=PARTS)
    parser.add_argument("--json", metavar="FILE")
    return parser.parse_args()


def main():
    arguments = parse()
    catch_signals()
    try:
        # Before the work, not after it: a file that cannot be written.
        out = open(arguments.json, "w", encoding="utf-8") if arguments.json else None
        with Lab("") as lab:
            found = bench(lab, QUICK if arguments.quick else Scale(), arguments.only or PARTS)
        if out:
            with out:
                json.dump(found, out, indent=1)
        print(report.table(found), flush=True)
        wrong = report.insane(found)
    except Signalled as signalled:
        return 128 + signalled.number
    except (LabError, SupervisorError, OSError, RuntimeError, subprocess.SubprocessError, ValueError) as error:
        say(str(error))
        return 1
    for line in wrong:
        say(f"cannot be: {line}")
    say(f"{sum(1 for _ in report.numbers(found))} figures")
    return 1 if wrong else 0


if __name__ == "__main__":
    os.umask(0o022)
    sys.exit(main())
