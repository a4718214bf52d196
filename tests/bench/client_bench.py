# SPDX-License-Identifier: LGPL-2.1-or-later
"""What virt-power costs: CPU time per domain and sample, and its peak of memory."""

import json
import subprocess

import live
from lab import meters
from lab.daemon import client_env

DELAY_S = 0.1
DOMAIN = """<domain type='test'><name>virtual-machine-{0}</name><uuid>6d1b0000-0000-4000-8000-{0:012d}</uuid>
<memory>16384</memory><os><type arch='x86_64'>hvm</type></os></domain>
"""


def run(uri, domains, samples, delay_s=DELAY_S):
    """CPU time in microseconds per domain and sample, after the first two; the peak of memory."""
    command = [live.virt_power_program(), "-c", uri, "--json", "--delay", str(delay_s), "--count", str(samples + 2)]
    process = subprocess.Popen(command, env=client_env(), stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
    begun = ended = peak = None
    for number, line in enumerate(process.stdout):
        if number in (1, samples):
            interval = json.loads(line)
            rows = sum(row["kind"] == "domain" for row in interval["rows"])
            if rows != domains or not any(zone["counted"] for zone in interval["zones"]):
                raise RuntimeError(f"virt-power shows {rows} of {domains} domains, zones {interval['zones']}")
        # The last line but one: the process is certainly still there.
        if number == 1:
            begun = meters.process_time_ns(process.pid)
        if number == samples:
            ended = meters.process_time_ns(process.pid)
            peak = meters.memory_kib(process.pid)["VmHWM"]
    if process.wait(60) != 0 or ended is None:
        raise RuntimeError(f"virt-power ended with status {process.returncode}")
    return {"domains": domains, "samples": samples - 1, "cpu_us": (ended - begun) / 1e3 / (samples - 1) / domains,
            "peak_kib": peak}


def write_made_up_host(path, domains):
    """For libvirt's test driver, which makes energy up, but sends it the same way."""
    with open(path, "w", encoding="ascii") as file:
        file.write("<node><cpu><mhz>2000</mhz><model>x86_64</model><active>4</active></cpu>\n")
        file.writelines(DOMAIN.format(number) for number in range(domains))
        file.write("</node>\n")


def run_made_up(lab, domains, samples, delay_s):
    """virt-power on so many domains of the test driver, in a daemon of their own."""
    daemon = live.new_daemon().start()
    path = f"{lab.dir}/many.xml"
    write_made_up_host(path, domains)
    try:
        return run(f"test+unix://{path}?socket={daemon.socket}", domains, samples, delay_s)
    finally:
        daemon.stop()
