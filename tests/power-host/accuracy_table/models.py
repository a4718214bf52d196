# SPDX-License-Identifier: LGPL-2.1-or-later
"""Machines whose energy goes with more than cycles, and the work by which each is calibrated.

The work is not that of any scenario: host processes that are pinned and change, beside one VM that touches memory. What
`virt-power calibrate --from` finds in a recording of it is what the plugin has in the scenarios of that machine.
"""

from dataclasses import dataclass, field

# A host process each, pinned: (CPU, duty cycle in percent). Two on a CPU add up.
LOADS = ((0, 30), (0, 65), (1, 30), (1, 65), (2, 30), (2, 65), (3, 30), (3, 65))
# Which of them run, step after step.
STEPS = ((), (0, 1, 4, 5), (0, 1, 2, 3, 4, 5, 6, 7), (1, 5), (0, 1, 2, 3, 4, 6), (2, 3, 7), (0, 4), (1, 2, 3, 5, 6, 7), (), (0, 1, 4, 5),
         (1, 3, 5, 7), (2, 6))
STEP_S = 4.4
SAMPLE_S = 1.1  # two of them are a window, whatever the timer makes of it
WINDOW_S = 2
VM_DUTY_PERCENT = 10
# kHz of all CPUs in each step, where frequency changes.
FREQUENCIES = (2_400_000, 1_440_000, 2_080_000, 800_000, 1_760_000, 2_400_000, 800_000, 2_080_000, 1_440_000, 2_400_000, 800_000,
               1_760_000)


@dataclass(frozen=True)
class Model:
    name: str
    text: str
    config: str = "one-package"
    parameters: dict = field(default_factory=dict)  # of the module
    weights: tuple = ()  # that a calibration must find
    frequency: bool = False  # it changes while calibrating


# Memory draws nothing when busy: it draws by time in the module, and is divided like its package.
NO_DRAM = {"dram_busy_cpu_uw": 0}

MODELS = {model.name: model for model in (
    Model("threads-60", "two hyperthreads of a core draw 60 % of two cores' power", "two-packages", {"smt_percent": 60, **NO_DRAM},
          ("shared",)),
    Model("threads-75", "two hyperthreads of a core draw 75 % of two cores' power", "two-packages", {"smt_percent": 75, **NO_DRAM},
          ("shared",)),
    Model("threads-alike", "a hyperthread draws what a core does", "two-packages", {"smt_percent": 100}, ("shared",)),
    Model("flat", "power is linear in cycles at any frequency", "one-package", NO_DRAM, frequency=True),
    Model("cubed", "power goes with the cube of frequency", "one-package", {"frequency_exponent_percent": 300, **NO_DRAM},
          ("cycle", "square"), frequency=True),
)}


def events(model):
    """As a scenario's, in seconds."""
    found = []
    for number, running in enumerate(STEPS):
        found.append((number * STEP_S, "run_only", (running,)))
        if model.frequency:
            found.append((number * STEP_S, "frequency", (FREQUENCIES[number], (0, 1, 2, 3))))
    return found
