# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a kernel or a container lacks: the daemon falls back, says so once, and goes on."""

import os
import signal
import tempfile
import unittest

from lab.guest import SPIN_ONE
from live import LiveTest, Run, Sample, cpu_with_bpf, new_daemon


class Lacking(LiveTest):
    """Each test starts a daemon of its own."""

    @classmethod
    def setUpClass(cls):
        if why_not := cpu_with_bpf():
            raise unittest.SkipTest(why_not)
        cls.guests = {}

    @classmethod
    def tearDownClass(cls):
        pass

    def start(self, end_by=signal.SIGTERM, **keywords):
        self.daemon = type(self).daemon = new_daemon(**keywords).start()
        self.addCleanup(self.daemon.stop, end_by)

    def empty(self):
        return tempfile.mkdtemp(prefix="empty-", dir=Run.lab.dir)

    def log_lines(self, text):
        return [line for line in self.daemon.logs().splitlines() if text in line]

    def check(self, usage, said):
        """Counted in that way, and one line says why."""
        guest = self.own_guest("works", SPIN_ONE)
        first, second = Sample(self.daemon), Sample(self.daemon)
        self.assertEqual(usage, second.first["energy.host.usage"])
        self.assertGreater(second.domain(guest.uuid), 0)
        self.assertGreaterEqual(second.domain(guest.uuid), first.domain(guest.uuid))
        self.assertEqual(1, len(self.log_lines(said)), self.daemon.logs())

    def test_without_btf_cpu_use_is_counted_from_proc(self):
        self.start(binds=[(self.empty(), "/sys/kernel/btf")])
        self.check("proc", "this kernel has no BTF")

    # As in a container, or in a systemd unit that may not do everything: root, but without what BPF takes.
    WITHOUT_RIGHTS = ["setpriv", "--bounding-set=-bpf,-sys_admin,-perfmon", "--inh-caps=-bpf,-sys_admin,-perfmon", "--"]

    def check_one_line_says_that_it_may_not(self):
        """And none of pins, which would tell of counters that there are not."""
        self.check("proc", "CPU use is counted from /proc")
        self.assertRegex(self.log_lines("CPU use is counted from /proc")[0], "not permitted")
        self.assertEqual([], self.log_lines("outlive"), self.daemon.logs())

    def test_without_the_right_to_load_bpf_cpu_use_is_counted_from_proc(self):
        self.start(wrapper=self.WITHOUT_RIGHTS)
        if not self.daemon.bpf_fs:
            self.skipTest("this machine mounts no BPF file system")
        self.check_one_line_says_that_it_may_not()

    def test_without_that_right_and_without_a_bpf_file_system_one_line_says_so_too(self):
        self.start(wrapper=self.WITHOUT_RIGHTS, binds=[(self.empty(), "/sys/fs/bpf")])
        self.check_one_line_says_that_it_may_not()

    def test_without_a_right_that_the_daemon_before_had_cpu_use_is_counted_from_proc_and_anew(self):
        self.start()
        guest = self.own_guest("stays", SPIN_ONE)
        before = Sample(self.daemon)
        self.daemon.stop()
        self.daemon.wrapper = self.WITHOUT_RIGHTS
        self.daemon.start()
        self.check_one_line_says_that_it_may_not()
        after = Sample(self.daemon)
        self.assertNotEqual(before.first["energy.host.epoch"], after.first["energy.host.epoch"])
        self.assertEqual(before.by_uuid[guest.uuid]["energy.instance"], after.by_uuid[guest.uuid]["energy.instance"])

    def test_in_a_pid_namespace_of_its_own_cpu_use_is_counted_from_proc(self):
        # Its first process is a shell, which takes up orphans as a container's does.
        self.start(wrapper=["unshare", "--pid", "--fork", "--mount-proc", "--kill-child=SIGKILL",
                            "sh", "-c", '"$@"; exit $?', "sh"],
                   end_by=signal.SIGKILL)  # unshare ignores the others
        self.check("proc", "in a PID namespace of its own")

    def test_without_a_bpf_file_system_counting_ends_with_the_daemon(self):
        self.start(binds=[(self.empty(), "/sys/fs/bpf")])
        self.check("bpf", "no BPF file system is mounted at /sys/fs/bpf")

    def test_a_directory_of_pins_that_others_may_enter_is_not_used(self):
        self.start()
        if not self.daemon.bpf_fs:
            self.skipTest("this machine mounts no BPF file system")
        self.daemon.stop()
        pins = f"/proc/{Run.lab.supervisor.process.pid}/root{self.daemon.bpf_fs}/virt-power"
        os.chmod(pins, 0o755)
        self.daemon.start()
        self.check("bpf", "is open to others")

    def test_without_a_cgroup_of_version_2_helpers_are_the_hosts_and_the_log_says_so_once(self):
        self.start()
        guests = [self.own_guest(name, SPIN_ONE) for name in ("one", "two")]
        with open(f"/proc/{guests[0].pid}/cgroup", encoding="ascii") as file:
            has_one = any(line.startswith("0::") and "qemu-" in line for line in file)
        Sample(self.daemon)
        self.assertEqual(0 if has_one else 1, len(self.log_lines("are counted as the host's")), self.daemon.logs())
