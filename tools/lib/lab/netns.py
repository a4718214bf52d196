# SPDX-License-Identifier: LGPL-2.1-or-later
"""Two network namespaces with a cable between them: a host and one who is elsewhere."""

import os
import subprocess
import time

from lab.daemon import LabError

HOST_ADDRESS, CLIENT_ADDRESS = "192.0.2.1", "192.0.2.2"  # RFC 5737: nobody's
READY_S = 10


class TwoHosts:
    """They live as long as the run, or until close()."""

    def __init__(self, lab):
        self.lab = lab
        self.pids = [lab.supervisor.call("start", argv=["unshare", "--net", "sleep", "infinity"])["pid"] for _ in range(2)]
        self.host, self.client = (f"/proc/{pid}/ns/net" for pid in self.pids)
        for network in (self.host, self.client):
            self._wait_until_apart(network)
        self._ip(self.host, "link", "add", "cable0", "type", "veth", "peer", "name", "cable1", "netns", str(self.pids[1]))
        for network, device, address in ((self.host, "cable0", HOST_ADDRESS), (self.client, "cable1", CLIENT_ADDRESS)):
            self._ip(network, "address", "add", f"{address}/30", "dev", device)
            self._ip(network, "link", "set", device, "up")
            self._ip(network, "link", "set", "lo", "up")

    def _wait_until_apart(self, network):
        deadline = time.monotonic() + READY_S * self.lab.patience
        while os.readlink(network) == os.readlink("/proc/self/ns/net"):
            if time.monotonic() > deadline:
                raise LabError("there is no network namespace to be had: unshare --net failed")
            time.sleep(0.01)

    @staticmethod
    def _ip(network, *arguments):
        result = subprocess.run(["nsenter", f"--net={network}", "--", "ip", *arguments], capture_output=True, text=True,
                                check=False, stdin=subprocess.DEVNULL)
        if result.returncode != 0:
            raise LabError(f"ip {' '.join(arguments)}: {result.stderr.strip()}")

    def close(self):
        for pid in self.pids:
            self.lab.supervisor.call("signal", pid=pid, number=15)
