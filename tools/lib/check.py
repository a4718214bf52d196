# SPDX-License-Identifier: LGPL-2.1-or-later
"""The second half of tools/check, which installs what this needs and then runs it."""

import argparse
import os
import subprocess
import sys
import time

from lab import suites
from lab.daemon import Lab, LabError, SupervisorError
from lab.signals import Signalled, catch_signals


def run_suite(suite, context):
    """The suite's outcome; whatever goes wrong in it is one failure."""
    try:
        return suite.run(context)
    except suites.Failed as failed:
        return suites.Outcome(failed=failed.count, passed=failed.passed, text=str(failed))
    except (LabError, SupervisorError, OSError, subprocess.SubprocessError) as error:
        return suites.Outcome(failed=1, text=str(error))


def report(outcome, seconds):
    if outcome.failed:
        print("\n".join("    " + line for line in outcome.text.rstrip().splitlines()))
    for reason in outcome.skipped:
        print(f"    skipped: {reason}")
    for text in outcome.again:
        print("    passed at the second attempt only: " + text.replace("\n", "\n    "))
    if outcome.not_run:
        print(f"    skipped: {outcome.not_run}", flush=True)
        return
    word = "FAILED" if outcome.failed else "ok"
    print(f"    {word}: {outcome.passed} passed, {outcome.failed} failed in {seconds:.0f} s", flush=True)


def chosen(arguments):
    known = {suite.name: suite for suite in suites.ALL}
    for name in arguments.only:
        if name not in known:
            sys.exit(f"check: no suite '{name}'; there are: {' '.join(known)}")
    if arguments.only:
        return [suite for suite in suites.ALL if suite.name in arguments.only]
    return [suite for suite in suites.ALL if not (arguments.quick and suite.slow)]


def check(arguments):
    passed, failed, skipped, again, not_run = 0, 0, 0, 0, []
    with Lab("") as lab:
        context = suites.Context(lab, arguments.each_patch, arguments.all)
        for suite in chosen(arguments):
            print(f"== {suite.name}: {suite.title}", flush=True)
            begun = time.monotonic()
            outcome = run_suite(suite, context)
            report(outcome, time.monotonic() - begun)
            passed += outcome.passed
            failed += outcome.failed
            skipped += len(outcome.skipped)
            again += len(outcome.again)
            if outcome.not_run:
                not_run.append(f"{suite.name} skipped: {outcome.not_run}")
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else "")
          + (f", {again} at the second attempt" if again else "")
          + "".join(f"; {text}" for text in not_run), flush=True)
    return 1 if failed or not passed else 0


def main():
    parser = argparse.ArgumentParser(prog="tools/check")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--each-patch", action="store_true")
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--only", action="append", default=[])
    arguments = parser.parse_args()
    if arguments.list:
        for suite in suites.ALL:
            print(f"{suite.name:14} {suite.title}{' (not with --quick)' if suite.slow else ''}")
        return 0
    catch_signals()
    try:
        return check(arguments)
    except Signalled as signalled:
        print(f"check: {signalled}", file=sys.stderr)
        return 128 + signalled.number


if __name__ == "__main__":
    os.umask(0o022)
    sys.exit(main())
