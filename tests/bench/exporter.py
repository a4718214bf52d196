# SPDX-License-Identifier: LGPL-2.1-or-later
"""Debian's prometheus-libvirt-exporter, scraping a private daemon.

It is taken out of its package and not installed, since that would start it for the host's own libvirt.
"""

import glob
import os
import re
import subprocess
import tempfile
import urllib.error
import urllib.request

from lab import build
from lab.daemon import client_env, free_port
from live import wait_for

PACKAGE = "prometheus-libvirt-exporter"
ANSWER_S = 120


class Missing(Exception):
    """It cannot be had here; says why."""


def program():
    """Installed, or unpacked in the cache, which is done once."""
    installed = f"/usr/bin/{PACKAGE}"
    if os.path.exists(installed):
        return installed
    directory = f"{build.cache_dir()}/{PACKAGE}"
    if not os.path.exists(directory + installed):
        _unpack(directory)
    return directory + installed


def _unpack(directory):
    with tempfile.TemporaryDirectory() as work:
        os.chmod(work, 0o755)  # apt downloads as a user of its own
        for argv in (["apt-get", "-q", "download", PACKAGE], ["dpkg-deb", "-x", f"{PACKAGE}.deb", directory]):
            if argv[0] == "dpkg-deb":
                os.rename(glob.glob(f"{work}/{PACKAGE}_*.deb")[0], f"{work}/{PACKAGE}.deb")
            result = subprocess.run(argv, cwd=work, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                    stderr=subprocess.STDOUT, check=False)
            if result.returncode != 0:
                raise Missing(f"{' '.join(argv[:3])}: {(result.stdout.strip().splitlines() or ['no reason given'])[-1]}")


class Exporter:
    def __init__(self, lab, daemon):
        self.lab = lab
        port = free_port()
        self.url = f"http://127.0.0.1:{port}/metrics"
        self.log = f"{daemon.dir}/exporter.log"
        self.pid = lab.supervisor.call("start", argv=[program(), f"--web.listen-address=127.0.0.1:{port}",
                                                      f"--libvirt.uri={daemon.uri}"],
                                       log=self.log, env=client_env())["pid"]
        wait_for(self._answers, 30, f"{PACKAGE} answers; its output: {self.log}")

    def end(self):
        self.lab.supervisor.call("signal", pid=self.pid, number=15)

    def _answers(self):
        try:
            return self.scrape() or True
        except (urllib.error.URLError, ConnectionError):
            return False

    def scrape(self):
        """The number of domains that it tells of."""
        with urllib.request.urlopen(self.url, timeout=ANSWER_S) as answer:
            text = answer.read().decode()
        return len(set(re.findall(r'^libvirt_domain_info_cpu_time_seconds_total\{.*?domain="([^"]+)"', text, re.M)))
