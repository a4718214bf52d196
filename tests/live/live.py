# SPDX-License-Identifier: LGPL-2.1-or-later
"""What live tests share: the run, stats as a stock client sees them, virt-power."""

import json
import os
import re
import signal
import subprocess
import time
import unittest

import libvirt

from lab.daemon import Daemon, client_env, kvm_works
from lab.guest import HALT, Guest
from lab.meters import process_time_ns as process_time  # noqa: F401

ENERGY = 1 << 28
NS = 1_000_000_000
NOBODY = 65534

MODELLED = {"sources": {"powercap": "false", "perf": "false", "modelled": "true"},
            "modelled": {"idle_watts": 10, "busy_cpu_watts": 5}}


class Run:
    """Of this process: set by configure(), for each attempt anew."""

    lab = None
    build = ""
    kvm = None
    labels = 0


def configure(lab, build):
    if Run.lab is None:
        libvirt.registerErrorHandler(lambda *_: None, None)
        libvirt.virEventRegisterDefaultImpl()
    Run.lab, Run.build = lab, build


def plugin_dir():
    return f"{Run.build}/src/plugin"


def virt_power_program():
    return f"{Run.build}/tools/virt-power/virt-power"


def new_daemon(power_conf=MODELLED, plugin=True, **keywords):
    """A daemon that was not started yet."""
    Run.labels += 1
    daemon = Daemon(Run.lab, plugin_dir=plugin_dir() if plugin is True else plugin or "/nonexistent",
                    label=f"d{Run.labels}", **keywords)
    if power_conf is not None:
        daemon.write_power_conf(power_conf)
    return daemon


def cpu_with_bpf():
    """Why BPF cannot count here, or None."""
    if not os.path.exists("/sys/kernel/btf/vmlinux"):
        return "the kernel has no BTF"
    if os.readlink("/proc/self/ns/pid") != "pid:[4026531836]":
        return "not in the initial PID namespace"
    return None


class LiveTest(unittest.TestCase):
    """One daemon for the tests of a class; guests that a test made go with it."""

    power_conf = MODELLED
    settings = None
    program = "libvirtd"
    longMessage = True

    @classmethod
    def setUpClass(cls):
        cls.daemon = new_daemon(cls.power_conf, program=cls.program, settings=cls.settings).start()
        cls.guests = {}

    @classmethod
    def tearDownClass(cls):
        for guest in list(cls.guests.values()):
            cls.daemon.virsh("destroy", guest.name, check=False)
        cls.daemon.stop()

    @classmethod
    def guest(cls, short, code, daemon=None, **keywords):
        """Starts a guest; Guest with its pid."""
        daemon = daemon or cls.daemon
        if Run.kvm is None:
            Run.kvm = kvm_works(Run.lab, daemon, Guest(Run.lab.name("kvm"), HALT))
        guest = Guest(Run.lab.name(short), code, kvm=Run.kvm, **keywords)
        guest.pid = daemon.create(guest)
        cls.guests[guest.uuid] = guest
        return guest

    @classmethod
    def shared_guest(cls, short, code, **keywords):
        """One that several tests of the class look at."""
        name = Run.lab.name(short)
        for guest in cls.guests.values():
            if guest.name == name:
                return guest
        return cls.guest(short, code, **keywords)

    def own_guest(self, short, code, **keywords):
        """One of this test alone."""
        guest = self.guest(short, code, **keywords)
        self.addCleanup(self.destroy, guest)
        return guest

    @classmethod
    def destroy(cls, guest):
        if cls.guests.pop(guest.uuid, None):
            cls.daemon.virsh("destroy", guest.name, check=False)

    def need_bpf(self):
        if reason := cpu_with_bpf():
            self.skipTest(reason)


# --- stats by the stock client library ---

def records(uri, groups=ENERGY, flags=0, read_only=False):
    """[(uuid, {name: value})] as libvirt gives them, in their order."""
    connection = libvirt.openReadOnly(uri) if read_only else libvirt.open(uri)
    try:
        return [(domain.UUIDString(), values) for domain, values in connection.getAllDomainStats(groups, flags)]
    finally:
        connection.close()


class Sample:
    """The records of one call."""

    def __init__(self, daemon, **keywords):
        self.records = records(keywords.pop("uri", daemon.uri), **keywords)
        self.first = self.records[0][1] if self.records else {}
        self.by_uuid = dict(self.records)

    @property
    def time(self):
        return self.first["energy.host.time"]

    def host(self, name):
        """A figure of the host's, summed over packages."""
        pattern = re.compile(rf"energy\.package\.\d+\.{re.escape(name)}")
        found = [value for key, value in self.first.items() if pattern.fullmatch(key)]
        if not found:
            raise KeyError(name)
        return sum(found)

    def domain(self, uuid, name="time"):
        return sum(value for key, value in self.by_uuid[uuid].items()
                   if re.fullmatch(rf"energy\.package\.\d+\.{name}", key))

    def departed(self):
        """{(uuid, instance): CPU time}"""
        found = {}
        for index in range(self.first["energy.departed.count"]):
            stem = f"energy.departed.{index}"
            spent = sum(value for key, value in self.first.items()
                        if re.fullmatch(rf"{re.escape(stem)}\.package\.\d+\.time", key))
            found[self.first[f"{stem}.uuid"], self.first[f"{stem}.instance"]] = spent
        return found

    def departed_total(self):
        return sum(value for key, value in self.first.items()
                   if re.fullmatch(r"energy\.departed\.package\.\d+\.time", key))

    def zones(self):
        """[{name, type, source, counted, energy...}]"""
        return [{key.rpartition(".")[2]: value for key, value in self.first.items()
                 if key.startswith(f"energy.zone.{index}.")}
                for index in range(self.first["energy.zone.count"])]


# --- the truth, by the kernel's own account ---

def thread_times(pid, kind=""):
    """(run ns, waited ns) of all threads, by /proc/PID/task/TID/schedstat; of vCPUs ("vcpu") or of others ("other")."""
    ran = waited = 0
    for thread in os.listdir(f"/proc/{pid}/task"):
        try:
            with open(f"/proc/{pid}/task/{thread}/comm", encoding="utf-8") as file:
                is_vcpu = file.read().startswith("CPU ")
            with open(f"/proc/{pid}/task/{thread}/schedstat", encoding="ascii") as file:
                fields = file.read().split()
        except OSError:
            continue
        if kind in ("", "vcpu" if is_vcpu else "other"):
            ran += int(fields[0])
            waited += int(fields[1])
    return ran, waited


def steal_ns():
    """Time that the machine's own host took from it, all CPUs together."""
    with open("/proc/stat", encoding="ascii") as file:
        return int(file.readline().split()[8]) * NS // os.sysconf("SC_CLK_TCK")


def busy_ns():
    """Time that all CPUs together were not idle: by idle time, which is exact, not by sampled ticks."""
    with open("/proc/stat", encoding="ascii") as file:
        fields = [int(value) for value in file.readline().split()[1:]]
    idle = fields[3] + fields[4] + fields[7]
    cpus = os.sysconf("SC_NPROCESSORS_ONLN")
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) * cpus - idle * NS // os.sysconf("SC_CLK_TCK")


def wait_for(condition, seconds, what):
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.05)
    return value


# --- virt-power ---

def virt_power_env(**extra):
    """Without a calibration of the user's own."""
    return client_env(XDG_CONFIG_HOME="/nonexistent", **extra)


def virt_power(*arguments, uri=None, timeout=60, env=None, **keywords):
    command = [virt_power_program(), *(["-c", uri] if uri else []), *arguments]
    return subprocess.run(command, env={**virt_power_env(), **(env or {})}, text=True, capture_output=True,
                          timeout=timeout * Run.lab.patience, check=False, stdin=subprocess.DEVNULL, **keywords)


def json_lines(text):
    return [json.loads(line) for line in text.splitlines()]


def as_user(uid, *command):
    """Runs a client as another user, who can still read the build in somebody's home."""
    return subprocess.run(["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups",
                           "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search", "--", *command],
                          env=client_env(HOME="/nonexistent", XDG_CACHE_HOME="/nonexistent", XDG_RUNTIME_DIR="/nonexistent"),
                          capture_output=True, text=True, check=False, timeout=60 * Run.lab.patience, stdin=subprocess.DEVNULL)


class RunningVirtPower:
    """virt-power --json in the background. A context manager."""

    def __init__(self, *arguments, uri):
        self.lines, self.errors = [], ""
        self.process = subprocess.Popen([virt_power_program(), "-c", uri, "--json", *arguments], env=virt_power_env(),
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
                                        text=True)

    def __enter__(self):
        return self

    def next(self):
        """The next interval, waited for."""
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError(f"virt-power ended: {self.process.stderr.read()}")
        self.lines.append(json.loads(line))
        return self.lines[-1]

    def finish(self):
        """Ends it; all that it wrote further is in lines and errors."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        out, self.errors = self.process.communicate(timeout=15)
        self.lines += json_lines(out)

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


def row(interval, **wanted):
    """The one row of an interval that has these values, or None."""
    found = [r for r in interval["rows"] if all(r.get(key) == value for key, value in wanted.items())]
    if len(found) > 1:
        raise AssertionError(f"more than one row with {wanted}")
    return found[0] if found else None


def assert_rows_add_up(test, interval):
    """Per zone and in total, to the microjoule."""
    counted = {zone["name"]: zone["energy_uj"] for zone in interval["zones"] if zone["counted"]}
    test.assertEqual(sum(counted.values()), sum(r.get("energy_uj") or 0 for r in interval["rows"]))
    for name, energy in counted.items():
        test.assertEqual(energy, sum(z["energy_uj"] for r in interval["rows"] for z in r.get("zones", ())
                                     if z["zone"] == name), name)
