#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Boots the simulated machine, once for each configuration that is needed, and makes the table of what came out."""

import argparse
import glob
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(os.path.dirname(HERE)))
sys.path.insert(0, f"{TOP}/tools/lib")

import models  # noqa: E402
import report  # noqa: E402
import scenarios  # noqa: E402
import table  # noqa: E402
from lab.build import PLAIN, build_dir  # noqa: E402
from lab.signals import Signalled, catch_signals, default_signals  # noqa: E402

TARGETS = ("src/plugin/host-power.so", "tools/virt-power/virt-power", "tests/power-host/meter/power-host-meter")
SECONDS, QUICK_SECONDS = 10.0, 4.0
BOOT_S, SCENARIO_S = 120, 90  # that a boot and a scenario may take beside what it measures
SECONDS_MOST = 3600.0
# Of host-share: the mean of the absolute errors over all VMs of a kind of scenario, and the largest where it is linear in cycles.
# A short run is noisier.
BOUNDS, QUICK_BOUNDS = (({"linear": 0.01, "shared": 0.02, "frequency": 0.02}, 0.03),
                        ({"linear": 0.03, "shared": 0.04, "frequency": 0.04}, 0.10))
# An error of so little energy, and of so small a part of the largest VM's, is none: a VM that halts draws next to nothing.
LEAST_UJ, LEAST_SHARE = 100_000, 0.005


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
    if options.seconds is not None and not 1 <= options.seconds <= SECONDS_MOST:
        parser.error(f"--seconds takes 1 to {SECONDS_MOST:g}")
    if options.measured and options.results:
        parser.error("--from measures nothing that --results could keep")
    if options.measured and not os.path.isdir(options.measured):
        parser.error(f"--from {options.measured}: there is no such directory")
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


def _run(argv):
    """The command's status. It is ended with us, and ends its machine itself."""
    with subprocess.Popen(argv, preexec_fn=default_signals) as process:
        try:
            return process.wait()
        except Signalled:
            process.send_signal(signal.SIGTERM)
            process.wait()
            raise


def measure(chosen, options, directory, results):
    """Leaves a directory for each scenario and calibration that could be measured, and nothing of an earlier run."""
    status = 0
    calibrated = is_calibrated(options)
    for scenario in chosen:
        shutil.rmtree(f"{results}/{scenario.name}", ignore_errors=True)
    for config in dict.fromkeys(scenario.config for scenario in chosen):
        names = [scenario.name for scenario in chosen if scenario.config == config]
        machines = {scenario.calibration for scenario in chosen if scenario.config == config and scenario.calibration}
        timeout = BOOT_S + round(len(names) * (options.seconds + SCENARIO_S))
        if calibrated:
            timeout += round(len(machines) * (len(models.STEPS) * models.STEP_S + SCENARIO_S))
        status = _run([f"{TOP}/tests/power-host/run", "--config", config, "--results", results, "--timeout", str(timeout),
                       "/usr/bin/python3", "-B", f"{HERE}/inside.py", "--build", directory, "--seconds", str(options.seconds),
                       "--accel", options.accel, *([] if calibrated else ["--no-calibration"]), *names]) or status
    return status


def is_calibrated(options):
    """A short check takes the plugin's default weights: each calibration takes as long as some scenarios."""
    return not options.quick or bool(options.scenario)


def measure_anew(found, options, directory, results, virt_power):
    """Those during which the machine outside stood still; of both, what was measured more quietly stays."""
    disturbed = {result.scenario.name: result for result in found if result.disturbance}
    if not disturbed:
        return found
    print(f"accuracy: measured anew, since the machine outside stood still meanwhile: {', '.join(disturbed)}", flush=True)
    with tempfile.TemporaryDirectory(prefix="accuracy-") as second:
        for calibration in glob.glob(f"{results}/calibration-*"):
            shutil.copytree(calibration, f"{second}/{os.path.basename(calibration)}")
        measure([result.scenario for result in disturbed.values()], options, directory, second)
        for result in collect([result.scenario for result in disturbed.values()], second, virt_power)[0]:
            name = result.scenario.name
            if result.disturbance < disturbed[name].disturbance:
                disturbed[name] = result
                shutil.rmtree(f"{results}/{name}")
                shutil.copytree(f"{second}/{name}", f"{results}/{name}")
    return [disturbed.get(result.scenario.name, result) for result in found]


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


def calibrations_in(results):
    found = (table.load_calibration(f"{results}/calibration-{model.name}", model) for model in models.MODELS.values())
    return [calibration for calibration in found if calibration]


def judge(results, mean_bounds, bound, against_peers=True):
    """What is wrong, one line each."""
    wrong = []
    for kind, mean_bound in mean_bounds.items():
        mean = table.mean_error(table.host_share(results, kind))
        if mean is not None and mean > mean_bound:
            wrong.append(f"host-share is off by {100 * mean:.2f} % on average in the scenarios of {kind}; "
                         f"{100 * mean_bound:g} % are allowed")
    for result in results:
        rows = table.host_share([result], "linear")
        least_uj = max([LEAST_UJ, *(LEAST_SHARE * row.true_uj for row in rows)])
        wrong += [f"{row.scenario}, {row.vm}: host-share gives {row.attributed_uj / 1e6:.3f} J of {row.true_uj / 1e6:.3f} J; "
                  f"{100 * bound:g} % are allowed" for row in rows
                  if abs(row.attributed_uj - row.true_uj) > max(bound * row.true_uj, least_uj)]
    means = table.means_by_formula(results)
    if means.get("host-share") is None:
        return [*wrong, "host-share has no row"]
    peers = {formula: mean for formula, mean in means.items() if formula not in table.OURS and mean is not None}
    best = min(peers, key=peers.get, default=None)
    if against_peers and best is not None and means["host-share"] >= peers[best]:
        wrong.append(f"host-share is off by {100 * means['host-share']:.2f} % on average over all scenarios, and {best} by "
                     f"{100 * peers[best]:.2f} %")
    return wrong


def main(argv=None):
    options = parse(argv)
    if options.list:
        for scenario in scenarios.SCENARIOS:
            print(f"{scenario.name:24}{scenario.config:16}{scenario.kind:12}{scenario.text}")
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


def open_json(path):
    """Before anything is measured for it; emptied when there is something to write."""
    try:
        return open(path, "a", encoding="utf-8") if path else None
    except OSError as error:
        raise AccuracyError(f"cannot write {path}: {error.strerror}") from error


def run(options, chosen):
    kept = options.measured or options.results
    results = os.path.abspath(kept) if kept else tempfile.mkdtemp(prefix="accuracy-")
    try:
        out = open_json(options.json)
        os.makedirs(results, exist_ok=True)
        if not options.measured:
            for name in {scenario.calibration for scenario in chosen if scenario.calibration}:
                shutil.rmtree(f"{results}/calibration-{name}", ignore_errors=True)
        directory = build(options.build)
        virt_power = f"{directory}/tools/virt-power/virt-power"
        status = 0 if options.measured else measure(chosen, options, directory, results)
        found, failed = collect(chosen, results, virt_power)
        if not options.measured:
            found = measure_anew(found, options, directory, results, virt_power)
        wrong = judge(found, *(QUICK_BOUNDS if options.quick else BOUNDS), against_peers=not options.scenario) if found else []
        for line in failed + wrong:
            print(f"accuracy: {line}", file=sys.stderr)
        if found:
            print(report.text(found), flush=True)
            write(options, found, calibrations_in(results), out, complete=not failed and status == 0)
        return status or (1 if failed or wrong else 0)
    except (AccuracyError, OSError) as error:
        print(f"accuracy: {error}", file=sys.stderr)
        return 1
    finally:
        if not kept:
            shutil.rmtree(results, ignore_errors=True)


def write(options, found, calibrations, out, complete):
    if options.docs:
        if not complete:
            raise AccuracyError("not all scenarios were measured: docs/accuracy.md stays as it was")
        with open(f"{TOP}/docs/accuracy.md", "w", encoding="utf-8") as file:
            file.write(report.document(found, calibrations))
    if out:
        with out:
            if os.path.isfile(options.json):
                out.truncate(0)
            json.dump([row.json() for result in found for row in (*result.rows, *result.variants, *result.helpers)], out, indent=1)
            out.write("\n")


if __name__ == "__main__":
    catch_signals()
    try:
        sys.exit(main())
    except Signalled as signalled:
        sys.exit(128 + signalled.number)
