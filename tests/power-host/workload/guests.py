# SPDX-License-Identifier: LGPL-2.1-or-later
"""Starts guests of guest.S: QEMU directly, without libvirt, as a libvirt daemon would."""

import contextlib
import functools
import os
import signal
import subprocess
import tempfile
import time
import uuid as uuid_module
from dataclasses import dataclass, field

HERE = os.path.dirname(os.path.abspath(__file__))
CGROUP = "/sys/fs/cgroup"
PARAMETERS_AT = 0x1E0  # in the image, see guest.S
PERIOD = 20  # ticks; the finest step of a duty cycle is one of them
WORK = {"spin": 1, "memory": 2, "disk": 4, "net": 8}
IMAGE_BYTES = 32 << 20
START_S = 240  # on a simulated machine that has to share its processors


class GuestError(Exception):
    pass


@functools.cache
def assembled():
    """guest.S as the first sectors of a disk; binutils come with the compiler."""
    with tempfile.TemporaryDirectory() as directory:
        target, image = f"{directory}/guest.o", f"{directory}/guest.bin"
        subprocess.run(["as", "--32", "-o", target, f"{HERE}/guest.S"], check=True)
        subprocess.run(["ld", "-m", "elf_i386", "-Ttext", "0x7c00", "--oformat", "binary", "-o", image, target],
                       check=True)
        with open(image, "rb") as file:
            return file.read()


def kvm_works():
    """Whether a guest of an accelerated QEMU comes up here: the device alone does not say."""
    argv = ["qemu-system-x86_64", "-accel", "kvm", "-nodefaults", "-display", "none", "-S", "-monitor", "stdio"]
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        done = subprocess.run(argv, input="quit\n", text=True, capture_output=True, timeout=30, check=False)
        return done.returncode == 0 and "failed" not in done.stderr
    return False


def cpu_list(cpus):
    """{0, 1, 4} from "0-1,4"."""
    found = set()
    for part in cpus.split(","):
        first, _, last = part.partition("-")
        found |= set(range(int(first), int(last or first) + 1))
    return found


@dataclass
class Guest:
    name: str
    work: tuple = ("spin",)  # keys of WORK
    duty_percent: int = 100  # 0: halts; else in steps of 5
    vcpus: int = 1
    memory_mib: int = 8  # that are touched
    pin: tuple = ()  # for each vCPU a list of CPUs; empty: not pinned
    net: str = ""  # "", "udp", "tap", "vhost"
    accel: str = "tcg"
    uuid: str = field(default_factory=lambda: str(uuid_module.uuid4()))
    process: subprocess.Popen = None

    @property
    def pid(self):
        return self.process.pid

    def start(self, directory, held=False):
        """Returns at once; wait_until_working() then says when it works. One that is held has its pid, and does nothing until
        release(), as libvirt holds it until its cgroup is there."""
        self.log, self.console = f"{directory}/{self.name}.log", f"{directory}/{self.name}.console"
        for path in (self.log, self.console):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
        argv = self._argv(directory)
        if held:
            argv = ["sh", "-c", 'read -r _; exec "$@" </dev/null', "sh", *argv]
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(argv, stdin=subprocess.PIPE if held else subprocess.DEVNULL, stdout=log, stderr=log,
                                            preexec_fn=self.enter_cgroup)
        return self

    def release(self):
        self.process.stdin.write(b"\n")
        self.process.stdin.close()

    def _image(self, directory):
        code = bytearray(assembled())
        on = round(self.duty_percent * PERIOD / 100)
        code[PARAMETERS_AT:PARAMETERS_AT + 4] = bytes([sum(WORK[key] for key in self.work), on, self.vcpus, self.memory_mib])
        path = f"{directory}/{self.name}.img"
        with open(path, "wb") as file:
            file.write(code)
            file.truncate(IMAGE_BYTES)
        return path

    def _argv(self, directory):
        accel = "kvm" if self.accel == "kvm" else "tcg,thread=multi,tb-size=8"
        argv = ["qemu-system-x86_64", "-name", f"guest={self.name},debug-threads=on", "-uuid", self.uuid,
                "-accel", accel, "-machine", "pc", "-m", str(16 + self.memory_mib), "-smp", str(self.vcpus),
                "-nodefaults", "-no-user-config", "-display", "none", "-debugcon", f"file:{self.console}",
                "-global", "isa-debugcon.iobase=0xe9",
                "-drive", f"file={self._image(directory)},format=raw,if=virtio,cache=writeback"]
        if self.net == "udp":
            # Port 9 is discard: frames leave by QEMU's backend and go nowhere.
            netdev = "socket,udp=127.0.0.1:9,localaddr=127.0.0.1:0"
        elif self.net:
            vhost = "on" if self.net == "vhost" else "off"
            netdev = f"tap,ifname=vpt-{self.uuid[:8]},script={HERE}/tap-up,downscript=no,vhost={vhost}"
        else:
            return argv
        return argv + ["-netdev", f"{netdev},id=n0", "-device", "virtio-net-pci,disable-modern=on,romfile=,netdev=n0"]

    def enter_cgroup(self):
        """A cgroup such as libvirt's, so that helpers and vhost workers are found by it."""
        if not os.path.exists(f"{CGROUP}/cgroup.controllers"):
            return
        path = self._cgroup()
        with contextlib.suppress(OSError):
            os.makedirs(path, exist_ok=True)
            with open(f"{path}/cgroup.procs", "w", encoding="ascii") as file:
                file.write(str(os.getpid()))

    def _cgroup(self):
        return f"{CGROUP}/machine.slice/machine-qemu-{self.uuid[:8]}.scope"

    def wait_until_working(self, seconds=START_S):
        deadline = time.monotonic() + seconds
        said = b""
        while b"W" not in said:
            if self.process.poll() is not None or b"E" in said or time.monotonic() > deadline:
                with open(self.log, encoding="utf-8", errors="replace") as file:
                    why = file.read().strip()
                self.stop()
                raise GuestError(f"the guest {self.name} does not work: {why or 'no reason given'} (console: {said!r})")
            time.sleep(0.1)
            with contextlib.suppress(FileNotFoundError), open(self.console, "rb") as file:
                said = file.read()
        for vcpu, cpus in enumerate(self.pin):
            self.pin_vcpu(vcpu, cpus)

    def vcpu_threads(self):
        """Thread ids in the vCPUs' order, told by the names that QEMU gives them."""
        found = {}
        for tid in os.listdir(f"/proc/{self.pid}/task"):
            with open(f"/proc/{self.pid}/task/{tid}/comm", encoding="utf-8") as file:
                name = file.read().strip()
            if name.startswith("CPU ") and "/" in name:
                found[int(name[4:name.index("/")])] = int(tid)
        return [found[vcpu] for vcpu in sorted(found)]

    def pin_vcpu(self, vcpu, cpus):
        os.sched_setaffinity(self.vcpu_threads()[vcpu], cpu_list(str(cpus)))

    def pin_all(self, cpus):
        """All of its threads, those of its devices too."""
        for tid in os.listdir(f"/proc/{self.pid}/task"):
            with contextlib.suppress(ProcessLookupError):
                os.sched_setaffinity(int(tid), cpu_list(str(cpus)))

    def stop(self):
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
        self.leave_cgroup()

    def leave_cgroup(self):
        """Removes it, if nothing is in it any more."""
        with contextlib.suppress(OSError):
            os.rmdir(self._cgroup())
