# SPDX-License-Identifier: LGPL-2.1-or-later
"""Each parser with inputs that libFuzzer makes up, with the address and undefined behaviour sanitizers."""

import os
import re

from common import check
from lab import suites

RUNS = 100_000
LEAST = 10_000  # whatever the scale


def run(context):
    runs = max(LEAST, context.scaled(RUNS))
    directory = context.fuzzing()
    found = {}
    for target in suites.FUZZ_TARGETS:
        name = os.path.basename(target)
        work = f"{context.lab.dir}/{name}"
        os.makedirs(work, exist_ok=True)
        _, text = suites.Context(context.lab).step(
            name, [f"{directory}/{target}", f"-runs={runs}", "-timeout=5", "-rss_limit_mb=1024", "-print_final_stats=1",
                   f"-artifact_prefix={work}/", work])
        executed = re.search(r"stat::number_of_executed_units:\s*(\d+)", text)
        check.assertIsNotNone(executed, text[-2000:])
        found[name] = int(executed[1])
        check.assertGreaterEqual(found[name], LEAST, name)
    return found
