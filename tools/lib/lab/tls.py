# SPDX-License-Identifier: LGPL-2.1-or-later
"""Certificates for one run: an authority, a server and a client, made by certtool."""

import os
import subprocess

from lab.daemon import LabError, free_port

_TEMPLATES = {
    "ca": ("virt-power demo CA", "ca\ncert_signing_key\n"),
    "server": ("localhost", "dns_name = localhost\nip_address = {address}\ntls_www_server\nsigning_key\nencryption_key\n"),
    "client": ("virt-power", "tls_www_client\nsigning_key\nencryption_key\n"),
}


def _certtool(*arguments):
    result = subprocess.run(["certtool", *arguments], capture_output=True, text=True, check=False,
                            stdin=subprocess.DEVNULL)
    if result.returncode != 0:
        raise LabError(f"certtool {' '.join(arguments)}: {result.stderr.strip()}")


class Tls:
    def __init__(self, directory, address="127.0.0.1"):
        self.dir = directory
        self.address = address
        self.port = free_port()
        os.makedirs(directory, mode=0o700)
        for who in _TEMPLATES:
            self._make(who)
        os.rename(f"{directory}/cakey.pem", f"{directory}/ca-private.pem")

    def _make(self, who):
        name, usage = _TEMPLATES[who]
        template = f"{self.dir}/{who}.info"
        with open(template, "w", encoding="ascii") as file:
            file.write(f"cn = {name}\nexpiration_days = 2\n{usage.format(address=self.address)}")
        key, certificate = f"{self.dir}/{who}key.pem", f"{self.dir}/{who}cert.pem"
        _certtool("--generate-privkey", "--bits", "2048", "--outfile", key)
        if who == "ca":
            _certtool("--generate-self-signed", "--template", template, "--load-privkey", key, "--outfile",
                      f"{self.dir}/cacert.pem")
            return
        _certtool("--generate-certificate", "--template", template, "--load-privkey", key,
                  "--load-ca-certificate", f"{self.dir}/cacert.pem",
                  "--load-ca-privkey", f"{self.dir}/cakey.pem", "--outfile", certificate)

    def daemon_settings(self):
        return {
            "listen_tls": 1, "listen_tcp": 0, "listen_addr": self.address, "tls_port": str(self.port),
            "auth_tls": "none", "ca_file": f"{self.dir}/cacert.pem",
            "cert_file": f"{self.dir}/servercert.pem", "key_file": f"{self.dir}/serverkey.pem",
        }

    @property
    def uri(self):
        host = "localhost" if self.address == "127.0.0.1" else self.address
        return f"qemu+tls://{host}:{self.port}/system?pkipath={self.dir}"
