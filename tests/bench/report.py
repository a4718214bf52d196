# SPDX-License-Identifier: LGPL-2.1-or-later
"""The figures as a table, and which of them cannot be right."""

import math

import bounds
import descriptors_bench
import fleet_bench
import slowdown_bench
import threads_bench
from series import span

KINDS = {
    "energy": "domstats energy, as virt-power asks",
    "perf": "domstats perf",
    "state": "domstats state",
    "energy-perf": "energy above perf",
    "state-perf": "state above perf",
    "cpu-total": "domstats cpu-total",
    "exporter": "exporter's scrape, daemon",
    "exporter-both": "exporter's scrape, daemon and exporter",
}


def daemon_lines(found):
    yield "daemon: CPU time in µs per domain and call; median (its 95 % bounds)"
    guests = found["guests"]
    for kind, text in KINDS.items():
        cells = [f"{number} guests {span(results['cpu_us'][kind])}" for number, results in guests.items()
                 if kind in results["cpu_us"]]
        if cells:
            yield f"  {text:40} " + "   ".join(cells)
    for number, results in guests.items():
        yield f"daemon: parameters of a call, {number} guests: " + ", ".join(f"{kind} {n}" for kind, n in results["parameters"].items())
    yield "daemon: the same per domain, most guests to fewest; 1 is linear"
    for kind, ratio in found["linear"].items():
        yield f"  {KINDS[kind]:40} {span(ratio)}"
    steps = ", ".join(map(str, found["growth_kib"]))
    yield f"daemon: heap in KiB, each {found['growth_calls'] // (len(found['growth_kib']) - 1)} calls for energy: {steps}"
    yield f"daemon: without calls {found['idle_us_per_s']:.0f} µs of CPU time a second"
    if found["switch"]:
        yield f"daemon: its BPF program took {span(found['switch']['ns'], 0)} ns a switch, in {found['switch']['runs']} of them; " \
              f"one that adds 1 to a number in a map " \
              f"{span(found['switch']['least_ns'], 0)}, one that looks up the process among the guests', by its pid, {span(found['switch']['lookup_ns'], 0)}"


def client_lines(found):
    yield "virt-power: CPU time in µs per domain and sample, peak of resident memory"
    for run in found:
        what = f"{run['domains']} {'made-up domains' if run.get('made_up') else 'guests'}"
        yield f"  {what:40} {run['cpu_us']:.2f} µs   {run['peak_kib'] / 1024:.1f} MiB"


def switch_lines(found):
    alone = "" if found["alone"] else "; other work was not kept away"
    yield f"context switch: ns that counting adds to one; median (its 95 % bounds){alone}"
    for kind in found["kinds"]:
        name = f"{kind['name']}, {kind['domains']} domains known"
        yield (f"  {name:50} {span(kind['added_ns'], 0)} to {kind['switch_ns']['median']:.0f}; "
               f"the program itself {span(kind['program_ns'], 0)}")
    yield f"  in its place, by the same statistics: an empty program {span(found['empty_ns'], 0)}, one that adds 1 to a " \
          f"number in a map {span(found['least_ns'], 0)}, one that adds 1 to a number of the process, found by its pid, " \
          f"{span(found['lookup_ns'], 0)}"


def attribution_lines(found):
    yield (f"attribution: {found['domains']} domains in {span(found['ms'])} ms of CPU time, at most {found['worst_ms']:.2f}; "
           f"the sums alone {span(found['direct_ms'])} ms, {span(found['ratio'], 1)} times less; "
           f"peak {found['peak_kib'] / 1024:.0f} MiB")


def replay_lines(found):
    replay = found["replay"]
    each_ns = replay["cpu_s"] / found["samples"] / found["recorded_domains"] * 1e9
    yield (f"replay: {found['samples']} samples of {found['recorded_domains']} domains, {found['bytes'] / 1e6:.0f} MB: "
           f"{replay['cpu_s']:.1f} s of CPU time, {each_ns:.0f} ns per domain and sample, peak {replay['peak_kib'] / 1024:.0f} MiB; "
           f"plain reading {found['cat_cpu_s']:.2f} s")


PARTS = {"daemon": daemon_lines, "threads": threads_bench.lines, "descriptors": descriptors_bench.lines,
         "client": client_lines, "fleet": fleet_bench.lines, "switch": switch_lines, "slowdown": slowdown_bench.lines,
         "attribution": attribution_lines, "replay": replay_lines}


def table(found):
    machine = found["machine"]
    lines = [f"{machine['cpus']} CPUs, kernel {machine['kernel']}, "
             f"{'a virtual machine' if machine['virtual'] else 'bare metal'}, {'with' if machine['pmu'] else 'without'} a PMU"]
    for part, lines_of in PARTS.items():
        if part in found:
            lines += lines_of(found[part])
    return "\n".join([*lines, *bounds.lines(found["bounds"])])


def numbers(value, path=""):
    """Every number with the keys that lead to it."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from numbers(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from numbers(inner, f"{path}[{index}]")
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield path, value


# Of two costs that may be much the same.
DIFFERENCES = ("energy-perf", "state-perf", "added_ns", "slower_percent", "grown", ".own", "bounds[")
MAY_BE_0 = (".domains", ".idle_us_per_s", ".parameters.perf", ".cat_cpu_s")


def insane(found):
    """What no run can give, as lines: what is negative that cannot be, infinite or 0."""
    wrong = []
    for path, value in numbers(found):
        if not math.isfinite(value):
            wrong.append(f"{path} is {value}")
        elif any(word in path for word in DIFFERENCES):
            continue
        elif value < 0 or value == 0 and not path.endswith(MAY_BE_0):
            wrong.append(f"{path} is {value}")
    for part in found.get("daemon", {}).get("guests", {}).values():
        if part["parameters"]["energy"] <= part["parameters"]["perf"]:
            wrong.append(f"energy gave no more parameters than perf: {part['parameters']}")
    if "threads" in found and found["threads"]["threads"][0] >= found["threads"]["threads"][1]:
        wrong.append(f"guests with I/O threads have no more threads: {found['threads']['threads']}")
    return wrong
