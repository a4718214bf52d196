# SPDX-License-Identifier: LGPL-2.1-or-later
"""From what was measured in a scenario to rows: formula, VM, attributed joules, true joules."""

import json
import os
import subprocess
import tempfile
from dataclasses import dataclass, field

import formulas
import models
import recordings
import samples

OURS = ("host-share", "vm-share")
# host-share of the same measurement, with other weights than the plugin had or of finer samples.
CYCLES, DEFAULT, FINE = "cycles", "default", "cycles, 0.1 s"
# Where the accounts of the truth around a reading are further apart, the machine outside stood still.
WIDEST_GAP_S = 0.1


class TableError(Exception):
    pass


@dataclass
class Row:
    scenario: str
    kind: str
    vm: str
    formula: str
    attributed_uj: int
    true_uj: int

    @property
    def error(self):
        """A share of the true energy; None where there is none."""
        return (self.attributed_uj - self.true_uj) / self.true_uj if self.true_uj else None

    def json(self):
        return {"scenario": self.scenario, "kind": self.kind, "vm": self.vm, "formula": self.formula,
                "attributed_uj": self.attributed_uj, "true_uj": self.true_uj, "error": self.error}


@dataclass
class Result:
    """One scenario's."""
    scenario: object
    about: dict
    rows: list
    variants: list  # rows of CYCLES, DEFAULT, FINE, where the scenario has them
    helpers: list  # rows of the part that is no vCPU's
    vhost_uj: dict  # {vm: what kernel threads did for it}
    dynamic_uj: dict  # {vm: what it drew, without static power}
    seconds: float
    ticks_share: float  # of the time in which CPUs were busy, what /proc/stat has of it
    gap_s: float  # what the accounts around a reading were apart at most
    intervals: int = 0  # whose rows were added up, of all replays
    by_time: int = 0  # of host-share's, those that were divided by CPU time
    host_share_intervals: int = 0

    @property
    def disturbance(self):
        """The machine outside stood still, by what was lost, the worst first; () where it did not."""
        found = self.by_time, max(0.0, self.gap_s - WIDEST_GAP_S)
        return found if any(found) else ()


@dataclass
class Calibration:
    """What a calibration found, beside what the machine was told."""
    model: object
    zones: list  # as `virt-power calibrate --json` shows them
    weights: dict
    told: dict  # the module's parameters
    seconds: float

    def told_static_uw(self, zone):
        return self.told["static_uw" if zone["type"] == "package" else "dram_static_uw"]


def load_calibration(directory, model):
    """None where there is none."""
    if not os.path.exists(f"{directory}/calibration.json"):
        return None
    with open(f"{directory}/calibration.json", encoding="utf-8") as file:
        text = file.read()
    if not text:
        return None
    found = json.loads(text)
    return Calibration(model, found["zones"], found.get("weights", {}), _load_about(directory)["model"], found["seconds"])


@dataclass
class Sums:
    """Over the intervals of a replay, by VM."""
    energy_uj: dict = field(default_factory=dict)
    helper_uj: dict = field(default_factory=dict)
    intervals: int = 0
    by_time: int = 0  # intervals that were divided by CPU time, since cycles were lost


def _load_about(directory):
    with open(f"{directory}/about.json", encoding="utf-8") as file:
        return json.load(file)


def _static_watts(directory, about):
    watts = {"package": about["model"]["static_uw"] / 1e6, "dram": about["model"]["dram_static_uw"] / 1e6}
    with open(f"{directory}/recording.jsonl", encoding="utf-8") as file:
        zones = next(line["zones"] for line in map(json.loads, file) if line.get("zones"))
    return ",".join(f"{zone[0]}={watts[zone[1]]:.6f}" for zone in zones if zone[1] in watts)


def _replay(virt_power, recording, model, static):
    """virt-power's own intervals of the recording, with static power known."""
    done = subprocess.run([virt_power, "replay", "--json", "--model", model, "--static-watts", static, recording],
                          text=True, capture_output=True, check=False)
    if done.returncode != 0:
        raise TableError(f"{recording}: virt-power replay failed: {done.stderr.strip()}")
    intervals = [json.loads(line) for line in done.stdout.splitlines()]
    for interval in intervals:
        check_sums(recording, interval)
    return intervals


def check_sums(recording, interval):
    """Rows add up to what was measured, per zone and in total; the part that is no vCPU's is no more than its row."""
    counted = {zone["name"]: zone["energy_uj"] for zone in interval["zones"] if zone["counted"] and "energy_uj" in zone}
    rows = sum(row.get("energy_uj", 0) for row in interval["rows"])
    if rows != sum(counted.values()):
        raise TableError(f"{recording}: rows add up to {rows} µJ, the zones to {sum(counted.values())} µJ")
    for name, energy_uj in counted.items():
        parts = sum(zone["energy_uj"] for row in interval["rows"] for zone in row.get("zones", ()) if zone["zone"] == name)
        if parts != energy_uj:
            raise TableError(f"{recording}: zone {name}: rows add up to {parts} µJ, the zone to {energy_uj} µJ")
    for row in interval["rows"]:
        if row.get("helper_energy_uj", 0) > row.get("energy_uj", 0):
            raise TableError(f"{recording}: {row['name']}: helpers have {row['helper_energy_uj']} µJ of {row['energy_uj']} µJ")


def sums_of(intervals):
    sums = Sums(intervals=len(intervals), by_time=sum(interval.get("basis") != "cycles" for interval in intervals))
    for interval in intervals:
        for row in interval["rows"]:
            if row["kind"] in ("domain", "departed"):
                for key, found in (("energy_uj", sums.energy_uj), ("helper_energy_uj", sums.helper_uj)):
                    if key in row:
                        found[row["name"]] = found.get(row["name"], 0) + row[key]
    return sums


def _ours(virt_power, directory, static, wanted):
    found = {}
    for model in OURS:
        intervals = _replay(virt_power, f"{directory}/recording.jsonl", model, static)
        if len(intervals) != wanted:
            raise TableError(f"{directory}: the recording has {len(intervals)} intervals, not {wanted}")
        found[model] = sums_of(intervals)
    return found


def _variants(virt_power, directory, scenario, static):
    """{name: Sums} of host-share."""
    wanted = {}
    if scenario.calibration or scenario.kind != "linear":
        wanted[CYCLES] = "recording", recordings.without_weights
    if scenario.calibration and not models.MODELS[scenario.calibration].frequency:
        wanted[DEFAULT] = "recording", lambda lines: recordings.reweighed(lines, recordings.DEFAULT_SHARED_PERMILLE)
    if scenario.fine:
        wanted[FINE] = "fine", recordings.without_weights
    found = {}
    with tempfile.TemporaryDirectory(prefix="accuracy-") as scratch:
        for name, (source, change) in wanted.items():
            target = f"{scratch}/{len(found)}.jsonl"
            try:
                recordings.rewrite(f"{directory}/{source}.jsonl", target, change)
            except recordings.WeightError:
                continue  # the calibration found that they weigh as those of a core alone
            found[name] = sums_of(_replay(virt_power, target, "host-share", static))
    return found


def _sum(*uses):
    """Of {package: Used}."""
    return {package: sum((use.get(package, samples.Used()) for use in uses), samples.Used())
            for package in sorted({package for use in uses for package in use})}


class TrueEnergy:
    """What the module says, over the intervals that count."""

    def __init__(self, pairs, pids, packages, helper_pids=None):
        self.pairs, self.pids, self.packages = pairs, pids, packages
        self.helper_pids = helper_pids or {}

    @staticmethod
    def _energy(used, claim):
        return (used.energy_uj if "package" in claim.zones else 0) + (used.dram_uj if "dram" in claim.zones else 0)

    def _used(self, pair, vm):
        """{package: Used}: its process, helper processes, and kernel threads that work for it."""
        return _sum(samples.spent(*pair, self.pids[vm] + self.helper_pids.get(vm, [])), samples.vhost_spent(*pair, self.pids[vm]))

    def _helpers_used(self, pair, vm):
        """Of that what is no vCPU's."""
        return _sum(samples.other_threads_spent(*pair, self.pids[vm]), samples.spent(*pair, self.helper_pids.get(vm, [])),
                    samples.vhost_spent(*pair, self.pids[vm]))

    def _static(self, pair, package, claim):
        energy_uj = samples.package_field(*pair, package, "static_uj") if "package" in claim.zones else 0
        return energy_uj + (samples.package_field(*pair, package, "dram_static_uj") if "dram" in claim.zones else 0)

    def _static_share(self, pair, vm, used, claim):
        if claim.static == "no":
            return 0.0
        if claim.static == "capacity":
            lasted = pair[1].time_ns - pair[0].time_ns
            return sum(self._static(pair, package, claim) * use.time_ns / (lasted * self.packages[package])
                       for package, use in used.items())
        uses = [self._used(pair, name) for name in self.pids]
        total = {package: sum(use[package].cycles for use in uses if package in use) for package in used}
        return sum(self._static(pair, package, claim) * use.cycles / total[package]
                   for package, use in used.items() if total[package])

    def of(self, vm, claim):
        total = 0.0
        for pair in self.pairs:
            used = self._used(pair, vm)
            total += sum(self._energy(use, claim) for use in used.values()) + self._static_share(pair, vm, used, claim)
        return round(total)

    def share_in_ticks(self, intervals):
        busy_ns = sum(samples.package_field(*pair, package, "time_ns") for pair in self.pairs for package in self.packages)
        ticks = sum(interval.counted_ticks for interval in intervals)
        return ticks / samples.TICKS_PER_S / (busy_ns / 1e9) if busy_ns else 1.0

    def helpers(self, vm):
        claim = formulas.CLAIMS["host-share"]
        return sum(self._energy(use, claim) for pair in self.pairs for use in self._helpers_used(pair, vm).values())

    def vhost(self, vm):
        claim = formulas.CLAIMS["host-share"]
        return sum(self._energy(use, claim) for pair in self.pairs
                   for use in samples.vhost_spent(*pair, self.pids[vm]).values())


def result_of(directory, scenario, virt_power):
    """Of what was measured; TableError where that is damaged."""
    try:
        return _result_of(directory, scenario, virt_power)
    except (OSError, ValueError, LookupError, TypeError, StopIteration) as error:
        raise TableError(f"{directory}: not what a measurement leaves: {error!r}") from error


def _result_of(directory, scenario, virt_power):
    about = _load_about(directory)
    taken = samples.load(f"{directory}/raw.jsonl")
    counts = {}
    for package in taken[0]["packages"].values():
        counts[package] = counts.get(package, 0) + 1
    accounts = [samples.truth_at_reading(sample) for sample in taken]
    if None in accounts:
        raise TableError(f"{directory}: there is no truth: this was not measured within the simulated machine")

    def true_energy(at):
        return TrueEnergy(list(zip(at, at[1:])), about["pids"], counts, about["helper_pids"])
    true = true_energy(accounts)
    true_for_others = true_energy([samples.truth_at_others(sample) for sample in taken])
    static_uw, static = dict.fromkeys(counts, about["model"]["static_uw"]), _static_watts(directory, about)
    intervals = samples.intervals(taken)
    ours, variants = _ours(virt_power, directory, static, len(intervals)), _variants(virt_power, directory, scenario, static)
    attributed = {**{name: sums.energy_uj for name, sums in ours.items()}, **formulas.over(intervals, static_uw)}

    def rows_of(formula, energy_uj, truth):
        return [Row(scenario.name, scenario.kind, vm, formula, round(energy_uj.get(vm, 0)), truth(vm)) for vm in about["pids"]]
    claim = formulas.CLAIMS["host-share"]
    rows = []
    for formula, sums in attributed.items():
        if not sums and formula == "thesis":
            continue  # no PMU: it has nothing to go by
        held_against = true if formula in OURS else true_for_others
        rows += rows_of(formula, sums, lambda vm, held=held_against, what=formulas.CLAIMS[formula]: held.of(vm, what))
    return Result(scenario, about, rows,
                  [row for name, sums in variants.items() for row in rows_of(name, sums.energy_uj, lambda vm: true.of(vm, claim))],
                  rows_of("helpers", ours["host-share"].helper_uj, true.helpers),
                  {vm: true.vhost(vm) for vm in about["pids"]}, {vm: true.of(vm, claim) for vm in about["pids"]},
                  sum(after.time_ns - before.time_ns for before, after in true.pairs) / 1e9,
                  true_for_others.share_in_ticks(intervals),
                  max(map(samples.account_gap_ns, taken)) / 1e9,
                  sum(sums.intervals for sums in (*ours.values(), *variants.values())),
                  ours["host-share"].by_time, len(intervals))


def host_share(results, *kinds):
    return [row for result in results for row in result.rows if row.formula == "host-share" and row.kind in kinds]


def mean_error(rows):
    """Mean of the absolute errors; None without any."""
    errors = [abs(row.error) for row in rows if row.error is not None]
    return sum(errors) / len(errors) if errors else None


def means_by_formula(results):
    """Over all VMs of all scenarios."""
    return {formula: mean_error([row for result in results for row in result.rows if row.formula == formula])
            for formula in formulas.CLAIMS}


def worst(rows):
    errors = [row for row in rows if row.error is not None]
    return max(errors, key=lambda row: abs(row.error), default=None)
