# SPDX-License-Identifier: LGPL-2.1-or-later
"""Recordings with other weights, or none, as docs/recording.md has them: what the same counters would have given."""

import json

DEFAULT_SHARED_PERMILLE = 550  # src/util/weighing.hpp
_WEIGHTS = ("weighing", "package_weight", "departed_total_weight", "use_weight", "departed_weight")
_HELPERS = ("use_helper", "departed_helper")


class WeightError(Exception):
    pass


def without_weights(lines):
    """Divided by cycles as they are."""
    for line in lines:
        yield {key: value for key, value in line.items() if key not in _WEIGHTS + _HELPERS}


def _reweigh(cycles, weight, weighing, shared_permille):
    """A weight is cycles - (1 - s) x shared cycles, so these are known, and what another s makes of them."""
    if cycles is None or weight is None:
        return None
    return round(cycles - (1000 - shared_permille) * (cycles - weight) / (1000 - weighing[0]))


def reweighed(lines, shared_permille):
    """With another weight of shared cores. WeightError where the recording's own does not tell it."""
    weighing = None
    for line in lines:
        line = {key: value for key, value in line.items() if key not in _HELPERS}
        if "weighing" in line:
            weighing = line["weighing"]
            line["weighing"] = weighing and [shared_permille, 1000, 0, False]
        if weighing and (weighing[0] == 1000 or weighing[1:3] != [1000, 0]):
            raise WeightError(f"weights of {weighing[:3]} thousandths do not tell the cycles on shared cores")

        def anew(cycles, weights):
            return [_reweigh(*pair, weighing, shared_permille) for pair in zip(cycles, weights)]
        if "package_weight" in line:
            use = line["package_use"]
            line["package_weight"] = [anew((package[1], package[3]), weights) for package, weights in zip(use, line["package_weight"])]
        if "departed_total_weight" in line:
            line["departed_total_weight"] = anew(line["departed_total"][1::2], line["departed_total_weight"])
        for use, weights in (("use", "use_weight"), ("departed_use", "departed_weight")):
            if weights in line:
                line[weights] = [anew(own[1::2], own_weights) for own, own_weights in zip(line[use], line[weights])]
        yield line


def rewrite(source, target, change):
    """change: of the lines, as objects."""
    with open(source, encoding="utf-8") as old, open(target, "w", encoding="utf-8") as new:
        for line in change(map(json.loads, old)):
            new.write(json.dumps(line, separators=(",", ":")) + "\n")
