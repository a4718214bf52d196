# SPDX-License-Identifier: LGPL-2.1-or-later
"""Governors, frequencies and power limits through libvirt. The host's files are played below another root: what the kernel makes
of them is tested on the power host."""

import os
import re
import socket
import struct
import subprocess
import threading

import libvirt

from lab.daemon import client_env
from lab.guest import HALT
from lab.knobs import CPUS, LONG_TERM_UW, MAX_KHZ, FakeKnobs
from lab.netns import HOST_ADDRESS, TwoHosts
from lab.powercap import FakePowercap
from lab.tls import Tls
from live import NOBODY, LiveTest, Run, Sample, json_lines, new_daemon, virt_power, wait_for

HERE = os.path.dirname(os.path.abspath(__file__))
ZONES = {"intel-rapl:0": "package-0", "intel-rapl:1": "package-1", "intel-rapl-mmio:0": "package-0"}
STEP_UJ = 800_000
NEWEST = {9_000_000: 443, 11_003_000: 453}  # procedure of the upstream version
OURS = range(2000, 2007)


def build_client():
    """knobs_client.c with what is installed in the prefix; its path."""
    program = f"{Run.lab.dir}/knobs-client"
    if not os.path.exists(program):
        flags = subprocess.run(["pkg-config", "--cflags", "--libs", "libvirt"], text=True, capture_output=True, check=True,
                               env=client_env(PKG_CONFIG_PATH=f"{Run.lab.prefix}/lib/pkgconfig")).stdout.split()
        subprocess.run(["cc", "-Wall", "-Wextra", "-Werror", "-o", program, f"{HERE}/knobs_client.c", *flags,
                        f"-Wl,-rpath,{Run.lab.prefix}/lib"], check=True)
    return program


class Refused(Exception):
    def __init__(self, code, message):
        super().__init__(f"{code}: {message}")
        self.code, self.message = code, message


def call(uri, function, target="-", *words, read_only=False, prefix=()):
    """{name: value} of a call by the client in C."""
    result = subprocess.run([*prefix, build_client(), *(["--readonly"] if read_only else []), uri, function, target, *words],
                            env=client_env(), text=True, capture_output=True, check=False, stdin=subprocess.DEVNULL,
                            timeout=60 * Run.lab.patience)
    if result.returncode == 0:
        return dict(line.partition("=")[::2] for line in result.stdout.splitlines())
    found = re.fullmatch(r"error (\d+): (.*)\n", result.stdout)
    if not found:
        raise AssertionError(f"{function}: {result.returncode} {result.stdout} {result.stderr}")
    raise Refused(int(found[1]), found[2])


class KnobsTest(LiveTest):
    """A daemon whose host is played."""

    access = {}
    keywords = {}

    @classmethod
    def setUpClass(cls):
        root = f"{Run.lab.dir}/root-{cls.__name__}"
        cls.fake = FakePowercap(root, {directory: (name, STEP_UJ) for directory, name in ZONES.items()})
        cls.knobs = FakeKnobs(root, ZONES)
        cls.guests = {}
        cls.daemon = new_daemon({"sources": {"powercap": "true", "perf": "false"}, "host": {"root": root}, "access": cls.access},
                                **cls.keywords).start()

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        cls.fake.close()

    def call(self, *arguments, **keywords):
        return call(self.daemon.uri, *arguments, **keywords)

    def assert_refused(self, code, pattern, *arguments, **keywords):
        before = self.files()
        with self.assertRaises(Refused) as caught:
            self.call(*arguments, **keywords)
        self.assertEqual(code, caught.exception.code, caught.exception.message)
        self.assertRegex(caught.exception.message, pattern)
        self.assertEqual(before, self.files(), "nothing changed")

    def files(self):
        """All that could have been set."""
        cpus = [self.knobs.get(cpu, name) for cpu in range(CPUS)
                for name in ("scaling_governor", "scaling_min_freq", "scaling_max_freq", "scaling_setspeed")]
        limits = [self.knobs.read(self.knobs.zone(zone, name)) for zone in ZONES
                  for name in ("enabled", "constraint_0_power_limit_uw", "constraint_0_time_window_us")]
        return cpus + limits

    def virsh(self, *arguments, **keywords):
        return self.daemon.virsh(*arguments, **keywords).stdout


class Virsh(KnobsTest):
    def setUp(self):
        for command in ("node-governor", "node-frequency", "node-rapl-limit"):
            self.addCleanup(self.daemon.virsh, command, "--restore")

    def test_governors_are_shown_and_set_and_put_back(self):
        self.assertRegex(self.virsh("node-governor"), r"(?m)^\s*0\b.*schedutil")
        out = self.virsh("node-governor", "--cpu", "1-2", "--set", "powersave")
        self.assertRegex(out, "powersave.*was schedutil")
        self.assertEqual(["schedutil", "powersave", "powersave", "schedutil"], self.knobs.governors())
        self.assertRegex(self.virsh("governor", "--restore"), "schedutil.*was powersave")
        self.assertEqual(["schedutil"] * CPUS, self.knobs.governors())

    def test_frequencies_in_the_units_that_a_person_types(self):
        self.assertRegex(self.virsh("frequency"), "800000|800 MHz|0.8 GHz")
        for text, khz in (("2.4GHz", 2_400_000), ("2000 MHz", 2_000_000), ("1500000", 1_500_000), ("1.2345gHz", 1_234_500)):
            self.virsh("node-frequency", "--cpu", "3", "--max", text)
            self.assertEqual(str(khz), self.knobs.get(3, "scaling_max_freq"), text)
        self.virsh("node-frequency", "--restore")
        self.assertEqual(str(MAX_KHZ), self.knobs.get(3, "scaling_max_freq"))

    def test_limits_of_msr_and_mmio_are_shown_and_set_together(self):
        table = self.virsh("rapl-limit")
        for name in ("package-0", "intel-rapl-mmio/package-0", "package-1", "long_term", "short_term"):
            self.assertIn(name, table)
        self.virsh("node-rapl-limit", "--zone", "package-0", "--power", "18", "--window", "1.5")
        self.assertEqual([18_000_000, LONG_TERM_UW, 18_000_000], [self.knobs.limit(zone) for zone in ZONES])
        self.assertEqual("1500000", self.knobs.read(self.knobs.zone("intel-rapl:0", "constraint_0_time_window_us")))
        self.virsh("node-rapl-limit", "--zone", "package-0", "--constraint", "short_term", "--power", "19.5W")
        self.assertEqual(19_500_000, self.knobs.limit("intel-rapl:0", 1))
        self.virsh("node-rapl-limit", "--zone", "package-1", "--disable")
        self.assertEqual("0", self.knobs.read(self.knobs.zone("intel-rapl:1", "enabled")))
        self.virsh("node-rapl-limit", "--restore")
        self.assertEqual([LONG_TERM_UW] * 3, [self.knobs.limit(zone) for zone in ZONES])
        self.assertEqual("1", self.knobs.read(self.knobs.zone("intel-rapl:1", "enabled")))

    def test_a_limit_without_a_zone_needs_all_where_there_are_several_packages(self):
        result = self.daemon.virsh("node-rapl-limit", "--power", "18", check=False)
        self.assertEqual(1, result.returncode)
        self.assertIn("package-0, package-1", result.stderr)
        self.virsh("node-rapl-limit", "--all", "--power", "18")
        self.assertEqual([18_000_000] * 3, [self.knobs.limit(zone) for zone in ZONES])

    def test_words_that_are_no_quantities_are_refused_in_a_sentence_and_change_nothing(self):
        before = self.files()
        for command, option, text in (("node-frequency", "--max", "fast"), ("node-frequency", "--max", "2.4GHz!"),
                                      ("node-frequency", "--min", "-5"), ("node-frequency", "--set", "0"),
                                      ("node-frequency", "--max", "99999999999999999999GHz"), ("node-frequency", "--max", ""),
                                      ("node-rapl-limit", "--power", "NaN"), ("node-rapl-limit", "--power", "inf"),
                                      ("node-rapl-limit", "--power", "-18"), ("node-rapl-limit", "--power", "18V"),
                                      ("node-rapl-limit", "--window", "1 fortnight"), ("node-rapl-limit", "--power", "1e2"),
                                      ("node-frequency", "--turbo", "maybe")):
            with self.subTest(f"{command} {option} {text!r}"):
                result = self.daemon.virsh(command, f"{option}={text}", check=False)
                self.assertEqual(1, result.returncode)
                lines = [line for line in result.stderr.splitlines() if line.strip()]
                self.assertEqual(1, len(lines), result.stderr)
                self.assertTrue(lines[0].startswith("error: "), lines[0])
        self.assertEqual(before, self.files())

    def test_options_that_exclude_each_other(self):
        for words in (("node-governor", "--set", "powersave", "--restore"), ("node-rapl-limit", "--enable", "--disable"),
                      ("node-rapl-limit", "--zone", "package-0", "--all", "--power", "18"),
                      ("node-rapl-limit", "--zone", "package-0", "--enable", "--constraint", "long_term")):
            self.assertEqual(1, self.daemon.virsh(*words, check=False).returncode, words)

    def test_energy_of_a_host_without_guests(self):
        wait_for(lambda: "counted=yes" in self.virsh("nodeenergystats"), 10, "a zone counts")
        out = self.virsh("nodeenergystats")
        self.assertRegex(out, r"energy\.status=ok")
        self.assertRegex(out, r"energy\.host\.domains=0")
        self.assertRegex(out, rf"energy\.zone\.\d\.limit={LONG_TERM_UW}")
        self.assertRegex(out, r"energy\.package\.0\.frequency=1\d{6}")

    def test_the_test_driver_answers_all_of_them(self):
        for command in ("node-governor", "node-frequency", "node-rapl-limit", "nodeenergystats"):
            self.assertTrue(self.virsh(command, uri="test:///default").strip(), command)
        words = "node-rapl-limit --power 18; node-rapl-limit; node-rapl-limit --restore"
        self.assertIn("18 W", self.virsh(words, uri="test:///default"))


class Api(KnobsTest):
    def test_changes_tell_before_and_after(self):
        self.addCleanup(self.call, "SetFrequency", "-", "restore")
        changes = self.call("SetFrequency", "0,2", "max=2000000", "min=1000000")
        self.assertEqual("4", changes["change.count"])
        self.assertEqual({"min", "max"}, {changes[f"change.{n}.knob"] for n in range(4)})
        self.assertEqual(("0", "2"), (changes["change.0.cpus"], changes["change.3.cpus"]))
        self.assertEqual({"800000", "3000000"}, {changes[f"change.{n}.before"] for n in range(4)})
        self.assertEqual(changes["change.0.asked"], changes["change.0.after"])

    def test_what_cannot_be_is_refused_with_the_code_for_it(self):
        invalid, unsupported, operation = (libvirt.VIR_ERR_INVALID_ARG, libvirt.VIR_ERR_OPERATION_UNSUPPORTED,
                                           libvirt.VIR_ERR_OPERATION_INVALID)
        huge = "18446744073709551615"
        for code, pattern, *arguments in (
                (invalid, "fast.*offered are: performance, powersave", "SetGovernor", "-", "governor=fast"),
                (invalid, ".", "SetGovernor", "-"),
                (invalid, "there is no CPU 99", "SetGovernor", "99", "governor=powersave"),
                (invalid, "not a list of CPUs", "GetGovernor", "../../etc"),
                (invalid, ".", "SetFrequency", "-"),
                (invalid, "0 kHz", "SetFrequency", "-", "min=0"),
                (invalid, "outside of what the hardware can do", "SetFrequency", "-", f"max={huge}"),
                (invalid, "outside of what the hardware can do", "SetFrequency", "1", "max=3000001"),
                (invalid, "minimum of 2500000 kHz is above the maximum of 2000000 kHz", "SetFrequency", "-", "min=2500000",
                 "max=2000000"),
                (operation, "node-governor --set userspace", "SetFrequency", "-", "set=1000000"),
                (unsupported, "turbo", "SetFrequency", "-", "turbo=off"),
                (unsupported, "intel_pstate", "SetFrequency", "-", "max_perf_pct=50"),
                (invalid, "no parameter 'speed'", "SetFrequency", "-", "speed=1"),
                (invalid, "type unsigned long long", "SetFrequency", "-", "max=fast"),
                (invalid, "no zone 'package-9'; there are: package-0", "SetRaplLimit", "package-9", "power_limit=18000000"),
                (invalid, r"no zone '\.\./package-0'", "SetRaplLimit", "../package-0", "power_limit=18000000"),
                (invalid, "no zone ''", "GetRaplLimit", ""),
                (invalid, "no constraint 'peak'.*long_term", "SetRaplLimit", "package-0", "power_limit=1", "constraint=peak"),
                (invalid, "limit of 0", "SetRaplLimit", "package-0", "power_limit=0"),
                (invalid, "above the highest power", "SetRaplLimit", "package-0", f"power_limit={huge}"),
                (invalid, "window", "SetRaplLimit", "package-0", f"time_window={huge}"),
                (invalid, "one switch for a whole zone", "SetRaplLimit", "package-0", "enabled=on", "constraint=long_term"),
                (invalid, "package-0, package-1", "SetRaplLimit", "-", "power_limit=18000000"),
                (invalid, ".", "SetRaplLimit", "package-0", "power_limit=18000000", "all-packages"),
                (invalid, ".", "SetGovernor", "-", "governor=powersave", "restore")):
            with self.subTest(" ".join(arguments)):
                self.assert_refused(code, pattern, *arguments)

    def test_the_same_in_a_guest_list_of_stock_python(self):
        """Frequency and limits are stats as well: who has no such call needs none."""
        self.own_guest("one", HALT)
        wait_for(lambda: any(zone["counted"] for zone in Sample(self.daemon).zones()), 10, "zones count")
        self.addCleanup(self.call, "SetRaplLimit", "-", "restore")
        self.call("SetRaplLimit", "package-1", "power_limit=17000000")
        sample = Sample(self.daemon)
        limits = {zone["name"]: zone.get("limit") for zone in sample.zones()}
        self.assertEqual((LONG_TERM_UW, 17_000_000), (limits["package-0"], limits["package-1"]))
        frequencies = [value for name, value in sample.first.items() if re.fullmatch(r"energy\.package\.\d\.frequency", name)]
        self.assertTrue(frequencies)
        for khz in frequencies:
            self.assertTrue(1_000_000 <= khz <= 1_300_000, khz)
        interval = json_lines(virt_power("--json", "-n", "1", "-d", "1", uri=self.daemon.uri).stdout)[0]
        shown = {zone["name"]: zone.get("limit_uw") for zone in interval["zones"]}
        self.assertEqual(17_000_000, shown["package-1"])
        table = virt_power("-n", "1", "-d", "1", uri=self.daemon.uri).stdout
        self.assertIn("17 W", table)
        self.assertRegex(table, r"1\.\d+ GHz")

    def test_many_who_set_at_once_leave_one_of_their_values_everywhere(self):
        self.addCleanup(self.call, "SetGovernor", "-", "restore")
        failed = []

        def set_often(governor):
            for _ in range(5):
                try:
                    changes = self.call("SetGovernor", "-", f"governor={governor}")
                    if {changes[f"change.{n}.after"] for n in range(CPUS)} != {governor}:
                        failed.append(changes)
                except Exception as error:
                    failed.append(error)
        threads = [threading.Thread(target=set_often, args=(name,)) for name in ("performance", "powersave", "userspace")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual([], failed)
        self.assertEqual(1, len(set(self.knobs.governors())))
        self.call("SetGovernor", "-", "restore")
        self.assertEqual(["schedutil"] * CPUS, self.knobs.governors())


class Bindings(KnobsTest):
    """The programs in docs/bindings.md do what it says."""

    def run_example(self, number, uri):
        with open(f"{HERE}/../../docs/bindings.md", encoding="utf-8") as file:
            example = re.findall(r"```python\n(.*?)```", file.read(), re.DOTALL)[number]
        return subprocess.run(["/usr/bin/python3", "-B", "-c", example], text=True, capture_output=True, check=False,
                              env=client_env(LIBVIRT_DEFAULT_URI=uri, LIBVIRT_SO=f"{Run.lab.prefix}/lib/libvirt.so.0"),
                              stdin=subprocess.DEVNULL, timeout=60)

    def test_knobs_by_ctypes(self):
        result = self.run_example(1, self.daemon.uri)
        self.assertEqual("", result.stderr)
        self.assertIn(f"package-0: {LONG_TERM_UW} uW -> 18000000 uW", result.stdout)
        self.assertIn("3: 'schedutil'", result.stdout)
        self.assertEqual([LONG_TERM_UW] * 3, [self.knobs.limit(zone) for zone in ZONES])
        result = self.run_example(1, self.daemon.uri_read_only)
        self.assertNotEqual(0, result.returncode)
        self.assertRegex(result.stderr, "read.only")


class AfterARestart(KnobsTest):
    def test_what_stood_before_the_first_change_is_put_back_by_another_daemon(self):
        self.call("SetGovernor", "-", "governor=powersave")
        self.call("SetRaplLimit", "-", "power_limit=18000000", "all-packages")
        self.daemon.restart()
        self.call("SetGovernor", "0", "governor=performance")
        self.daemon.restart(9)
        self.call("SetGovernor", "-", "restore")
        self.assertEqual(["schedutil"] * CPUS, self.knobs.governors())
        self.assertEqual(18_000_000, self.knobs.limit("intel-rapl:0"), "each knob for itself")
        self.assertEqual("3", self.call("SetRaplLimit", "-", "restore")["change.count"])
        self.assertEqual("0", self.call("SetRaplLimit", "-", "restore")["change.count"])

    def test_each_change_is_logged_once_with_who_and_what(self):
        self.call("SetGovernor", "1", "governor=userspace")
        self.addCleanup(self.call, "SetGovernor", "-", "restore")
        lines = [line for line in self.daemon.logs().splitlines() if "to userspace" in line]
        self.assertEqual(1, len(lines), lines)
        self.assertRegex(lines[0], r"user root \(uid 0, process \d+\) set scaling_governor of CPU 1 from \w+ to userspace")


class ReadOnly(KnobsTest):
    denied = libvirt.VIR_ERR_OPERATION_DENIED

    def test_setters_are_refused_by_the_client_and_by_the_daemon(self):
        self.assert_refused(self.denied, "read.only", "SetGovernor", "-", "governor=powersave", read_only=True)
        with self.assertRaises(Refused) as caught:
            call(self.daemon.uri_read_only, "SetGovernor", "-", "governor=powersave")
        self.assertEqual(self.denied, caught.exception.code)
        for function, word in (("SetFrequency", "max=2000000"), ("SetRaplLimit", "power_limit=18000000")):
            self.assert_refused(self.denied, "read.only", function, "-", word, read_only=True)
        self.assertEqual(["schedutil"] * CPUS, self.knobs.governors())

    def test_settings_may_be_read_and_figures_of_the_load_not(self):
        self.assertEqual("schedutil", self.call("GetGovernor", read_only=True)["cpu.0.governor"])
        self.assertEqual("2", self.call("GetRaplLimit", "package-0", read_only=True)["zone.count"])
        found = self.call("GetFrequency", read_only=True)
        self.assertEqual("denied", found["current.status"])
        self.assertEqual([], [name for name in found if name.endswith(".current")])
        self.assertEqual(str(MAX_KHZ), found["cpu.0.max"])
        self.assert_refused(self.denied, "read-only", "GetEnergyStats", read_only=True)
        self.assertIn("cpu.0.current", self.call("GetFrequency"))


class ReadOnlyFull(KnobsTest):
    access = {"read_only": "full"}

    def test_figures_of_the_load_as_the_host_s_administrator_wants(self):
        self.assertIn("cpu.0.current", self.call("GetFrequency", read_only=True))
        self.assertIn("energy.status", self.call("GetEnergyStats", read_only=True))


class FromAnotherHost(KnobsTest):
    """TLS between two network namespaces."""

    @classmethod
    def setUpClass(cls):
        cls.hosts = TwoHosts(Run.lab)
        cls.tls = Tls(f"{Run.lab.dir}/pki-knobs", HOST_ADDRESS)
        cls.keywords = {"tls": cls.tls, "network": cls.hosts.host}
        super().setUpClass()

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        cls.hosts.close()

    def from_there(self, *words):
        return self.hosts.elsewhere(f"{Run.lab.prefix}/bin/virsh", "-q", "-c", self.tls.uri, *words)

    def test_a_governor_is_set_and_a_read_only_connection_is_refused(self):
        result = self.from_there("node-governor", "--set", "powersave")
        self.assertEqual(0, result.returncode, result.stderr)
        self.assertEqual(["powersave"] * CPUS, self.knobs.governors())
        result = self.from_there("--readonly", "node-governor", "--set", "performance")
        self.assertEqual(1, result.returncode)
        self.assertRegex(result.stderr, "read.only")
        self.assertEqual(["powersave"] * CPUS, self.knobs.governors())
        self.assertRegex(self.daemon.logs(), "x509 .*CN=virt-power.* set scaling_governor of CPUs 0-3 from schedutil to powersave")
        self.assertEqual(0, self.from_there("node-governor", "--restore").returncode)

    def test_who_is_not_on_that_network_does_not_reach_it(self):
        result = subprocess.run([f"{Run.lab.prefix}/bin/virsh", "-q", "-c", self.tls.uri, "uri"], env=client_env(), text=True,
                                capture_output=True, check=False, stdin=subprocess.DEVNULL, timeout=60)
        self.assertNotEqual(0, result.returncode)


class OddNames(KnobsTest):
    def test_a_driver_s_own_name_cannot_act_on_a_terminal_or_a_log(self):
        self.knobs.rename_zone("intel-rapl:1", "pack\x1b[2J")
        with self.assertRaises(Refused) as caught:
            self.call("GetRaplLimit", "package-9")
        self.assertNotIn("\x1b", caught.exception.message)
        self.assertIn("pack\\x1b[2J", caught.exception.message)
        self.assertNotIn("\x1b", self.daemon.logs())


class WithoutThePlugin(LiveTest):
    @classmethod
    def setUpClass(cls):
        cls.daemon = new_daemon(None, plugin=False).start()
        cls.guests = {}

    def test_the_error_says_so(self):
        for function, word in (("GetGovernor", ()), ("GetFrequency", ()), ("GetRaplLimit", ()),
                               ("SetGovernor", ("governor=powersave",)), ("SetRaplLimit", ("restore",))):
            with self.assertRaises(Refused) as caught:
                call(self.daemon.uri, function, "-", *word)
            self.assertEqual(libvirt.VIR_ERR_OPERATION_UNSUPPORTED, caught.exception.code)
            self.assertIn("plugin", caught.exception.message)
        self.assertEqual({"energy.status": "no-plugin"}, call(self.daemon.uri, "GetEnergyStats"))


class OtherVersions(LiveTest):
    """Clients and daemons that know nothing of these calls."""

    def test_a_patched_client_of_a_stock_daemon_is_told_that_there_is_no_support(self):
        directory = f"{Run.lab.dir}/stock"
        for name in ("run", "config", "cache", "home"):
            os.makedirs(f"{directory}/{name}")
        subprocess.run(["chown", "-R", f"{NOBODY}:{NOBODY}", directory], check=True)
        env = client_env(HOME=f"{directory}/home", XDG_RUNTIME_DIR=f"{directory}/run", XDG_CONFIG_HOME=f"{directory}/config",
                         XDG_CACHE_HOME=f"{directory}/cache")
        pid = Run.lab.supervisor.call("start", argv=["/usr/sbin/libvirtd"], env=env, uid=NOBODY, reach=[],
                                      log=f"{directory}/log")["pid"]
        self.addCleanup(Run.lab.supervisor.call, "signal", pid=pid, number=15)
        path = f"{directory}/run/libvirt/libvirt-sock"
        wait_for(lambda: os.path.exists(path), 30, "the stock daemon is there")
        uri = f"test+unix:///default?socket={path}"
        for function, word in (("GetGovernor", ()), ("SetGovernor", ("governor=powersave",)), ("GetFrequency", ()),
                               ("SetFrequency", ("max=2000000",)), ("GetRaplLimit", ()), ("SetRaplLimit", ("power_limit=1",)),
                               ("GetEnergyStats", ())):
            with self.assertRaises(Refused) as caught:
                call(uri, function, "-", *word)
            self.assertEqual(libvirt.VIR_ERR_NO_SUPPORT, caught.exception.code, caught.exception.message)

    def test_no_number_that_upstream_may_take_reaches_a_call_of_ours(self):
        connection = libvirt.openReadOnly(self.daemon.uri)
        newest = NEWEST[connection.getLibVersion()]
        connection.close()
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(self.daemon.socket)
            client.settimeout(30 * Run.lab.patience)
            stream = client.makefile("rb")
            for serial, number in enumerate([*range(newest + 1, OURS.start), *range(OURS.stop, OURS.stop + 100)]):
                client.sendall(struct.pack(">7I", 28, 0x20008086, 1, number, 0, serial, 0))
                size, = struct.unpack(">I", stream.read(4))
                reply = stream.read(size - 4)
                self.assertEqual((number, serial, 1), (*(struct.unpack(">6I", reply[:24])[i] for i in (2, 4, 5)),))
                self.assertIn(b"unknown procedure", reply, number)
