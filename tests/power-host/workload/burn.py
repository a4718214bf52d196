#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A host process beside the guests: busy on one CPU for a share of the time."""

import argparse
import time

PERIOD_S = 0.2


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--duty", type=float, default=100, metavar="PERCENT")
    share = parser.parse_args().duty / 100
    begin = time.monotonic()
    while True:
        while time.monotonic() < begin + PERIOD_S * share:
            for _ in range(1000):
                pass
        begin += PERIOD_S
        time.sleep(max(0.0, begin - time.monotonic()))


if __name__ == "__main__":
    main()
