# SPDX-License-Identifier: LGPL-2.1-or-later
"""A libvirt daemon of a run's own: own sockets, own state, own directory.

The prefix has etc and var baked in and is shared and cached, so the daemon
runs in a mount namespace where the run's own directories stand in their place.
"""

import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import time
import uuid

from lab.supervisor import Handle, SupervisorError

SOCKET_PATH_MAX = 107
BPF_FS = "/sys/fs/bpf"
READY_S = 60
VIRSH_S = 60


class LabError(RuntimeError):
    pass


def client_env(**extra):
    """An environment from which no client takes a URI or a setting of the user's."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("LIBVIRT_", "VIRSH_", "LD_"))}
    return {**env, **extra}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Lab:
    """A run: its directory, its supervisor, its daemons. A context manager."""

    def __init__(self, prefix):
        self.prefix = prefix
        self.dir = f"{self._base()}/vp.{secrets.token_hex(4)}"
        self.supervisor = Handle(self.dir)  # makes the directory, since it removes it
        os.mkdir(f"{self.dir}/img")
        self.detached = False
        self.patience = 1  # by which all times to wait are multiplied
        # Cgroup names are shared by all daemons of a machine.
        self.tag = f"v{os.getpid() % 100000}"

    @staticmethod
    def _base():
        """TMPDIR, where sockets and libvirt's settings can stand in it."""
        base = os.environ.get("TMPDIR") or "/tmp"
        if len(base) > 40 or not re.fullmatch("[A-Za-z0-9/._+-]+", base):
            return "/tmp"
        if not os.path.isdir(base):
            raise LabError(f"TMPDIR={base}: there is no such directory; make it, or unset TMPDIR")
        return base

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def detach(self):
        """All of it outlives this process; returns the pid whose end, by SIGTERM, ends it."""
        self.detached = True
        return self.supervisor.call("detach")["pid"]

    def close(self):
        if self.detached:
            return
        self.supervisor.close()
        shutil.rmtree(self.dir, ignore_errors=True)

    def name(self, short):
        """A guest's name that no other daemon's guest has."""
        return f"{self.tag}-{short}"


class Daemon:
    """One daemon; may be killed and started again under its guests."""

    def __init__(self, lab, program="libvirtd", plugin_dir=None, settings=None, qemu_settings=None,
                 label="d", tls=None, network=None, binds=(), wrapper=()):
        self.lab = lab
        self.program = program
        self.plugin_dir = plugin_dir
        self.tls = tls
        self.binds = list(binds)  # [source, target] that it finds besides
        self.wrapper = list(wrapper)  # a command that runs it
        self.network = network  # a namespace's file; the run's own without
        self.pid = None
        self.dir = f"{lab.dir}/{label}"
        self.conf = f"{self.dir}/etc/libvirt"
        os.makedirs(self.conf)
        os.makedirs(f"{self.dir}/var")
        self.log_path = f"{self.dir}/{program}.log"
        stem = "libvirt" if program == "libvirtd" else program
        self.socket = f"{self.dir}/{stem}-sock"
        self.env = client_env()
        if plugin_dir:
            self.env["LIBVIRT_HOST_POWER_DIR"] = plugin_dir
        self._write_daemon_conf(settings or {})
        self._write("qemu.conf", {"stdio_handler": "file", "security_driver": "none", "namespaces": [],
                                  **(qemu_settings or {})})
        self._check_paths()
        self.bpf_fs = None
        self.bpf_fs = self._own_bpf_fs()

    def _own_bpf_fs(self):
        """Where the machine has one, this daemon finds an empty one in its place: nothing is left behind on the machine."""
        if not os.path.isdir(BPF_FS):
            return None
        path = f"{self.dir}/bpf"
        try:
            self.lab.supervisor.call("bpf_fs", path=path)
        except SupervisorError:
            self.write_power_conf({})
            return None
        return path

    def _check_paths(self):
        """Else a guest fails to start with a message that helps nobody."""
        monitor = f"{self.lab.prefix}/var/lib/libvirt/qemu/domain-99-{self.lab.name('abcdef')}/monitor.sock"
        for path in (monitor, self.socket + "-ro"):
            if len(path) > SOCKET_PATH_MAX:
                raise LabError(f"{path}: longer than the {SOCKET_PATH_MAX} bytes that a socket may have; "
                               "use a cache directory with a shorter name (XDG_CACHE_HOME)")

    def _write_daemon_conf(self, settings):
        values = {
            "unix_sock_dir": self.dir,
            # With polkit libvirt's own default is 0777, and this daemon runs guests as root.
            "unix_sock_rw_perms": "0700",
            "unix_sock_ro_perms": "0777",
            "auth_unix_ro": "none",
            "auth_unix_rw": "none",
            "host_uuid": str(uuid.uuid4()),
            "log_outputs": f"3:file:{self.log_path}",
            "keepalive_interval": -1,
        }
        if self.tls:
            values.update(self.tls.daemon_settings())
        values.update(settings)
        self._write(f"{self.program}.conf", values)

    def _write(self, name, values):
        def form(value):
            if isinstance(value, (list, tuple)):
                return "[" + ", ".join(form(v) for v in value) + "]"
            return json.dumps(value)
        with open(f"{self.conf}/{name}", "w", encoding="utf-8") as file:
            file.writelines(f"{key} = {form(value)}\n" for key, value in values.items())

    def write_power_conf(self, groups):
        """host-power.conf from {group: {key: value}}; takes effect at the next start."""
        if not self.bpf_fs:
            groups = {**groups, "usage": {"pin": "false", **groups.get("usage", {})}}
        with open(f"{self.conf}/host-power.conf", "w", encoding="utf-8") as file:
            for group, keys in groups.items():
                file.write(f"[{group}]\n")
                file.writelines(f"{key}={value}\n" for key, value in keys.items())

    @property
    def uri(self):
        return f"qemu:///system?socket={self.socket}"

    @property
    def uri_read_only(self):
        return f"qemu:///system?socket={self.socket}-ro"

    def start(self):
        argv = [f"{self.lab.prefix}/sbin/{self.program}", "--config", f"{self.conf}/{self.program}.conf",
                "--pid-file", f"{self.dir}/daemon.pid"]
        if self.tls:
            argv.append("--listen")
        if self.network:
            argv = ["nsenter", f"--net={self.network}", "--", *argv]
        binds = [(f"{self.dir}/{name}", f"{self.lab.prefix}/{name}") for name in ("etc", "var")]
        if self.bpf_fs:
            binds.append((self.bpf_fs, BPF_FS))
        binds += self.binds
        argv = [*self.wrapper, *argv]
        self.pid = self.lab.supervisor.call("start", argv=argv, env=self.env, binds=binds,
                                            log=f"{self.dir}/output")["pid"]
        self._wait_ready()
        return self

    def _wait_ready(self):
        ready_s = READY_S * self.lab.patience
        deadline = time.monotonic() + ready_s
        while True:
            answer = self.virsh("uri", check=False)
            if answer.returncode == 0:
                return
            status = self.lab.supervisor.call("status", pid=self.pid)["status"]
            if status is not None:
                raise LabError(f"{self.program} ended with status {status}\n{self.logs()}")
            if time.monotonic() > deadline:
                raise LabError(f"{self.program} did not answer within {ready_s} s\n{self.logs()}")
            time.sleep(0.05)

    def logs(self):
        text = ""
        for path in (f"{self.dir}/output", self.log_path):
            try:
                with open(path, encoding="utf-8", errors="replace") as file:
                    text += file.read()
            except OSError:
                pass
        return text

    def send(self, number):
        self.lab.supervisor.call("signal", pid=self.pid, number=number)

    def stop(self, number=signal.SIGTERM, timeout=30):
        """The daemon ends; its guests run on."""
        self.send(number)
        deadline = time.monotonic() + timeout
        while self.lab.supervisor.call("status", pid=self.pid)["status"] is None:
            if time.monotonic() > deadline:
                raise LabError(f"{self.program} did not end within {timeout} s")
            time.sleep(0.02)
        self.pid = None

    def restart(self, number=signal.SIGTERM):
        self.stop(number)
        return self.start()

    def virsh(self, *arguments, check=True, timeout=VIRSH_S, stock=False, uri=None):
        program = "/usr/bin/virsh" if stock else f"{self.lab.prefix}/bin/virsh"
        result = subprocess.run([program, "-q", "-c", uri or self.uri, *arguments], env=client_env(), text=True,
                                capture_output=True, timeout=timeout * self.lab.patience, check=False,
                                stdin=subprocess.DEVNULL)
        if check and result.returncode != 0:
            raise LabError(f"virsh {' '.join(arguments)}: {result.stderr.strip()}\n{self.logs()}")
        return result

    def create(self, guest):
        """Starts a transient guest; returns QEMU's pid."""
        self.lab.supervisor.call("guest", name=guest.name)
        path = f"{self.lab.dir}/img/{guest.uuid}.xml"
        with open(path, "w", encoding="utf-8") as file:
            file.write(guest.xml(f"{self.lab.dir}/img"))
        self.virsh("create", path)
        return self.guest_pid(guest)

    def guest_pid(self, guest):
        with open(f"{self.dir}/var/run/libvirt/qemu/{guest.name}.pid", encoding="ascii") as file:
            return int(file.read())

    def destroy(self, guest):
        self.virsh("destroy", guest.name)


def kvm_works(lab, daemon, guest):
    """KVM may be there and not run a guest: only trying tells. Leaves none running."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return False
    try:
        daemon.create(guest)
    except LabError:
        return False
    time.sleep(0.5)
    state = daemon.virsh("domstate", guest.name, check=False)
    daemon.virsh("destroy", guest.name, check=False)
    return state.stdout.strip() == "running"


__all__ = ["Daemon", "Lab", "LabError", "SupervisorError", "client_env", "free_port", "kvm_works"]
