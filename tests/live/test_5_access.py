# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who sees what: read-only connections, access control, session daemons."""

import json
import os
import subprocess
import time

import libvirt

from lab.daemon import client_env
from lab.guest import HALT, SPIN_ONE, Guest
from live import (ENERGY, MODELLED, NOBODY, NS, LiveTest, Run, Sample, as_user, json_lines, new_daemon, records, row, virt_power,
                  virt_power_program, wait_for)

ENFORCE = libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_ENFORCE_STATS
STRANGER = 1  # daemon: libvirt wants to know the user's name


class ReadOnlyDenied(LiveTest):
    """The default."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.one = cls.guest("one", SPIN_ONE)
        cls.two = cls.guest("two", HALT)

    def test_a_read_only_client_sees_only_the_status_denied(self):
        found = records(self.daemon.uri_read_only, read_only=True)
        self.assertEqual([{"energy.status": "denied"}] * 2, [values for _, values in found])

    def test_energy_only_does_not_turn_into_all_groups(self):
        for _, values in records(self.daemon.uri_read_only, read_only=True):
            self.assertEqual([], [name for name in values if not name.startswith("energy.")])

    def test_other_groups_are_given_beside_denied_energy(self):
        found = records(self.daemon.uri_read_only, read_only=True, groups=ENERGY | libvirt.VIR_DOMAIN_STATS_STATE)
        for _, values in found:
            self.assertEqual("denied", values["energy.status"])
            self.assertIn("state.state", values)

    def test_enforced_stats_are_refused_as_operation_denied(self):
        with self.assertRaises(libvirt.libvirtError) as caught:
            records(self.daemon.uri_read_only, read_only=True, flags=ENFORCE)
        self.assertEqual(libvirt.VIR_ERR_OPERATION_DENIED, caught.exception.get_error_code())

    def test_a_read_only_connection_on_the_other_socket_is_denied_too(self):
        found = records(self.daemon.uri, read_only=True)
        self.assertEqual({"energy.status": "denied"}, found[0][1])

    def test_virt_power_read_only_shows_cpu_shares_without_watts_and_why(self):
        result = virt_power("--count", "1", "--delay", "1", "--readonly", uri=self.daemon.uri_read_only)
        self.assertIn(self.one.name, result.stdout)
        self.assertRegex(result.stdout + result.stderr, "(?i)denied|read-only|read_only")


class ReadOnlyCoarse(LiveTest):
    power_conf = {**MODELLED, "access": {"read_only": "coarse"}}

    def test_one_reading_in_10_s_and_no_finer_for_anyone_who_asks_more_often(self):
        self.own_guest("one", SPIN_ONE)

        def reading():
            return records(self.daemon.uri_read_only, read_only=True)
        first = reading()
        self.assertEqual("ok", first[0][1]["energy.status"])
        self.assertEqual(10 * NS, first[0][1]["energy.host.interval"])
        begun = time.monotonic()
        while time.monotonic() - begun < 8.5:
            self.assertEqual(first, reading())
            time.sleep(0.5)
        changed = wait_for(lambda: (now := reading()) != first and now, 5, "a new reading")
        self.assertGreaterEqual(changed[0][1]["energy.host.time"] - first[0][1]["energy.host.time"], 10 * NS)

    def test_a_client_that_may_write_gets_each_reading_new(self):
        self.own_guest("one", SPIN_ONE)
        first, second = Sample(self.daemon), Sample(self.daemon)
        self.assertGreater(second.time, first.time)
        self.assertNotIn("energy.host.interval", first.first)


class ReadOnlyFull(LiveTest):
    power_conf = {**MODELLED, "access": {"read_only": "full"}}

    def test_every_reading_is_new(self):
        self.own_guest("one", SPIN_ONE)
        first = Sample(self.daemon, uri=self.daemon.uri_read_only, read_only=True)
        second = Sample(self.daemon, uri=self.daemon.uri_read_only, read_only=True)
        self.assertEqual("ok", first.first["energy.status"])
        self.assertGreater(second.time, first.time)

    def test_virt_power_needs_no_more_than_a_read_only_connection(self):
        guest = self.own_guest("one", SPIN_ONE)
        result = virt_power("--json", "--count", "1", "--delay", "1", uri=self.daemon.uri_read_only)
        self.assertEqual(0, result.returncode, result.stderr)
        self.assertGreater(row(json_lines(result.stdout)[0], uuid=guest.uuid)["energy_uj"], 0)


class OtherUsers(LiveTest):
    """The daemon of a run starts guests as root: nobody else may tell it to."""

    def test_a_socket_that_may_write_is_for_the_user_of_the_run_alone(self):
        result = as_user(NOBODY, "/usr/bin/virsh", "-q", "-c", self.daemon.uri, "list")
        self.assertNotEqual(0, result.returncode)
        self.assertIn("Permission denied", result.stderr)
        result = as_user(NOBODY, "/usr/bin/virsh", "-q", "-c", self.daemon.uri_read_only, "list")
        self.assertEqual(0, result.returncode, result.stderr)


class AccessControl(LiveTest):
    """libvirt's polkit driver, asked by a stand-in for polkitd on a bus of the test's own."""

    settings = {"access_drivers": ["polkit"], "unix_sock_rw_perms": "0777"}

    @classmethod
    def setUpClass(cls):
        with open(f"{Run.lab.prefix}/lib/libvirt.so.0", "rb") as file:
            if b"org.libvirt.api" not in file.read():
                cls.skip_all = "libvirt was built without polkit"
                cls.guests = {}
                return
        cls.skip_all = None
        cls._start_polkit()
        cls.daemon = new_daemon(settings=cls.settings)
        cls.daemon.env["DBUS_SYSTEM_BUS_ADDRESS"] = cls.bus
        cls.daemon.start()
        cls.guests = {}
        cls.shown = cls.guest("shown", HALT)
        cls.hidden = cls.guest("hidden", SPIN_ONE)

    @classmethod
    def _start_polkit(cls):
        directory = f"{Run.lab.dir}/polkit"
        os.mkdir(directory, 0o755)
        cls.bus = f"unix:path={directory}/bus"
        with open(f"{directory}/bus.conf", "w", encoding="ascii") as file:
            file.write(f"<busconfig><type>session</type><listen>{cls.bus}</listen><auth>EXTERNAL</auth>"
                       "<policy context='default'><allow user='*'/><allow own='*'/><allow eavesdrop='true'/>"
                       "<allow send_destination='*' eavesdrop='true'/></policy></busconfig>")
        rules = {str(NOBODY): {"hidden": Run.lab.name("hidden"), "deny": []},
                 str(STRANGER): {"hidden": "", "deny": ["org.libvirt.api.connect.read"]}}
        call = Run.lab.supervisor.call
        cls.helpers = [
            call("start", argv=["dbus-daemon", f"--config-file={directory}/bus.conf", "--nofork"],
                 log=f"{directory}/bus.log")["pid"]]
        wait_for(lambda: os.path.exists(f"{directory}/bus"), 10, "the bus is there")
        cls.helpers.append(
            call("start", argv=["/usr/bin/python3", "-B", f"{os.path.dirname(os.path.abspath(__file__))}/stand_in_polkit.py",
                                cls.bus, json.dumps(rules)], log=f"{directory}/polkit.log")["pid"])

        def ready():
            with open(f"{directory}/polkit.log", encoding="utf-8") as log:
                return "ready" in log.read()
        wait_for(ready, 10, "the stand-in for polkit is there")

    @classmethod
    def tearDownClass(cls):
        if cls.skip_all:
            return
        super().tearDownClass()
        for pid in cls.helpers:
            Run.lab.supervisor.call("signal", pid=pid, number=15)

    def setUp(self):
        if self.skip_all:
            self.skipTest(self.skip_all)

    def stats(self, uid):
        """{name of the domain: its stats} as a user sees them, by the stock virsh."""
        result = as_user(uid, "/usr/bin/virsh", "-q", "-c", self.daemon.uri, "domstats", "--raw")
        self.assertEqual("", result.stderr.strip())
        found, current = {}, None
        for line in result.stdout.splitlines():
            if line.startswith("Domain:"):
                current = found.setdefault(line.split("'")[1], {})
            elif "=" in line:
                key, _, value = line.strip().partition("=")
                current[key] = value
        return found

    def test_a_user_sees_host_figures_but_no_hidden_domain(self):
        seen = self.stats(NOBODY)
        self.assertEqual([self.shown.name], list(seen))
        values = seen[self.shown.name]
        self.assertEqual("ok", values["energy.status"])
        self.assertEqual("2", values["energy.host.domains"])
        self.assertGreater(int(values["energy.package.0.vms.time"]), int(values["energy.package.0.time"]))
        self.assertNotIn(self.hidden.name, str(values))

    def test_departed_names_need_the_right_to_read_that_domain(self):
        self.destroy(self.guest("gone", HALT))
        self.destroy(self.hidden)
        type(self).hidden = self.guest("hidden", SPIN_ONE)
        text = str(self.stats(NOBODY))
        self.assertIn(Run.lab.name("gone"), text)
        self.assertNotIn(Run.lab.name("hidden"), text)
        self.assertIn(Run.lab.name("hidden"), str(self.stats(0)))

    def test_who_may_look_may_not_start_a_guest(self):
        result = as_user(NOBODY, "/usr/bin/virsh", "-q", "-c", self.daemon.uri, "destroy", self.shown.name)
        self.assertIn("access denied", result.stderr)

    def test_who_may_not_read_the_host_gets_no_host_figures(self):
        found = list(self.stats(STRANGER).values())
        self.assertEqual("denied", found[0]["energy.status"])
        for values in found:
            self.assertEqual([], [name for name in values if name.startswith(("energy.host", "energy.zone"))])

    def knob(self, uid, *words):
        return as_user(uid, f"{Run.lab.prefix}/bin/virsh", "-q", "-c", self.daemon.uri, *words)

    def test_who_may_not_control_power_sets_nothing_and_may_still_look(self):
        for words in (("node-governor", "--set", "powersave"), ("node-frequency", "--max", "2GHz"), ("node-governor", "--restore"),
                      ("node-rapl-limit", "--zone", "package-0", "--power", "18")):
            result = self.knob(NOBODY, *words)
            self.assertEqual(1, result.returncode, words)
            self.assertIn("access denied", result.stderr, words)
        stats = self.knob(NOBODY, "nodeenergystats")
        self.assertIn("energy.status=ok", stats.stdout, stats.stderr)

    def test_who_may_not_read_the_host_reads_no_knob(self):
        for command in ("node-governor", "node-frequency", "node-rapl-limit", "nodeenergystats"):
            result = self.knob(STRANGER, command)
            self.assertEqual(1, result.returncode, command)
            self.assertIn("access denied", result.stderr, command)

    def test_departed_names_in_the_host_s_own_call_need_the_same_right(self):
        self.destroy(self.guest("left", HALT))
        self.destroy(self.hidden)
        type(self).hidden = self.guest("hidden", SPIN_ONE)
        seen = self.knob(NOBODY, "nodeenergystats").stdout
        self.assertIn(Run.lab.name("left"), seen)
        self.assertNotIn(Run.lab.name("hidden"), seen)
        self.assertIn(Run.lab.name("hidden"), self.knob(0, "nodeenergystats").stdout)

    def test_virt_power_has_hidden_domains_in_one_row_other(self):
        result = as_user(NOBODY, virt_power_program(), "-c", self.daemon.uri, "--json", "--count", "1", "--delay", "2")
        self.assertEqual(0, result.returncode, result.stderr)
        interval, = json_lines(result.stdout)
        self.assertIsNone(row(interval, uuid=self.hidden.uuid))
        other = row(interval, kind="other")
        self.assertGreater(other["cpu_time_ns"], row(interval, uuid=self.shown.uuid)["cpu_time_ns"])
        self.assertGreater(other["energy_uj"], 0)


class Session(LiveTest):
    """A daemon of a user's own."""

    @classmethod
    def setUpClass(cls):
        cls.guests = {}
        cls.dir = f"{Run.lab.dir}/session"
        for name in ("run", "config/libvirt", "cache", "home"):
            os.makedirs(f"{cls.dir}/{name}")
        with open(f"{cls.dir}/config/libvirt/qemu.conf", "w", encoding="ascii") as file:
            file.write('stdio_handler = "file"\nsecurity_driver = "none"\n')
        with open(f"{cls.dir}/config/libvirt/host-power.conf", "w", encoding="ascii") as file:
            file.write("[sources]\nmodelled=true\n[modelled]\nidle_watts=10\nbusy_cpu_watts=5\n")
        subprocess.run(["chown", "-R", f"{NOBODY}:{NOBODY}", cls.dir], check=True)
        cls.env = client_env(HOME=f"{cls.dir}/home", XDG_RUNTIME_DIR=f"{cls.dir}/run", XDG_CONFIG_HOME=f"{cls.dir}/config",
                             XDG_CACHE_HOME=f"{cls.dir}/cache", LIBVIRT_HOST_POWER_DIR=f"{Run.build}/src/plugin")
        cls.pid = Run.lab.supervisor.call("start", argv=[f"{Run.lab.prefix}/sbin/libvirtd"], env=cls.env, uid=NOBODY,
                                          reach=[Run.lab.prefix, Run.build], log=f"{cls.dir}/log")["pid"]
        cls.uri = f"qemu:///session?socket={cls.dir}/run/libvirt/libvirt-sock"

        def answers():
            try:
                libvirt.open(cls.uri).close()
                return True
            except libvirt.libvirtError:
                return False
        wait_for(answers, 30, "the session daemon answers")

    @classmethod
    def tearDownClass(cls):
        Run.lab.supervisor.call("signal", pid=cls.pid, number=15)

    def test_a_session_daemon_loads_the_plugin_and_no_bpf(self):
        with open(f"/proc/{self.pid}/maps", encoding="utf-8") as file:
            self.assertIn("host-power.so", file.read())
        with open(f"/proc/{self.pid}/status", encoding="utf-8") as file:
            self.assertRegex(file.read(), rf"(?m)^Uid:\s+{NOBODY}\s")
        fds = f"/proc/{self.pid}/fd"
        targets = [os.readlink(f"{fds}/{fd}") for fd in os.listdir(fds)]
        self.assertEqual([], [target for target in targets if "bpf" in target])

    def test_a_session_daemon_counts_its_guests_by_proc(self):
        guest = Guest(Run.lab.name("mine"), SPIN_ONE, kvm=False)
        xml = guest.xml(f"{self.dir}/home")
        os.chown(f"{self.dir}/home/{guest.uuid}.img", NOBODY, NOBODY)
        connection = libvirt.open(self.uri)
        self.addCleanup(connection.close)
        domain = connection.createXML(xml)
        self.addCleanup(domain.destroy)
        (_, before), = connection.getAllDomainStats(ENERGY, 0)
        time.sleep(1)
        (_, after), = connection.getAllDomainStats(ENERGY, 0)
        self.assertEqual("proc", after["energy.host.usage"])
        self.assertGreater(after["energy.package.0.time"], before["energy.package.0.time"])
