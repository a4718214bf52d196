# SPDX-License-Identifier: LGPL-2.1-or-later
"""The second half of tests/faults/run, which installs what this needs and then runs it."""

import argparse
import importlib
import json
import os
import subprocess
import sys
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
TESTS = os.path.dirname(HERE)
sys.path[:0] = [HERE, f"{TESTS}/live", f"{os.path.dirname(TESTS)}/tools/lib"]

import live  # noqa: E402
from lab import build, suites  # noqa: E402
from lab.daemon import Lab, LabError, SupervisorError, kvm_works  # noqa: E402
from lab.guest import HALT, Guest  # noqa: E402
from lab.signals import Signalled, catch_signals  # noqa: E402

FAULTS = {
    "churn": "guests come and go while virt-power samples",
    "kill": "the daemon is killed at random moments",
    "stop": "the daemon stands still, and goes on",
    "die": "guests die or hang while they are sampled",
    "fuzz": "each parser with inputs made to break it",
}


class Context:
    def __init__(self, lab, scale):
        self.lab, self.scale = lab, scale
        self.kvm = None

    def scaled(self, number):
        return max(1, round(number * self.scale))

    def fuzzing(self):
        return suites.Context(self.lab).fuzzing

    def build(self):
        self.lab.prefix = build.build_libvirt(self.lab.supervisor, self.lab.dir)
        live.configure(self.lab, build.build_project(self.lab.supervisor, self.lab.dir, "plain", build.PLAIN,
                                                     targets=["all", "tests/faults/plugin-growth"]))
        daemon = live.new_daemon().start()
        self.kvm = kvm_works(self.lab, daemon, Guest(self.lab.name("kvm"), HALT))
        daemon.stop()


def run_fault(name, context, word):
    """Its numbers, or None if it failed; word says so then."""
    begun = time.monotonic()
    try:
        numbers = importlib.import_module(name).run(context)
    except (AssertionError, LabError, SupervisorError, OSError, RuntimeError, subprocess.SubprocessError, suites.Failed):
        print(f"{word} {name}\n    " + traceback.format_exc().rstrip().replace("\n", "\n    "), flush=True)
        return None
    numbers["seconds"] = round(time.monotonic() - begun)
    print(f"ok {name}: " + ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in numbers.items()), flush=True)
    return numbers


def scale(text):
    value = float(text)
    if not 0 < value <= 1000:  # what is no number is neither
        raise argparse.ArgumentTypeError(f"it must be above 0, and 1000 at most, not '{text}'")
    return value


def parse():
    parser = argparse.ArgumentParser(prog="tests/faults/run")
    parser.add_argument("--only", action="append", choices=list(FAULTS))
    parser.add_argument("--scale", type=scale, default=1.0)
    parser.add_argument("--json", metavar="FILE")
    return parser.parse_args()


def main():
    arguments = parse()
    catch_signals()
    try:
        out = open(arguments.json, "w", encoding="utf-8") if arguments.json else None
        with Lab("") as lab:
            context = Context(lab, arguments.scale)
            names = arguments.only or list(FAULTS)
            if names != ["fuzz"]:
                context.build()
            # A machine that is not alone on its host can stand still for seconds, so there is a second attempt; both are told.
            found = {name: run_fault(name, context, "again") or run_fault(name, context, "not ok") for name in names}
        if out:
            with out:
                json.dump(found, out, indent=1)
    except Signalled as signalled:
        return 128 + signalled.number
    except (LabError, SupervisorError, OSError, subprocess.SubprocessError) as error:
        print(f"faults: {error}", file=sys.stderr)
        return 1
    return 1 if None in found.values() else 0


if __name__ == "__main__":
    os.umask(0o022)
    sys.exit(main())
