# SPDX-License-Identifier: LGPL-2.1-or-later
"""One boot: QEMU's command line, the command's output as it comes, its status or why there is none."""

import contextlib
import math
import os
import re
import secrets
import select
import selectors
import shlex
import signal
import subprocess
import time

import cpio
from lab import kernel
from lab.signals import default_signals

CRASHED, ENDED, LATE = 70, 71, 124
CONSOLE_LINES = 30
CAUSE_LINES = 120  # of a crash, from its cause on
CAUSE = re.compile(r"BUG: |divide error|Oops|general protection|Unable to handle|Kernel panic")
DRAIN_S = 20  # for output that is on its way when the status is there
LOST_DRAIN_S = 1  # for what is still coming when a part of it is known to be lost
# On a busy machine QEMU may be late by the time in which the kernel measures its timer, which is then far off, for good.
MISMEASURED = "APIC calibration not consistent"
POLL_S = 1
WARNINGS = re.compile(r"WARNING: |BUG: |INFO: .*(detected|blocked)|UBSAN: |Out of memory: ")
PASSED_ON = ("HOME", "LANG", "TERM", "TMPDIR", "XDG_CACHE_HOME")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
OWN_MOUNTS = ("/dev", "/proc", "/run", "/sys")  # what is below them outside is not seen inside
COMMAND_LINE = ("console=ttyS0 loglevel=5 panic=-1 oops=panic rdinit=/init mitigations=off nmi_watchdog=0 watchdog_thresh=60 "
                "tsc=reliable lpj=10400000 no_timer_check cryptomgr.notests random.trust_cpu=on rcupdate.rcu_expedited=1 "
                "apparmor=0 audit=0 "
                # Else the first memory cgroup patches code that all CPUs run, at which the emulation may stand still for minutes.
                "cgroup.memory=nokmem")
CPU = "max,la57=off,vendor=GenuineIntel,family=6,model=26"  # Nehalem by its number, so that frequency changes leave the TSC alone


class OutputError(RuntimeError):
    pass


class NotReadError(RuntimeError):
    """Nobody took the output in time."""


class Stream:
    """Copies what comes to a descriptor, up to the mark that tells its end, which is not copied."""

    def __init__(self, mark, target, deadline=math.inf):
        self.mark, self.target, self.deadline = mark, target, deadline
        self.held = b""  # may be the mark's beginning
        self.ended = False

    def feed(self, data):
        if self.ended:
            return
        data = self.held + data
        at = data.find(self.mark)
        if at >= 0:
            self.ended, self.held = True, b""
            self._put(data[:at])
            return
        keep = next((n for n in range(min(len(self.mark) - 1, len(data)), 0, -1) if self.mark.startswith(data[-n:])), 0)
        self.held = data[len(data) - keep:]
        self._put(data[:len(data) - keep])

    def flush(self):
        self._put(self.held)
        self.held = b""

    def _put(self, data):
        poll = select.poll()
        poll.register(self.target, select.POLLOUT)
        while data:
            left = self.deadline - time.monotonic()
            if left <= 0:
                raise NotReadError
            if not poll.poll(min(left, POLL_S) * 1000):
                continue
            try:
                # What poll() promises room for: more would wait for a reader.
                data = data[os.write(self.target, data[:select.PIPE_BUF]):]
            except BlockingIOError:
                time.sleep(0.01)
            except BrokenPipeError:
                raise
            except OSError as error:
                raise OutputError(f"the command's output cannot be written: {error.strerror}") from None


def is_hidden(path):
    """Whether it is below what the machine has of its own."""
    return path.startswith("/") and os.path.realpath(path).startswith(tuple(f"{mount}/" for mount in OWN_MOUNTS))


def _command_file(command, directory, config):
    environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ and not is_hidden(os.environ[name])}
    environment |= {"PATH": PATH, "POWER_HOST_CONFIG": config.name, "POWER_HOST_RESULTS": "/run/power-host/results"}
    assigned = " ".join(f"{name}={shlex.quote(value)}" for name, value in environment.items())
    return f"cd {shlex.quote(directory)} || exit 126\nexec env -i {assigned} {shlex.join(command)}\n".encode()


def _own_initramfs(prepared, config, command, directory, token):
    """What differs from boot to boot, as an archive that follows the prepared one."""
    values = {"acpi_cpufreq": int(config.acpi_cpufreq), "module_arguments": config.module_arguments,
              "modules_directory": prepared.kernel.modules, "release": prepared.kernel.release, "token": token}
    text = "".join(f"{name}={shlex.quote(str(value))}\n" for name, value in values.items())
    with open(prepared.module, "rb") as file:
        module = file.read()
    return cpio.archive({"run.env": (0o644, text.encode()), "command": (0o755, _command_file(command, directory, config)),
                         "power_host.ko": (0o644, module)})


def _escaped(path):
    """As a value among others in one of QEMU's options."""
    return path.replace(",", ",,")


def _argv(prepared, config, run_dir, results, ports):
    def share(tag, path, options):
        return ["-fsdev", f"local,id={tag},path={_escaped(path)},security_model=none,multidevs=remap{options}",
                "-device", f"virtio-9p-pci,fsdev={tag},mount_tag={tag}"]

    argv = ["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
            "-machine", "pc,usb=off", "-accel", "tcg,thread=multi", "-cpu", CPU, "-smp", config.smp, "-m", "3072",
            "-kernel", prepared.kernel.vmlinux, "-initrd", f"{run_dir}/initramfs", "-append", COMMAND_LINE,
            "-chardev", f"file,id=console,path={_escaped(run_dir)}/console.log", "-serial", "chardev:console",
            *share("root", "/", ",readonly=on"), *share("results", results, ""),
            "-device", "virtio-serial-pci"]
    for number, port in enumerate(ports, start=1):
        argv += ["-add-fd", f"fd={port},set={number}", "-chardev", f"file,id=port{number},path=/dev/fdset/{number},append=on",
                 "-device", f"virtserialport,nr={number},chardev=port{number}"]
    if config.acpi_cpufreq:
        argv += ["-acpitable", f"file={_escaped(prepared.pstates)}"]
    return argv


def crash_lines(console):
    """From its cause on; of one that is too long the end, too."""
    first = next(number for number, line in enumerate(console) if CAUSE.search(line))
    lines = console[first:]
    if len(lines) > CAUSE_LINES:
        lines = [*lines[:CAUSE_LINES - CONSOLE_LINES], "...", *lines[-CONSOLE_LINES:]]
    return _indented(lines)


def _indented(lines):
    return "\n".join(f"    {line}" for line in lines)


class Machine:
    """A boot in progress. A context manager: on leaving it, QEMU is gone."""

    def __init__(self, prepared, config, run_dir, results, command, directory):
        self.run_dir = run_dir
        self.status = None
        self.began_s = None  # after the start, when the command began
        self.mismeasured = False  # and so ended before the command began: to be booted anew
        self.lost = False  # what copied the output ended before the command did
        self.unread = False  # nobody took the output in time
        token = f"power-host-end-{secrets.token_hex(8)}"
        with open(f"{run_dir}/initramfs", "wb") as target:
            with open(prepared.initramfs, "rb") as source:
                target.write(source.read())
            target.write(_own_initramfs(prepared, config, command, directory, token))
        pipes = [os.pipe() for _ in range(3)]
        self.readers = [reader for reader, _ in pipes]
        writers = [writer for _, writer in pipes]
        self.streams = [Stream(token.encode(), 1), Stream(token.encode(), 2)]
        self.told = b""
        self.begun = time.monotonic()
        parent = os.getpid()

        def follow_parent():
            kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:
                os._exit(1)
            default_signals()

        try:
            with open(f"{run_dir}/qemu.log", "wb") as log:
                self.qemu = subprocess.Popen(_argv(prepared, config, run_dir, results, writers), pass_fds=writers,
                                             stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                                             preexec_fn=follow_parent)
        finally:
            for writer in writers:
                os.close(writer)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.qemu.kill()
        self.qemu.wait()
        for reader in self.readers:
            os.close(reader)

    @property
    def seconds(self):
        return time.monotonic() - self.begun

    def _told(self, data):
        """The machine's own lines: that the command began, and its status."""
        self.told += data
        *lines, self.told = self.told.split(b"\n")
        for line in lines:
            word, _, value = line.decode(errors="replace").partition(" ")
            if word == "began":
                self.began_s = self.seconds
            elif word == "status":
                self.status = int(value)
            elif word == "lost":
                self.lost = True

    def run(self, timeout_s):
        """Until the command's status and all of its output are here, QEMU ends, time is over or the boot is no good."""
        takers = {self.readers[0]: self.streams[0].feed, self.readers[1]: self.streams[1].feed, self.readers[2]: self._told}
        deadline = self.begun + timeout_s
        for stream in self.streams:
            stream.deadline = deadline
        try:
            self._copy(takers, deadline)
            for stream in self.streams:
                stream.flush()
        except NotReadError:
            self.unread = True

    def _copy(self, takers, deadline):
        with selectors.DefaultSelector() as selector:
            for reader in takers:
                selector.register(reader, selectors.EVENT_READ)
            while selector.get_map() and not (self.status is not None and all(stream.ended for stream in self.streams)):
                left = deadline - time.monotonic()
                if left <= 0:
                    break
                if self.began_s is None and any(MISMEASURED in line for line in self.log_lines("console.log")):
                    self.mismeasured = True
                    return
                events = selector.select(min(left, self._wait_s()))
                if not events and self.status is not None:
                    break
                for key, _ in events:
                    data = os.read(key.fd, 1 << 16)
                    if data:
                        takers[key.fd](data)
                    else:
                        selector.unregister(key.fd)

    def _wait_s(self):
        """How long nothing may come before there is something to look after."""
        if self.status is not None:
            return LOST_DRAIN_S if self.lost else DRAIN_S
        return math.inf if self.began_s else POLL_S

    def log_lines(self, name):
        with contextlib.suppress(OSError), open(f"{self.run_dir}/{name}", encoding="utf-8", errors="replace") as file:
            return [line.rstrip() for line in file.read().splitlines() if line.strip()]
        return []

    def outcome(self, timeout_s):
        """Status for the caller, and what there is to say of it, if anything."""
        console = self.log_lines("console.log")
        if self.unread:
            return LATE, f"nobody read the command's output within {timeout_s:g} s"
        if self.status is not None and not all(stream.ended for stream in self.streams):
            return ENDED, (f"the command's output ended before the command did (status {self.status}), and a part of it is lost: "
                           "the processes that copy it inside were killed, or are stuck")
        if self.status is not None:
            warned = [line for line in console if WARNINGS.search(line)]
            return self.status, "\n".join(["the kernel inside warned:", *warned]) if warned else None
        tail = _indented([*console[-CONSOLE_LINES:], *self.log_lines("qemu.log")[-5:]])
        if any("Kernel panic" in line for line in console):
            return CRASHED, f"the kernel inside died after {self.seconds:.0f} s; the console's lines of it:\n{crash_lines(console)}"
        with contextlib.suppress(subprocess.TimeoutExpired):
            status = self.qemu.wait(1)
            return ENDED, (f"QEMU ended (status {status}) after {self.seconds:.0f} s, before the command did; "
                           f"the console's last lines:\n{tail}")
        what = "the command did not end" if self.began_s else "the machine had not booted, and the command not begun,"
        return LATE, f"{what} within {timeout_s:g} s; the console's last lines:\n{tail}"
