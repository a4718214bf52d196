# SPDX-License-Identifier: LGPL-2.1-or-later
"""A host and one who is elsewhere: two network namespaces with a cable between them."""

import os
import subprocess
import time

from lab.daemon import LabError, client_env

HOST_ADDRESS, CLIENT_ADDRESS = "192.0.2.1", "192.0.2.2"  # RFC 5737: nobody's
OWN = "/proc/self/ns/net"
READY_S = 10


class TwoHosts:
    """They live as long as the run, or until close()."""

    def __init__(self, lab, host=None):
        """host: a namespace's file; without it one is made"""
        self.lab = lab
        self.pids = []
        self.host = host or self._new()
        self.client = self._new()
        ip = self._ip
        ip(self.host, "link", "add", "cable0", "type", "veth", "peer", "name", "cable1", "netns", str(self.pids[-1]))
        for network, device, address in ((self.host, "cable0", HOST_ADDRESS), (self.client, "cable1", CLIENT_ADDRESS)):
            ip(network, "address", "add", f"{address}/30", "dev", device)
            ip(network, "link", "set", device, "up")
            ip(network, "link", "set", "lo", "up")

    def _new(self):
        pid = self.lab.supervisor.call("start", argv=["unshare", "--net", "sleep", "infinity"])["pid"]
        self.pids.append(pid)
        network = f"/proc/{pid}/ns/net"
        deadline = time.monotonic() + READY_S * self.lab.patience
        while os.readlink(network) == os.readlink(OWN):
            if time.monotonic() > deadline:
                raise LabError("there is no network namespace to be had: unshare --net failed")
            time.sleep(0.01)
        return network

    @staticmethod
    def _run(network, *command, **keywords):
        return subprocess.run(["nsenter", f"--net={network}", "--", *command], capture_output=True, text=True, check=False,
                              stdin=subprocess.DEVNULL, **keywords)

    def elsewhere(self, *command):
        """Runs a client where the host is not."""
        return self._run(self.client, *command, env=client_env(), timeout=60 * self.lab.patience)

    def _ip(self, network, *arguments):
        result = self._run(network, "ip", *arguments)
        if result.returncode != 0:
            raise LabError(f"ip {' '.join(arguments)}: {result.stderr.strip()}")

    def close(self):
        """With the client's namespace the cable goes."""
        for pid in self.pids:
            self.lab.supervisor.call("signal", pid=pid, number=15)
