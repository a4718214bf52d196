# SPDX-License-Identifier: LGPL-2.1-or-later
"""Builds libvirt and this project where a cache has neither, and shows how far it is."""

import contextlib
import fcntl
import glob
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time

from lab.daemon import LabError

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
LIBVIRT = "11.3.0"  # what the demo runs
VERSIONS = ["11.3.0", "9.0.0"]  # those there are patches for
PLAIN = ["-Dtests=disabled"]  # what the demo runs and live tests are run on
QUIET_S = 20  # where no terminal shows a moving figure
STAMP = "virt-power-options"
KEEP_DAYS = 14  # what nobody used for so long is built anew


def cache_dir():
    path = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "virt-power")
    os.makedirs(path, exist_ok=True)
    return path


def build_dir(kind):
    """One per clone and kind, outside the tree."""
    clone = hashlib.sha256(os.fsencode(TOP)).hexdigest()[:10]
    return os.path.join(cache_dir(), f"build-{clone}-{kind}")


def remove_old_builds():
    """Of clones that were not built for long, and may be gone."""
    for stamp in glob.glob(f"{glob.escape(cache_dir())}/build-*/{STAMP}"):
        directory = os.path.dirname(stamp)
        with contextlib.suppress(OSError), open(directory + ".lock", "ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.getmtime(stamp) < time.time() - KEEP_DAYS * 86400:
                shutil.rmtree(directory)


class Progress:
    """One line on a terminal that moves; elsewhere a line now and then."""

    def __init__(self, title, stream=sys.stderr):
        self.title, self.stream = title, stream
        self.tty = stream.isatty()
        self.begun = self.last = time.monotonic()
        self.shown = False
        self.text = ""

    def update(self, text):
        now = time.monotonic()
        text = re.sub(r"^build-libvirt: (.*: (?=\d+ %))?", "", text)
        if self.tty or (now - self.last > QUIET_S and text != self.text):
            self.last, self.text = now, text
            self._put(f"{self.title}: {text} ({now - self.begun:.0f} s)")

    def _put(self, line):
        if self.tty:
            columns = shutil.get_terminal_size().columns
            self.stream.write("\r\x1b[K" + line[:columns - 1])
        else:
            self.stream.write(line + "\n")
        self.stream.flush()
        self.shown = True

    def done(self):
        if self.shown and self.tty:
            self.stream.write("\r\x1b[K")
            self.stream.flush()


def _last_line(path):
    """What a log says last, as text for one line."""
    try:
        with open(path, "rb") as file:
            file.seek(max(0, os.path.getsize(path) - 4096))
            lines = file.read().decode(errors="replace").replace("\r", "\n").split("\n")
    except OSError:
        return ""
    lines = [re.sub(r"[^\x20-\x7e]", "", line).strip() for line in lines]
    return next((line for line in reversed(lines) if line), "")


def run_step(supervisor, title, argv, log, env=None, cwd=TOP, quiet=False, check=True):
    """Runs argv below the supervisor, so that it ends with the run. Returns status and
    output; raises with the output's tail if it fails and check is set."""
    with open(log, "wb"):
        pass
    progress = None if quiet else Progress(title)
    pid = supervisor.call("start", argv=argv, log=log, env=env or dict(os.environ), cwd=cwd)["pid"]
    try:
        while (status := supervisor.call("status", pid=pid)["status"]) is None:
            time.sleep(0.1)
            if progress:
                progress.update(_last_line(log))
    finally:
        if progress:
            progress.done()
    with open(log, encoding="utf-8", errors="replace") as file:
        text = file.read()
    if check and status != 0:
        tail = "\n".join(text.splitlines()[-25:])
        raise LabError(f"{tail}\n{title} failed (status {status}); the end of its output is above")
    return status, text


@contextlib.contextmanager
def locked(directory, title):
    """A build directory is used by one at a time."""
    with open(directory + ".lock", "wb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"{title}: another build is under way, waiting for it", file=sys.stderr)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def libvirt_prefix(version=LIBVIRT):
    return subprocess.run([f"{TOP}/tools/build-libvirt", "--print-prefix", version], check=True, text=True,
                          stdout=subprocess.PIPE, stdin=subprocess.DEVNULL).stdout.strip()


def build_libvirt(supervisor, run_dir, version=LIBVIRT, quiet=False):
    """The prefix of the patched libvirt; builds it if it is not there."""
    prefix = libvirt_prefix(version)
    if not os.path.exists(f"{prefix}/sbin/libvirtd"):
        print(f"building libvirt {version} with the patches, once; it takes some minutes", file=sys.stderr)
    run_step(supervisor, f"libvirt {version}", [f"{TOP}/tools/build-libvirt", version], f"{run_dir}/libvirt.log",
             quiet=quiet)
    return prefix


def build_project(supervisor, run_dir, kind, options=(), env=None, targets=(), quiet=False):
    """This project's build directory, up to date."""
    directory = build_dir(kind)
    stamp = f"{directory}/{STAMP}"
    wanted = repr((list(options), sorted((env or {}).items())))
    title = f"virt-power ({kind})"
    environment = {**os.environ, **(env or {})}
    with locked(directory, title):
        have = None
        with contextlib.suppress(OSError), open(stamp, encoding="utf-8") as file:
            have = file.read()
        if have != wanted:
            shutil.rmtree(directory, ignore_errors=True)
            run_step(supervisor, f"{title}: setup", ["meson", "setup", directory, TOP, *options],
                     f"{run_dir}/setup-{kind}.log", env=environment, quiet=quiet)
            remove_old_builds()
        with open(stamp, "w", encoding="utf-8") as file:
            file.write(wanted)
        run_step(supervisor, f"{title}: build", ["ninja", "-C", directory, *targets],
                 f"{run_dir}/build-{kind}.log", env=environment, quiet=quiet)
    return directory
