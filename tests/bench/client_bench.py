# SPDX-License-Identifier: LGPL-2.1-or-later
"""What virt-power costs: CPU time per domain and sample, and its peak of memory."""

import json
import subprocess
import time

import live
from lab import meters
from lab.daemon import client_env
from series import estimate

DELAY_S = 0.1
DOMAIN = """<domain type='test'><name>virtual-machine-{0}</name><uuid>6d1b0000-0000-4000-8000-{0:012d}</uuid>
<memory>16384</memory><os><type arch='x86_64'>hvm</type></os></domain>
"""


class Costs:
    """CPU time of virt-power and of the daemon that it asks, at the intervals that it shows."""

    def __init__(self, client, daemon):
        self.client, self.daemon = client, daemon
        self.at_ns, self.client_ns, self.daemon_ns = [], [], []

    def note(self):
        self.at_ns.append(time.monotonic_ns())
        self.client_ns.append(meters.process_time_ns(self.client))
        self.daemon_ns.append(meters.process_time_ns(self.daemon.pid) if self.daemon else 0)

    def results(self):
        """In percent of one core: of each interval, and of each process over all of them."""
        def grown(values):
            return [b - a for a, b in zip(values, values[1:])]
        both = [a + b for a, b in zip(grown(self.client_ns), grown(self.daemon_ns))]
        took_ns = self.at_ns[-1] - self.at_ns[0]
        return {"wall_s": took_ns / 1e9,
                "percent": estimate([100 * cpu / wall for cpu, wall in zip(both, grown(self.at_ns))]).as_dict(),
                "client_percent": 100 * (self.client_ns[-1] - self.client_ns[0]) / took_ns,
                "daemon_percent": 100 * (self.daemon_ns[-1] - self.daemon_ns[0]) / took_ns}


def run(uri, domains, samples, delay_s=DELAY_S, daemon=None):
    """CPU time in microseconds per domain and sample, after the first two; the peak of memory. With a daemon also both in
    percent of one core."""
    command = [live.virt_power_program(), "-c", uri, "--json", "--delay", str(delay_s), "--count", str(samples + 2)]
    process = subprocess.Popen(command, env=client_env(), stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
    costs = Costs(process.pid, daemon)
    peak = None
    for number, line in enumerate(process.stdout):
        if number in (1, samples):
            interval = json.loads(line)
            rows = sum(row["kind"] == "domain" for row in interval["rows"])
            if rows != domains or not any(zone["counted"] for zone in interval["zones"]):
                raise RuntimeError(f"virt-power shows {rows} of {domains} domains, zones {interval['zones']}")
        # Up to the last line but one: the process is certainly still there.
        if 1 <= number <= samples:
            costs.note()
        if number == samples:
            peak = meters.memory_kib(process.pid)["VmHWM"]
    if process.wait(60) != 0 or peak is None:
        raise RuntimeError(f"virt-power ended with status {process.returncode}")
    cpu_ns = costs.client_ns[-1] - costs.client_ns[0]
    return {"domains": domains, "samples": samples - 1, "cpu_us": cpu_ns / 1e3 / (samples - 1) / domains, "peak_kib": peak,
            **(costs.results() if daemon else {})}


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
