# SPDX-License-Identifier: LGPL-2.1-or-later
"""Medians, and how far they may be off, without assuming how the values are spread."""

import math
import statistics
from dataclasses import asdict, dataclass


@dataclass
class Estimate:
    """A median and the bounds between which it lies with a probability of 95 % or a little more."""

    median: float
    low: float
    high: float
    count: int

    def as_dict(self):
        return asdict(self)

    def scaled(self, factor):
        return Estimate(self.median * factor, self.low * factor, self.high * factor, self.count)


def rank_of_bound(count):
    """How many of count values may lie below the lower bound: each is below the median as a coin falls. None where
    even all of them are too few."""
    rank, below = None, 0.0
    for k in range(count):
        below += math.comb(count, k) / 2 ** count
        if below > 0.025:
            return rank
        rank = k
    return rank


def estimate(values):
    """With fewer than six values the bounds are the extremes."""
    ordered = sorted(values)
    rank = rank_of_bound(len(ordered)) or 0
    return Estimate(statistics.median(ordered), ordered[rank], ordered[-1 - rank], len(ordered))


def span(value, digits=2):
    """A median and its bounds, as text."""
    return f"{value['median']:.{digits}f} ({value['low']:.{digits}f} to {value['high']:.{digits}f})"


def differences(ones, others):
    """Of values that were measured by turns."""
    return [one - other for one, other in zip(ones, others, strict=True)]
