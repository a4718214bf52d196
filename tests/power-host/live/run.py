# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs inside a power host: the plugin, the patched daemon and virt-power against the kernel's own interfaces.

    tests/power-host/run [--config NAME | --all] python3 -B tests/power-host/live/run.py --build DIR [--prefix DIR]

One line for each test, as tools/lib/lab/report.py says.
"""

import argparse
import contextlib
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
POWER_HOST = os.path.dirname(HERE)
TESTS = os.path.dirname(POWER_HOST)
sys.path[:0] = [HERE, f"{POWER_HOST}/host", f"{POWER_HOST}/selftest", f"{TESTS}/live", f"{os.path.dirname(TESTS)}/tools/lib"]

from lab import report  # noqa: E402
from lab.daemon import Lab  # noqa: E402
from lab.signals import Signalled, catch_signals  # noqa: E402

OF_THE_DAEMON = ("test_5_chain.", "test_5_load.")
NO_WAY_BACK = "test_9_lockdown."
QUICK = ("test_1_zones.", "test_2_usage.Usage.", "test_4_unprivileged.", "test_5_chain.",
         *(f"test_6_knobs.{name}" for name in ("Absent.", "GetCpus.test_f", "GetZones.test_a", "Locked.", "Logged.",
                                               "SetFrequency.test_a_limit", "SetGovernor.test_of_", "SetLimit.test_power")),
         *(f"test_6_knobs_kept.{name}.test_what_stood" for name in ("RestoreCpus", "RestoreLimits")))
PATIENCE = 5  # an emulated machine is so much slower


def main():
    parser = argparse.ArgumentParser(prog="power-host/live/run.py")
    parser.add_argument("--build", required=True, help="this project's build directory")
    parser.add_argument("--prefix", default="", help="of a patched libvirt; without it, those tests alone that need no daemon")
    parser.add_argument("--only", default="", metavar="TEXT", help="tests with this in their name")
    parser.add_argument("--quick", action="store_true", help="without faults, CPUs that go and come, and load")
    parser.add_argument("--verbose", action="store_true", help="how long each took")
    arguments = parser.parse_args()
    if "POWER_HOST_CONFIG" not in os.environ:
        parser.error("runs inside a power host: tests/power-host/run python3 -B tests/power-host/live/run.py --build DIR")
    import live
    from host import Run

    def wanted(name):
        return (arguments.only in name and (arguments.prefix or not name.startswith(OF_THE_DAEMON)) and
                (arguments.only.startswith("lockdown") or not name.startswith(NO_WAY_BACK)) and
                (not arguments.quick or name.startswith(QUICK)))

    @contextlib.contextmanager
    def a_lab():
        with Lab(arguments.prefix) as lab:
            lab.patience = PATIENCE
            live.configure(lab, arguments.build)
            Run.build, Run.prefix, Run.lab = arguments.build, arguments.prefix, lab
            yield

    catch_signals()
    try:
        return report.run(report.in_directory(HERE), wanted, arguments.verbose, a_lab)
    except Signalled as signalled:
        return 128 + signalled.number


if __name__ == "__main__":
    os.umask(0o022)
    sys.exit(main())
