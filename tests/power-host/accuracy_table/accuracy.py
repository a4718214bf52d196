#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Boots the simulated machine, once for each configuration that is needed, and makes the table of what came out."""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(os.path.dirname(HERE)))
sys.path.insert(0, f"{TOP}/tools/lib")

import report  # noqa: E402
import scenarios  # noqa: E402
import table  # noqa: E402
from lab.build import PLAIN, build_dir  # noqa: E402

TARGETS = ("src/plugin/host-power.so", "tools/virt-power/virt-power", "tests/power-host/meter/power-host-meter")
SECONDS, QUICK_SECONDS = 10.0, 4.0
BOOT_S, SCENARIO_S = 120, 90  # that a boot and a scenario may take beside what it measures
# Of host-share where the model is linear in cycles: mean of the absolute errors. A short run is noisier.
BOUND, QUICK_BOUND = 0.02, 0.03


class AccuracyError(Exception):
    pass


def parse(argv):
    parser = argparse.ArgumentParser(prog="accuracy", description=__doc__)
    parser.add_argument("--scenario", action="append", metavar="NAME", help="only this; may be repeated")
    parser.add_argument("--list", action="store_true", help="names and what they are")
    parser.add_argument("--quick", action="store_true", help="a few scenarios, shorter, for a check of the whole")
    parser.add_argument("--seconds", type=float, help=f"length of a scenario ({SECONDS:g}; {QUICK_SECONDS:g} with --quick)")
    parser.add_argument("--json", metavar="FILE", help="the rows, for programs")
    parser.add_argument("--docs", action="store_true", help="write docs/accuracy.md anew; of a run of all scenarios")
    parser.add_argument("--results", metavar="DIR", help="keep there what was measured")
    parser.add_argument("--from", dest="measured", metavar="DIR", help="measure nothing; take what --results kept")
    parser.add_argument("--accel", choices=("tcg", "kvm", "auto"), default="tcg", help="of the nested guests (tcg)")
    parser.add_argument("--build", metavar="DIR", help="a build directory of this project, to be brought up to date")
    options = parser.parse_args(argv)
    if options.docs and (options.scenario or options.quick):
        parser.error("--docs is of all scenarios")
    return options


def build(directory):
    """The plugin, the client and the meter, up to date."""
    directory = os.path.abspath(directory or build_dir("power-host"))
    if not os.path.exists(f"{directory}/build.ninja"):
        _quietly(["meson", "setup", directory, TOP, *PLAIN])
    _quietly(["ninja", "-C", directory, *TARGETS])
    return directory


def _quietly(argv):
    done = subprocess.run(argv, cwd=TOP, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if done.returncode != 0:
        raise AccuracyError(f"{done.stdout[-4000:]}\n{argv[0]} failed (status {done.returncode}); the end of its output is above")


def measure(chosen, options, directory, results):
    """Leaves a directory for each scenario that could be measured."""
    status = 0
    for config in dict.fromkeys(scenario.config for scenario in chosen):
        names = [scenario.name for scenario in chosen if scenario.config == config]
        timeout = BOOT_S + round(len(names) * (options.seconds + SCENARIO_S))
        done = subprocess.run([f"{TOP}/tests/power-host/run", "--config", config, "--results", results,
                               "--timeout", str(timeout), "/usr/bin/python3", "-B", f"{HERE}/inside.py", "--build", directory,
                               "--seconds", str(options.seconds), "--accel", options.accel, *names], check=False)
        status = status or done.returncode
    return status


def collect(chosen, results, virt_power):
    found, failed = [], []
    version = subprocess.run([virt_power, "--version"], text=True, capture_output=True, check=True).stdout.split()[-1]
    for scenario in chosen:
        directory = f"{results}/{scenario.name}"
        if not os.path.exists(f"{directory}/about.json"):
            failed.append(f"{scenario.name}: was not measured")
            continue
        try:
            result = table.result_of(directory, scenario, virt_power)
        except table.TableError as error:
            failed.append(f"{scenario.name}: {error}")
            continue
        result.about["version"] = version
        found.append(result)
    return found, failed


def judge(results, bound):
    """What is wrong, one line each."""
    linear = [row for result in results for row in result.rows if row.formula == "host-share" and row.linear]
    mean = table.mean_error(linear)
    if mean is None:
        return ["host-share has no row in a scenario that is linear in cycles"]
    if mean > bound:
        return [f"host-share is off by {100 * mean:.2f} % on average where the model is linear in cycles; "
                f"{100 * bound:g} % are allowed"]
    return []


def main(argv=None):
    options = parse(argv)
    if options.list:
        for scenario in scenarios.SCENARIOS:
            print(f"{scenario.name:24}{scenario.config:16}{'linear' if scenario.linear else 'not linear':12}{scenario.text}")
        return 0
    try:
        chosen = scenarios.named(options.scenario) if options.scenario else list(scenarios.SCENARIOS)
    except KeyError as error:
        print(f"accuracy: {error.args[0]}", file=sys.stderr)
        return 2
    if options.quick and not options.scenario:
        chosen = [scenario for scenario in chosen if scenario.quick]
    if options.seconds is None:
        options.seconds = QUICK_SECONDS if options.quick else SECONDS
    return run(options, chosen)


def run(options, chosen):
    kept = options.measured or options.results
    results = os.path.abspath(kept) if kept else tempfile.mkdtemp(prefix="accuracy-")
    os.makedirs(results, exist_ok=True)
    try:
        directory = build(options.build)
        status = 0 if options.measured else measure(chosen, options, directory, results)
        found, failed = collect(chosen, results, f"{directory}/tools/virt-power/virt-power")
        if found:
            failed += judge(found, QUICK_BOUND if options.quick else BOUND)
            write(options, found)
    except AccuracyError as error:
        print(f"accuracy: {error}", file=sys.stderr)
        return 1
    finally:
        if not kept:
            shutil.rmtree(results, ignore_errors=True)
    for line in failed:
        print(f"accuracy: {line}", file=sys.stderr)
    return status or (1 if failed else 0)


def write(options, found):
    print(report.text(found))
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump([row.json() for result in found for row in result.rows], file, indent=1)
            file.write("\n")
    if options.docs:
        with open(f"{TOP}/docs/accuracy.md", "w", encoding="utf-8") as file:
            file.write(report.document(found))


if __name__ == "__main__":
    sys.exit(main())
