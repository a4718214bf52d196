# SPDX-License-Identifier: LGPL-2.1-or-later
"""What was prepared, by what it was prepared from: ~/.cache/virt-power/power-host/KIND-DIGEST."""

import contextlib
import fcntl
import glob
import hashlib
import os
import shutil
import signal
import subprocess
import tempfile
import time

from lab.build import KEEP_DAYS, cache_dir

_HALF = "half-"  # a name's beginning, of what is not finished


class PrepareError(RuntimeError):
    pass


class NoKernelError(PrepareError):
    """The kernel's packages cannot be had from here, which is no fault of what is here."""


def digest(*parts):
    """Of texts and bytes, each with its length, so that no two lists have the same."""
    total = hashlib.sha256()
    for part in parts:
        data = part if isinstance(part, bytes) else os.fsencode(part)
        total.update(b"%d:" % len(data) + data)
    return total.hexdigest()[:16]


def read(path):
    with open(path, "rb") as file:
        return file.read()


def write(path, data):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(data)


def step(what, argv, cwd=None):
    """Runs a command of the preparation; its output is shown only if it fails. It ends with us."""
    process = subprocess.Popen(argv, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               text=True, errors="replace", start_new_session=True, env={**os.environ, "LC_ALL": "C.UTF-8"})
    try:
        output = process.communicate()[0]
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise
    if process.returncode != 0:
        tail = "\n".join(output.rstrip().splitlines()[-25:])
        raise PrepareError(f"{tail}\n{what} failed (status {process.returncode}); the end of its output is above")
    return output


def _remove_old(base, kind):
    for half in glob.glob(f"{glob.escape(base)}/{_HALF}*"):  # whoever made it was killed: the lock is ours
        shutil.rmtree(half, ignore_errors=True)
    for path in glob.glob(f"{glob.escape(base)}/{kind}-*"):
        if os.path.getmtime(path) < time.time() - KEEP_DAYS * 86400:
            shutil.rmtree(path, ignore_errors=True)


def prepared(kind, key, make):
    """The directory that make(DIRECTORY) filled, once for each key; nobody ever sees half of one."""
    base = os.path.join(cache_dir(), "power-host")
    path = os.path.join(base, f"{kind}-{key}")
    if not os.path.isdir(path):
        os.makedirs(base, exist_ok=True)
        with open(f"{base}/lock", "wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            _remove_old(base, kind)
            if not os.path.isdir(path):
                half = tempfile.mkdtemp(prefix=_HALF, dir=base)
                try:
                    make(half)
                    os.chmod(half, 0o755)
                    os.rename(half, path)
                finally:
                    shutil.rmtree(half, ignore_errors=True)
    os.utime(path)
    return path
