# SPDX-License-Identifier: LGPL-2.1-or-later
"""Sections of docs/accuracy.md that say what was found."""

import formulas
import table
from words import mean_and_largest, mean_percent, percent

NEARER = 0.002  # a mean error that is less than so much smaller is no difference
LEAST_HELPER_SHARE = 0.1  # of a VM's energy, below which its helper part is not shown
GOOD = 0.02  # a mean error that is said to do
STATIC_IN_TRUTH = {formula for formula, claim in formulas.CLAIMS.items() if claim.static != "no"}


def _table(head, rows):
    return "\n".join(["| " + " | ".join(head) + " |", "|---" * len(head) + "|", *("| " + " | ".join(row) + " |" for row in rows)])


def _of(result, formula):
    return [row for row in (*result.rows, *result.variants) if row.formula == formula]


def verdict(results):
    """host-share against the best of the others, over all scenarios."""
    means = table.means_by_formula(results)
    peers = {formula: mean for formula, mean in means.items() if formula not in table.OURS and mean is not None}
    if means.get("host-share") is None or not peers:
        return ""
    best = min(peers, key=peers.get)
    word = "nearer than" if means["host-share"] < peers[best] else "not nearer than"
    return (f"Over all scenarios host-share ({100 * means['host-share']:.1f} %) is {word} the best of the others, {best} "
            f"({100 * peers[best]:.1f} %).")


def _variants(results, kind, columns):
    rows = []
    for result in results:
        if result.scenario.kind == kind or (kind == "frequency" and result.scenario.fine):
            rows.append([result.scenario.name, *(mean_and_largest(_of(result, formula)) for formula in columns)])
    return rows


def shared(results):
    columns = ("host-share", table.DEFAULT, table.CYCLES)
    rows = _variants(results, "shared", columns)
    own = [result for result in results if result.scenario.kind == "shared"]
    rows.append(["all of them", *(mean_and_largest([row for result in own for row in _of(result, formula)]) for formula in columns)])
    return _table(["scenario", "calibrated", "default weight", "cycles as they are"], rows)


def frequency(results):
    columns = (table.CYCLES, "host-share", table.FINE)
    return _table(["scenario", "cycles as they are", "weighed cycles", "cycles as they are, each 0.1 s"],
                  _variants(results, "frequency", columns))


def frequency_verdict(results):
    """Which of the ways does it, by what was measured."""
    lines = []
    for linear, when in ((True, "Where power is linear in cycles at any frequency"), (False, "Where power goes with the cube of frequency")):
        own = [result for result in results if result.scenario.fine and result.scenario.linear == linear]
        ways = {"cycles as they are": table.CYCLES, "cycles as they are, sampled each 0.1 s": table.FINE, "weighed cycles": "host-share"}
        does, fails = [], []
        for way, formula in ways.items():
            means = {result.scenario.name: table.mean_error(_of(result, formula)) for result in own}
            means = {name: mean for name, mean in means.items() if mean is not None}
            bad = [f"{name} ({100 * mean:.1f} %)" for name, mean in means.items() if mean > GOOD]
            if means and not bad:
                does.append(way)
            elif bad:
                fails.append(f"{way} not in {', '.join(bad)}")
        if not own:
            continue
        text = f"{when}, " + (f"the simplest way that does it (within {100 * GOOD:g} % on average in each scenario) is {does[0]}"
                              if does else f"none of the three is within {100 * GOOD:g} % on average in each scenario")
        also = f". Within it are also: {', and '.join(does[1:])}" if does[1:] else ""
        lines.append(f"- {text}{also}{'; ' if fails else ''}{'; '.join(fails)}.")
    return "\n".join(lines)


def _permille(weights, key):
    margin = 1.96 * weights[f"{key}_deviation_permille"]
    return f"{weights[f'{key}_permille'] / 1000:.3f} ± {margin / 1000:.3f}"


def _shared_weight(calibration):
    if "shared_deviation_permille" in calibration.weights:
        return f"{_permille(calibration.weights, 'shared')} (module: {calibration.told['smt_percent'] / 100:.2f})"
    return "no core has two hyperthreads" if calibration.model.config == "one-package" else "not told"


def _weight_of_frequency(calibration):
    if "square_deviation_permille" in calibration.weights:
        return f"{_permille(calibration.weights, 'cycle')} + ({_permille(calibration.weights, 'square')}) × f²"
    return "not told: each cycle weighs the same"


def _energy_of_a_cycle(told):
    exponent = told["frequency_exponent_percent"] / 100 - 1
    return "the same" if exponent == 0 else f"goes with f^{exponent:g}"


def weights_found(calibrations):
    rows = [[calibration.model.name, calibration.model.text, _shared_weight(calibration), _energy_of_a_cycle(calibration.told),
             _weight_of_frequency(calibration)] for calibration in calibrations]
    if not rows:
        return "None was made."
    return _table(["machine", "what it is", "a cycle on a shared core", "module: a cycle's energy", "a cycle at f GHz"], rows)


def static_found(calibrations):
    rows = []
    for calibration in calibrations:
        for zone in calibration.zones:
            told_uw = calibration.told_static_uw(zone)
            rows.append([calibration.model.name, zone["name"], f"{told_uw / 1e6:.4f} W", f"{zone['static_uw'] / 1e6:.4f} W",
                         f"{zone['from_uw'] / 1e6:.4f} to {zone['to_uw'] / 1e6:.4f} W" if "from_uw" in zone else "-",
                         percent((zone["static_uw"] - told_uw) / told_uw),
                         "yes" if zone.get("from_uw", 0) <= told_uw <= zone.get("to_uw", 0) else "no"])
    return _table(["machine", "zone", "module", "calibration", "95 % bounds", "error", "module within"], rows) if rows else ""


def helpers(results):
    shown = [(result, row) for result in results for row in result.helpers if row.true_uj > LEAST_HELPER_SHARE * result.dynamic_uj[row.vm]]
    rows = [[row.scenario, row.vm, f"{row.attributed_uj / 1e6:.3f} J", f"{row.true_uj / 1e6:.3f} J", percent(row.error),
             f"{100 * row.true_uj / result.dynamic_uj[row.vm]:.0f} %"] for result, row in shown]
    if not rows:
        return "None has any."
    rows.append(["mean of \\|error\\|", "", "", "", mean_percent([row for _, row in shown]), ""])
    return _table(["scenario", "VM", "virt-power", "true", "error", "part of the VM's energy"], rows)


def _why_nearer(result, formula, mean):
    """Of one formula, by its rows: what of its being nearer is its claim, and what is not."""
    ours = _of(result, "host-share")
    own = _of(result, formula)
    if formula in STATIC_IN_TRUTH:
        dynamic = [abs(row.attributed_uj - row.true_uj) / result.dynamic_uj[row.vm] for row in own if result.dynamic_uj[row.vm]]
        of_dynamic = sum(dynamic) / len(dynamic)
        host_share = table.mean_error(ours)
        text = (f"{formula} ({100 * mean:.1f} %) is held against static energy, too, which it gets right by definition; as a part of what the VMs "
                f"themselves drew its error is {100 * of_dynamic:.1f} %")
        if of_dynamic >= host_share - NEARER:
            return text + ", no nearer"
        return text
    text = f"{formula} ({100 * mean:.1f} %) is nearer by luck"
    if formula == "vm-share":
        return text + ": it charges the rest of the host to the VMs, which makes up for another error"
    return text


def _because(result):
    scenario = result.scenario
    if scenario.unseen:
        return f"no formula here can know it: {scenario.unseen}"
    if result.by_time:
        return (f"the machine outside stood still, and cycles were lost: {result.by_time} of {result.host_share_intervals} intervals were divided "
                "by CPU time")
    if result.gap_s > table.WIDEST_GAP_S:
        return f"the machine outside stood still: the accounts around a reading were {1000 * result.gap_s:.0f} ms apart"
    rows = _of(result, "host-share")
    largest = table.worst(rows)
    return f"host-share's largest error here is {abs(largest.attributed_uj - largest.true_uj) / 1e6:.3f} J ({largest.vm})"


def nearer(result):
    """{formula: its mean error} of those that came nearer than host-share."""
    means = {formula: table.mean_error(_of(result, formula)) for formula in formulas.CLAIMS}
    ours = means.get("host-share")
    return {formula: mean for formula, mean in means.items()
            if formula != "host-share" and None not in (mean, ours) and mean < ours - NEARER}


def worse_than_a_peer(results):
    """Where another formula came nearer to what it claims than host-share, and why."""
    rows = []
    for result in results:
        better = nearer(result)
        if better:
            rows.append([result.scenario.name, mean_percent(_of(result, "host-share")),
                         "; ".join(_why_nearer(result, formula, mean) for formula, mean in better.items()), _because(result)])
    return _table(["scenario", "host-share", "nearer", "why"], rows) if rows else "There is none in this run."
