# SPDX-License-Identifier: LGPL-2.1-or-later
"""Archives that the kernel takes as an initramfs ("newc", Documentation/driver-api/early-userspace/buffer-format.rst)."""

import os
import stat

_END = "TRAILER!!!"


def _entry(number, name, mode, data):
    name = os.fsencode(name) + b"\0"
    values = (number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name), 0)
    head = b"070701" + b"".join(b"%08X" % value for value in values) + name
    return _padded(head) + _padded(data)


def _padded(data):
    return data + bytes(-len(data) % 4)


def archive(files, directories=()):
    """An archive of {path: (mode, bytes)}, and of the directories, which come before what is in them."""
    entries = [(name, stat.S_IFDIR | 0o755, b"") for name in directories]
    entries += [(name, stat.S_IFREG | mode, data) for name, (mode, data) in files.items()]
    return b"".join(_entry(number, *entry) for number, entry in enumerate([*entries, (_END, 0, b"")], start=1))
