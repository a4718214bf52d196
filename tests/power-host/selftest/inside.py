# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the tests inside a power host share."""

import glob
import os

import configs

CONFIG = configs.by_name(os.environ["POWER_HOST_CONFIG"])
RESULTS = os.environ["POWER_HOST_RESULTS"]
CPU = "/sys/devices/system/cpu"


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read().strip()


def write(path, text):
    """In one write, as sysfs wants it; an error is the kernel's answer."""
    descriptor = os.open(path, os.O_WRONLY)
    try:
        os.write(descriptor, str(text).encode())
    finally:
        os.close(descriptor)


def cpus():
    """The numbers of all CPUs."""
    return sorted(int(path.rpartition("cpu")[2]) for path in glob.glob(f"{CPU}/cpu[0-9]*"))


def package_of(cpu):
    return int(read(f"{CPU}/cpu{cpu}/topology/physical_package_id"))


def file_systems():
    """{mount point: type}, of the uppermost where there are several."""
    with open("/proc/self/mounts", encoding="utf-8") as file:
        return {fields[1]: fields[2] for fields in map(str.split, file)}
