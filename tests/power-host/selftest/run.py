# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs inside a power host: does it give what it promises?

    tests/power-host/run [--config NAME | --all] python3 -B tests/power-host/selftest/run.py

One line for each test, as tools/lib/lab/report.py says.
"""

import argparse
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
POWER_HOST = os.path.dirname(HERE)
sys.path[:0] = [HERE, f"{POWER_HOST}/host", f"{os.path.dirname(os.path.dirname(POWER_HOST))}/tools/lib"]

from lab import report  # noqa: E402
from lab.signals import Signalled, catch_signals  # noqa: E402

QUICK = ("test_machine.", "test_module_truth.")


def main():
    parser = argparse.ArgumentParser(prog="selftest/run.py")
    parser.add_argument("--only", default="", metavar="TEXT", help="tests with this in their name")
    parser.add_argument("--quick", action="store_true", help="the machine, and the truth that others are held against")
    parser.add_argument("--verbose", action="store_true", help="how long each took")
    arguments = parser.parse_args()
    if "POWER_HOST_CONFIG" not in os.environ:
        parser.error("runs inside a power host: tests/power-host/run python3 -B tests/power-host/selftest/run.py")

    def wanted(name):
        return arguments.only in name and (not arguments.quick or name.startswith(QUICK))

    catch_signals()
    try:
        return report.run(report.in_directory(HERE), wanted, arguments.verbose)
    except Signalled as signalled:
        return 128 + signalled.number


if __name__ == "__main__":
    sys.exit(main())
