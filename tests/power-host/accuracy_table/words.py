# SPDX-License-Identifier: LGPL-2.1-or-later
"""How figures are written."""

import table


def percent(share):
    return "-" if share is None else f"{100 * share:+.1f} %".replace("-", "−")


def mean_percent(rows):
    mean = table.mean_error(rows)
    return "-" if mean is None else f"{100 * mean:.1f} %"


def mean_and_largest(rows):
    largest = table.worst(rows)
    return "-" if largest is None else f"{mean_percent(rows)} ({percent(largest.error)})"
