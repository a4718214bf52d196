# SPDX-License-Identifier: LGPL-2.1-or-later
"""The table for people: docs/accuracy.md."""

import formulas
import models
import page
import scenarios
import sections
import table
from words import mean_percent as _mean
from words import percent


def _by_formula(rows):
    return {formula: [row for row in rows if row.formula == formula] for formula in formulas.CLAIMS}


def _largest(rows):
    largest = table.worst(rows)
    return "-" if largest is None else f"{percent(largest.error)} ({largest.scenario}, {largest.vm})"


IN_SHORT = """Mean of |error| over the VMs, of all scenarios and of each kind: power that is *linear in cycles*; two hyperthreads on a core (*shared
cores*); *frequency* that changes; and *what cannot be seen*, work whose cycles draw more or less than others'. The largest error of the linear ones
stands apart from that of all. The scenarios are this project's, and so is the form of power in them: a real host has of all four.
"""


def summary(results):
    rows = [row for result in results for row in result.rows]
    kinds = [kind for kind in scenarios.KINDS if any(row.kind == kind for row in rows)]
    lines = ["| formula | all | " + " | ".join(scenarios.KINDS[kind] for kind in kinds) + " | largest, linear | largest |",
             "|---" * (len(kinds) + 4) + "|"]
    for formula, own in _by_formula(rows).items():
        cells = [_mean(own), *(_mean([row for row in own if row.kind == kind]) for kind in kinds),
                 _largest([row for row in own if row.kind == "linear"]), _largest(own)]
        lines.append(f"| {formula} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def scenario_table(result):
    vms = list(result.about["pids"])
    lines = ["| formula | " + " | ".join(f"{vm}: attributed of true J, error" for vm in vms) + " |",
             "|---" * (len(vms) + 1) + "|"]
    for formula, rows in _by_formula(result.rows).items():
        cells = {row.vm: f"{row.attributed_uj / 1e6:.3f} of {row.true_uj / 1e6:.3f}, {percent(row.error)}" for row in rows}
        if cells:
            lines.append(f"| {formula} | " + " | ".join(cells.get(vm, "-") for vm in vms) + " |")
    return "\n".join(lines)


def _ticks(results):
    shares = [result.ticks_share for result in results]
    return (f"Of the time in which CPUs were busy, /proc/stat had {100 * min(shares):.0f} to {100 * max(shares):.0f} %, "
            "depending on the scenario: it counts timer ticks, and a simulated machine that has to share its processors loses "
            "some. So Kepler's and EnergAt's formulas were given the module's time of the CPUs in its place.")


def notes(result):
    lines = [f"`{vm}`: {uj / 1e6:.3f} J of the true energy are of its vhost threads." for vm, uj in result.vhost_uj.items() if uj]
    if result.by_time:
        lines.append(f"{result.by_time} of {result.host_share_intervals} intervals were divided by CPU time: cycles were not counted all the "
                     "time, which virt-power saw.")
    if result.gap_s > table.WIDEST_GAP_S:
        lines.append(f"The machine outside stood still in this scenario: the accounts around a reading were {1000 * result.gap_s:.0f} ms "
                     "apart.")
    if "thesis" not in {row.formula for row in result.rows}:
        lines.append("No cycles are counted per VM here, so the thesis' formula has nothing to go by.")
    return lines


def beside_others(results):
    """The same VM alone and beside others: does its figure stay that of its work?"""
    found = {result.scenario.name: result for result in results}
    lines = ["| load | VMs | " + " | ".join(formulas.CLAIMS) + " |", "|---" * (len(formulas.CLAIMS) + 2) + "|"]
    for kind in ("cpu", "memory", "io", "combined"):
        for count in (1, 2, 4):
            result = found.get(f"{kind}-{count}")
            if result is None:
                continue
            alpha = {row.formula: row for row in result.rows if row.vm == "alpha"}
            cells = [percent(alpha[formula].error) if formula in alpha else "-" for formula in formulas.CLAIMS]
            lines.append(f"| {kind} | {count} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _by_kind(results):
    parts = []
    for kind, title in scenarios.KINDS.items():
        parts.append(f"\n## {title[0].upper()}{title[1:]}: each scenario\n")
        for result in results:
            if result.scenario.kind != kind:
                continue
            text = result.scenario.text
            machine = f"; calibrated: {models.MODELS[result.scenario.calibration].name}" if result.scenario.calibration else ""
            parts += [f"### {result.scenario.name}\n", f"{text[0].upper()}{text[1:]}. ({result.scenario.config}{machine})\n",
                      scenario_table(result), "", *(f"{note}\n" for note in notes(result))]
    return parts


def document(results, calibrations):
    first = results[0].about
    accel = "TCG" if first["accel"] == "tcg" else "KVM"
    replays = sum(result.intervals for result in results)
    parts = [page.HEAD, f"Measured on Linux {first['kernel']}, {first['cpus']} CPUs simulated, guests by QEMU's {accel}, "
             f"{first['seconds']:g} s a scenario, virt-power {first['version']}.\n",
             _ticks(results) + "\n",
             "## In short\n", IN_SHORT, summary(results), "",
             sections.verdict(results), page.WHY,
             "The mean is over all VMs of all scenarios, an idle one too, whose true energy is small.\n",
             f"In each of the {replays} intervals that were replayed for this page the rows add up to what was measured, per zone and in total, "
             "to the microjoule. That is checked, and a run in which it is not so fails.\n",
             "## One VM alone, and the same VM beside others\n", "Error of the VM `alpha`, which is in each of them.\n",
             beside_others(results),
             page.SHARED, sections.shared(results), page.FREQUENCY, sections.frequency(results), "", sections.frequency_verdict(results),
             page.CALIBRATIONS.format(seconds=len(models.STEPS) * models.STEP_S, window=models.WINDOW_S),
             sections.weights_found(calibrations), "", sections.static_found(calibrations),
             page.HELPERS, sections.helpers(results),
             page.WORSE, sections.worse_than_a_peer(results), *_by_kind(results)]
    return "\n".join(parts) + page.AGAIN


def text(results):
    """A few columns for a terminal."""
    lines = []
    for result in results:
        for row in (*result.rows, *result.variants, *(row for row in result.helpers if row.true_uj)):
            lines.append(f"{row.scenario:26}{row.vm:8}{row.formula:16}{row.attributed_uj / 1e6:10.3f} J of"
                         f"{row.true_uj / 1e6:10.3f} J {percent(row.error):>10}")
    for kind, title in scenarios.KINDS.items():
        for formula, rows in _by_formula([row for result in results for row in result.rows if row.kind == kind]).items():
            if rows:
                lines.append(f"{title}, mean of |error|: {formula:12}{_mean(rows):>8}")
    if results:
        lines.append(_ticks(results))
    return "\n".join(lines)
