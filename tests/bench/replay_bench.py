# SPDX-License-Identifier: LGPL-2.1-or-later
"""What virt-power replay takes for a long recording, beside plain reading of the file. The recording is synthetic; its
samples are what a host with so many domains would give in so many days."""

import os
import subprocess
import tempfile
import time

import live
from lab import meters

SECONDS = 60  # between samples


def peak_kib(pid):
    """So far; None once it has ended. Not what wait4() tells: that counts this process in, from which it was started."""
    try:
        return meters.memory_kib(pid).get("VmHWM")
    except ProcessLookupError:
        return None


def measure(*argv):
    """{seconds of CPU time, peak of resident memory where it ran for long enough to see one}"""
    peak = None
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL) as process:
        while os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            peak = peak_kib(process.pid) or peak
            time.sleep(0.01)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError(f"{argv[0]} ended with status {process.returncode}")
    return {"cpu_s": usage.ru_utime + usage.ru_stime, **({"peak_kib": peak} if peak else {})}


def run(lab, programs, domains, samples):
    with tempfile.TemporaryDirectory(dir=lab.dir) as directory:
        path = f"{directory}/recording"
        measure(f"{programs}/make-recording", path, str(domains), str(samples), str(SECONDS), "1")
        measure("cat", path)  # the first reading may come from the disk
        return {"recorded_domains": domains, "samples": samples, "bytes": os.path.getsize(path),
                "cat_cpu_s": measure("cat", path)["cpu_s"],
                "replay": measure(live.virt_power_program(), "replay", path, "--json")}
