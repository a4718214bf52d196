# SPDX-License-Identifier: LGPL-2.1-or-later
"""The machine: CPUs, mounts, devices, and the way of a command into it and of its results out of it."""

import fcntl
import os
import socket
import struct
import subprocess
import tempfile
import unittest

import configs
from inside import CONFIG, CPU, RESULTS, cpus, file_systems, read, write
from lab.guest import boot_sector
from lab.kernel import mount_points

TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000

# Tells QEMU, by its device for that, to end with status 0x10 * 2 + 1.
EXIT = """
ba f4 00                        ; mov dx, 0xf4
b0 10                           ; mov al, 0x10
ee                              ; out dx, al
eb fe                           ; jmp $
"""
EXIT_STATUS = 33


class Topology(unittest.TestCase):
    def _each(self, name):
        return [read(f"{CPU}/cpu{cpu}/topology/{name}") for cpu in cpus()]

    def test_packages_and_threads_are_the_configurations(self):
        self.assertEqual(cpus(), [0, 1, 2, 3])
        packages, siblings = self._each("physical_package_id"), self._each("thread_siblings_list")
        if CONFIG.smp == configs.TWO_PACKAGES:
            self.assertEqual(packages, ["0", "0", "1", "1"])
            self.assertEqual(siblings, ["0-1", "0-1", "2-3", "2-3"])
        else:
            self.assertEqual(packages, ["0"] * 4)
            self.assertEqual(siblings, ["0", "1", "2", "3"])

    def test_every_cpu_runs_something(self):
        for cpu in cpus():
            os.sched_setaffinity(0, {cpu})
            self.assertEqual(os.sched_getaffinity(0), {cpu})
        os.sched_setaffinity(0, set(cpus()))

    def test_a_cpu_goes_offline_and_comes_back(self):
        write(f"{CPU}/cpu3/online", 0)
        self.assertEqual(read(f"{CPU}/online"), "0-2")
        write(f"{CPU}/cpu3/online", 1)
        self.assertEqual(read(f"{CPU}/online"), "0-3")

    def test_frequency_changes_leave_the_clock_alone(self):
        self.assertEqual(read("/sys/devices/system/clocksource/clocksource0/current_clocksource"), "tsc")


class Root(unittest.TestCase):
    def test_file_systems_are_there(self):
        types = file_systems()
        for path, kind in {"/": "overlay", "/proc": "proc", "/sys": "sysfs", "/dev": "devtmpfs", "/dev/pts": "devpts",
                           "/dev/shm": "tmpfs", "/run": "tmpfs", "/sys/kernel/debug": "debugfs",
                           "/sys/kernel/tracing": "tracefs", "/sys/fs/bpf": "bpf", "/sys/fs/cgroup": "cgroup2"}.items():
            with self.subTest(path):
                self.assertEqual(types.get(path), kind)

    def test_it_can_be_written(self):
        with tempfile.NamedTemporaryFile(dir="/usr") as file:
            file.write(b"x")

    def test_no_file_system_of_the_outside_is_mounted(self):
        self.assertEqual([path for path in mount_points() if path.startswith("/mnt")], [])

    def test_cgroups_have_the_cpu_controller(self):
        self.assertIn("cpu", read("/sys/fs/cgroup/cgroup.subtree_control").split())

    def test_results_are_a_share(self):
        self.assertEqual(file_systems().get(RESULTS), "9p")
        with open(f"{RESULTS}/selftest", "w", encoding="utf-8") as file:
            file.write(CONFIG.name)
        self.assertEqual(read(f"{RESULTS}/selftest"), CONFIG.name)


class Command(unittest.TestCase):
    def test_directory_is_the_tree(self):
        self.assertTrue(os.path.samefile(os.getcwd(), f"{os.path.dirname(__file__)}/../../.."))

    def test_it_is_root(self):
        self.assertEqual(os.getuid(), 0)

    def test_output_can_be_opened_again(self):
        result = subprocess.run(["sh", "-c", "echo '    opened' >/dev/stderr"], check=False)
        self.assertEqual(result.returncode, 0)


class Devices(unittest.TestCase):
    def test_loopback_is_up(self):
        with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname(), 5):
            pass

    def test_tun_gives_an_interface(self):
        tun = os.open("/dev/net/tun", os.O_RDWR)
        try:
            fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", b"selftest0", IFF_TUN | IFF_NO_PI))
            self.assertTrue(os.path.isdir("/sys/class/net/selftest0"))
        finally:
            os.close(tun)

    def test_vhost_net_loads(self):
        os.close(os.open("/dev/vhost-net", os.O_RDWR))
        self.assertTrue(os.path.isdir("/sys/module/vhost_net"))

    def test_modules_load_by_name(self):
        subprocess.run(["modprobe", "dummy"], check=True)
        self.assertTrue(os.path.isdir("/sys/module/dummy"))

    def test_a_guest_runs_under_kvm(self):
        self.assertTrue(os.path.exists("/dev/kvm"), "no nested KVM")
        with tempfile.NamedTemporaryFile() as disk:
            disk.write(boot_sector(EXIT).ljust(1 << 20, b"\0"))
            disk.flush()
            result = subprocess.run(
                ["qemu-system-x86_64", "-nodefaults", "-display", "none", "-accel", "kvm", "-m", "16", "-drive",
                 f"file={disk.name},format=raw,if=ide", "-device", "isa-debug-exit,iobase=0xf4,iosize=1"],
                stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False)
        self.assertEqual(result.returncode, EXIT_STATUS, result.stderr)


class Kernel(unittest.TestCase):
    def test_the_module_is_loaded(self):
        self.assertTrue(os.path.isdir("/sys/module/power_host"))

    def test_btf_is_there(self):
        self.assertTrue(os.path.isfile("/sys/kernel/btf/vmlinux"))
