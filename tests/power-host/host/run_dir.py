# SPDX-License-Identifier: LGPL-2.1-or-later
"""A boot's temporary directory, which goes with the boot; what a killed runner left goes at the next start."""

import contextlib
import fcntl
import glob
import os
import shutil
import tempfile

_PREFIX = "power-host-run."


def _open(path):
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)


def _is_at(handle, path):
    with contextlib.suppress(OSError):
        return os.path.samestat(os.fstat(handle), os.stat(path, follow_symlinks=False))
    return False


def _remove_left():
    """Those that nobody locks: whoever made them is gone, whatever his number was and wherever it counted."""
    for path in glob.glob(f"{glob.escape(tempfile.gettempdir())}/{_PREFIX}*"):
        with contextlib.suppress(OSError):
            handle = _open(path)
            try:
                if os.fstat(handle).st_uid == os.geteuid():
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(path, ignore_errors=True)
            finally:
                os.close(handle)


@contextlib.contextmanager
def run_dir():
    _remove_left()
    while True:
        path = tempfile.mkdtemp(prefix=_PREFIX)
        try:
            handle = _open(path)
        except FileNotFoundError:
            continue  # another start found it before it was locked
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            if _is_at(handle, path):
                yield path
                return
        finally:
            shutil.rmtree(path, ignore_errors=True)
            os.close(handle)
