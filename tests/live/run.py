# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs the live tests: a real daemon, real guests, one after the other.

One line for each test, as lab/report.py says.
"""

import argparse
import contextlib
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(os.path.dirname(HERE)), "tools", "lib")]

import live  # noqa: E402
from lab import report  # noqa: E402
from lab.daemon import Lab  # noqa: E402
from lab.signals import Signalled, catch_signals  # noqa: E402


@contextlib.contextmanager
def a_lab(prefix, build):
    """What the tests find in live.Run."""
    with Lab(prefix) as lab:
        live.configure(lab, build)
        yield


def main():
    parser = argparse.ArgumentParser(prog="tests/live/run.py")
    parser.add_argument("--prefix", required=True, help="of the patched libvirt")
    parser.add_argument("--build", required=True, help="this project's build directory")
    parser.add_argument("--only", default="", metavar="TEXT", help="tests with this in their name")
    parser.add_argument("--verbose", action="store_true", help="how long each took")
    arguments = parser.parse_args()
    catch_signals()
    try:
        return report.run(report.in_directory(HERE), lambda name: arguments.only in name, arguments.verbose,
                          lambda: a_lab(arguments.prefix, arguments.build))
    except Signalled as signalled:
        return 128 + signalled.number


if __name__ == "__main__":
    os.umask(0o022)
    sys.exit(main())
