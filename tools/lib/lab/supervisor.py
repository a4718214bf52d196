# SPDX-License-Identifier: LGPL-2.1-or-later
"""A process that starts what a run needs and ends all of it, guests included,
when the run says so or dies in whatever way.

It is a subreaper: a QEMU that daemonised itself, or a child of a daemon that
was killed, becomes its child. It holds one end of a socket pair; the run holds
the other, so that the end of the run, by SIGKILL too, is an end of file here.

Commands and answers are JSON lines, one answer for each command.
"""

import glob
import json
import os
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import time

if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lab import kernel  # noqa: E402

GRACE_S = 8.0
STOPPING = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}


class Supervisor:
    def __init__(self, control_fd, run_dir):
        self.run_dir = run_dir
        self.control = socket.socket(fileno=control_fd)
        self.buffer = b""
        self.started = {}  # pid -> Popen
        self.ended = {}    # pid -> exit status
        self.guest_names = set()
        self.bpf_mounts = []
        self.detached = False
        self.stop = False
        self.had_machine_group = {m for m in kernel.cgroup_mounts() if os.path.isdir(f"{m}/machine")}

    def run(self):
        kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)
        wake_read, wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, self._on_term)
        for ignored in (signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
            signal.signal(ignored, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)
        os.mkdir(self.run_dir, 0o755)
        self.control.sendall(b"{}\n")
        selector = selectors.DefaultSelector()
        selector.register(wake_read, selectors.EVENT_READ)
        selector.register(self.control, selectors.EVENT_READ)
        try:
            while not self.stop:
                for key, _ in selector.select():
                    if key.fileobj is self.control:
                        self._serve(selector)
                    else:
                        os.read(wake_read, 4096)
                self._reap()
        finally:
            self._clean_up()

    def _on_term(self, *_):
        self.stop = True

    def _serve(self, selector):
        try:
            data = self.control.recv(65536)
        except OSError:
            data = b""
        if not data:
            selector.unregister(self.control)
            self.stop = self.stop or not self.detached
            return
        self.buffer += data
        while b"\n" in self.buffer:
            line, self.buffer = self.buffer.split(b"\n", 1)
            command = json.loads(line)
            try:
                answer = getattr(self, "do_" + command.pop("do"))(**command)
            except OSError as error:
                answer = {"error": str(error)}
            except subprocess.SubprocessError as error:
                answer = {"error": str(error)}
            try:
                self.control.sendall(json.dumps(answer).encode() + b"\n")
            except OSError:
                pass

    def do_start(self, argv, log=None, env=None, binds=(), uid=None, reach=(), cwd=None):
        """binds: [source, target] in a mount namespace of its own; uid: as another user, who can reach these
        directories also where they lie in somebody's home."""
        out = open(log, "ab") if log else subprocess.DEVNULL

        def prepare():
            for default in (signal.SIGINT, signal.SIGHUP, signal.SIGPIPE, signal.SIGTERM):
                signal.signal(default, signal.SIG_DFL)
            signal.set_wakeup_fd(-1)
            kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
            if binds or reach:
                kernel.unshare_mounts()
                for source, target in binds:
                    kernel.bind_mount(source, target)
                kernel.open_way_to(reach)

        if uid is not None:
            argv = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "--", *argv]
        before = kernel.mount_points()
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                                   env=env, cwd=cwd, preexec_fn=prepare, start_new_session=True)
        if log:
            out.close()
        self.started[process.pid] = process
        if (binds or reach) and (leaked := self._leaked_mounts(before, [target for _, target in binds] + list(reach))):
            self._kill(process.pid, signal.SIGKILL)
            return {"error": f"a mount on {leaked} is seen outside its namespace: make / private"}
        return {"pid": process.pid}

    @staticmethod
    def _leaked_mounts(before, targets):
        """Undoes mounts that got out of the namespace; the first of them, or None."""
        leaked = [point for point in kernel.mount_points() if point not in before and any(
            os.path.realpath(target).startswith(point) for target in targets)]
        for point in leaked:
            kernel.unmount(point)
        return leaked[0] if leaked else None

    def do_bpf_fs(self, path):
        """Mounts one there, in a mount namespace of this process's own: what is pinned there goes with it."""
        if not self.bpf_mounts:
            kernel.unshare_mounts()
        os.mkdir(path)
        kernel.mount_bpf(path)
        self.bpf_mounts.append(path)
        return {}

    def do_signal(self, pid, number):
        if pid in self.started:  # else the number may be another process's by now
            self._kill(pid, number)
        return {}

    def do_status(self, pid):
        """null while it runs."""
        self._reap()
        return {"status": self.ended.get(pid)}

    def do_descendants(self):
        return {"pids": kernel.descendants(os.getpid())}

    def do_guest(self, name):
        """A guest's name, so that its cgroups can be removed."""
        self.guest_names.add(name)
        return {}

    def do_detach(self):
        self.detached = True
        with open(os.devnull, "r+b") as nothing:  # who reads the run's output waits for its end
            for stream in (1, 2):
                os.dup2(nothing.fileno(), stream)
        return {"pid": os.getpid()}

    def do_quit(self):
        self.stop = True
        return {}

    @staticmethod
    def _kill(pid, number):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass

    def _reap(self):
        """At once: libvirt takes a zombie for a guest that still runs."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid in self.started:
                self.ended[pid] = os.waitstatus_to_exitcode(status)
                self.started.pop(pid).returncode = self.ended[pid]

    def _wait_until(self, condition, seconds):
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
            self._reap()
        return True

    def _clean_up(self):
        me = os.getpid()
        daemons = set(self.started)

        def strangers():
            return [pid for pid, parent in kernel.parents().items() if parent == me and pid not in daemons]

        # Guests first: a daemon that sees them end removes what belongs to them.
        # Asked first: a stranger may be another run's supervisor.
        for number, seconds in ((signal.SIGTERM, 3), (signal.SIGKILL, GRACE_S)):
            for pid in strangers():
                self._kill(pid, number)
            self._wait_until(lambda: not strangers(), seconds)
        self._wait_until(lambda: not (daemons & set(self.started)) or not self._groups(), 2.0)
        for pid in list(self.started):
            try:
                os.killpg(pid, signal.SIGTERM)  # a build's children too
            except ProcessLookupError:
                pass
        self._wait_until(lambda: not self.started, GRACE_S)
        while kernel.descendants(me):
            for pid in kernel.descendants(me):
                self._kill(pid, signal.SIGKILL)
            self._wait_until(lambda: not kernel.descendants(me), 0.2)
        self._remove_groups()
        for path in self.bpf_mounts:
            kernel.unmount(path)
        shutil.rmtree(self.run_dir, ignore_errors=True)

    def _groups(self):
        return [path for mount in kernel.cgroup_mounts() for name in self.guest_names
                for path in glob.glob(f"{mount}/machine/*-{glob.escape(name)}.libvirt-qemu")]

    def _remove_groups(self):
        for top in self._groups():
            for directory, _, _ in os.walk(top, topdown=False):
                try:
                    os.rmdir(directory)
                except OSError:
                    pass
        for mount in kernel.cgroup_mounts():
            if mount not in self.had_machine_group:
                try:
                    os.rmdir(f"{mount}/machine")  # only if empty
                except OSError:
                    pass


class SupervisorError(RuntimeError):
    pass


class Handle:
    """The run's end of the pair."""

    def __init__(self, run_dir):
        ours, theirs = socket.socketpair()
        self._socket = ours
        self._file = ours.makefile("rb")
        # A signal in here would lose the handle.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
        try:
            self.process = subprocess.Popen(
                ["/usr/bin/python3", "-B", os.path.abspath(__file__), str(theirs.fileno()), run_dir],
                pass_fds=[theirs.fileno()], start_new_session=True, stdin=subprocess.DEVNULL)
            theirs.close()
            if not self._file.readline():
                raise SupervisorError("the supervisor did not start")
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def call(self, do, **arguments):
        self._socket.sendall(json.dumps({"do": do, **arguments}).encode() + b"\n")
        line = self._file.readline()
        if not line:
            raise SupervisorError("the supervisor has gone")
        answer = json.loads(line)
        if "error" in answer:
            raise SupervisorError(answer["error"])
        return answer

    def close(self):
        """Ends everything and waits for it."""
        try:
            self.call("quit")
        except (OSError, SupervisorError):
            pass
        self._socket.close()
        self.process.wait()


if __name__ == "__main__":
    Supervisor(int(sys.argv[1]), sys.argv[2]).run()
