# SPDX-License-Identifier: LGPL-2.1-or-later
"""From what was measured in a scenario to rows: formula, VM, attributed joules, true joules."""

import json
import subprocess
from dataclasses import dataclass

import formulas
import samples

OURS = ("host-share", "vm-share")
# Where the accounts of the truth around a reading are further apart, the machine outside stood still.
WIDEST_GAP_S = 0.1


class TableError(Exception):
    pass


@dataclass
class Row:
    scenario: str
    linear: bool
    vm: str
    formula: str
    attributed_uj: int
    true_uj: int

    @property
    def error(self):
        """A share of the true energy; None where there is none."""
        return (self.attributed_uj - self.true_uj) / self.true_uj if self.true_uj else None

    def json(self):
        return {"scenario": self.scenario, "linear": self.linear, "vm": self.vm, "formula": self.formula,
                "attributed_uj": self.attributed_uj, "true_uj": self.true_uj, "error": self.error}


@dataclass
class Result:
    """One scenario's."""
    scenario: object
    about: dict
    rows: list
    vhost_uj: dict  # {vm: what kernel threads did for it}
    left_out_uj: int  # true energy of all VMs in intervals in which the plugin was not there
    seconds: float
    ticks_share: float  # of the time in which CPUs were busy, what /proc/stat has of it
    gap_s: float  # what the accounts around a reading were apart at most


def _load_about(directory):
    with open(f"{directory}/about.json", encoding="utf-8") as file:
        return json.load(file)


def _replay(virt_power, directory, model, about):
    """virt-power's own intervals of the recording, with static power known."""
    watts = {"package": about["model"]["static_uw"] / 1e6, "dram": about["model"]["dram_static_uw"] / 1e6}
    with open(f"{directory}/recording.jsonl", encoding="utf-8") as file:
        zones = next(line["zones"] for line in map(json.loads, file) if line.get("zones"))
    static = ",".join(f"{zone[0]}={watts[zone[1]]:.6f}" for zone in zones if zone[1] in watts)
    done = subprocess.run([virt_power, "replay", "--json", "--model", model, "--static-watts", static,
                           f"{directory}/recording.jsonl"], text=True, capture_output=True, check=False)
    if done.returncode != 0:
        raise TableError(f"{directory}: virt-power replay failed: {done.stderr.strip()}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def _check_sums(directory, intervals):
    for interval in intervals:
        zones = sum(zone.get("energy_uj", 0) for zone in interval["zones"] if zone["counted"])
        rows = sum(row.get("energy_uj", 0) for row in interval["rows"])
        if zones != rows:
            raise TableError(f"{directory}: rows add up to {rows} µJ, the zones to {zones} µJ")


def _ours(virt_power, directory, about, wanted):
    found = {}
    for model in OURS:
        intervals = _replay(virt_power, directory, model, about)
        if len(intervals) != wanted:
            raise TableError(f"{directory}: the recording has {len(intervals)} intervals, not {wanted}")
        _check_sums(directory, intervals)
        sums = found[model] = {}
        for interval in intervals:
            for row in interval["rows"]:
                if row["kind"] in ("domain", "departed"):
                    sums[row["name"]] = sums.get(row["name"], 0) + row["energy_uj"]
    return found


class TrueEnergy:
    """What the module says, over the intervals that count."""

    def __init__(self, pairs, pids, packages):
        self.pairs, self.pids, self.packages = pairs, pids, packages

    @staticmethod
    def _energy(used, claim):
        return (used.energy_uj if "package" in claim.zones else 0) + (used.dram_uj if "dram" in claim.zones else 0)

    def _used(self, pair, vm):
        """{package: Used}: its process, and kernel threads that work for it."""
        own, helpers = samples.spent(*pair, self.pids[vm]), samples.vhost_spent(*pair, self.pids[vm])
        return {package: own.get(package, samples.Used()) + helpers.get(package, samples.Used())
                for package in {*own, *helpers}}

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
    numbers = [number for number in range(1, len(taken)) if number not in about["left_out"]]
    counts = {}
    for package in taken[0]["packages"].values():
        counts[package] = counts.get(package, 0) + 1
    accounts = [samples.truth_at_reading(sample) for sample in taken]
    if None in accounts:
        raise TableError(f"{directory}: there is no truth: this was not measured within the simulated machine")

    def true_energy(at, which):
        return TrueEnergy([(at[n - 1], at[n]) for n in which], about["pids"], counts)
    true, lost = true_energy(accounts, numbers), true_energy(accounts, about["left_out"])
    true_for_others = true_energy([samples.truth_at_others(sample) for sample in taken], numbers)
    static_uw = dict.fromkeys(counts, about["model"]["static_uw"])
    intervals = [samples.interval(taken[n - 1], taken[n]) for n in numbers]
    attributed = {**_ours(virt_power, directory, about, len(numbers)), **formulas.over(intervals, static_uw)}
    rows = []
    for formula, sums in attributed.items():
        if not sums and formula == "thesis":
            continue  # no PMU: it has nothing to go by
        for vm in about["pids"]:
            held_against = true if formula in OURS else true_for_others
            rows.append(Row(scenario.name, scenario.linear, vm, formula, round(sums.get(vm, 0)),
                            held_against.of(vm, formulas.CLAIMS[formula])))
    claim = formulas.CLAIMS["host-share"]
    return Result(scenario, about, rows, {vm: true.vhost(vm) for vm in about["pids"]},
                  sum(lost.of(vm, claim) for vm in about["pids"]),
                  sum(accounts[n].time_ns - accounts[n - 1].time_ns for n in numbers) / 1e9,
                  true_for_others.share_in_ticks(intervals),
                  max(map(samples.account_gap_ns, taken)) / 1e9)


def linear_host_share(results):
    return [row for result in results for row in result.rows if row.formula == "host-share" and row.linear]


def mean_error(rows):
    """Mean of the absolute errors; None without any."""
    errors = [abs(row.error) for row in rows if row.error is not None]
    return sum(errors) / len(errors) if errors else None


def worst(rows):
    errors = [row for row in rows if row.error is not None]
    return max(errors, key=lambda row: abs(row.error), default=None)
