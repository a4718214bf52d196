# SPDX-License-Identifier: LGPL-2.1-or-later
"""All that a boot needs: kernel, module, ACPI table, initramfs."""

import os
import shutil
from dataclasses import dataclass

import cache
import cpio
from kernel_files import Kernel, module_bytes, prepared_kernel

HERE = os.path.dirname(os.path.abspath(__file__))
POWER_HOST = os.path.dirname(HERE)
MODULE = f"{POWER_HOST}/module"
NESTED = f"{POWER_HOST}/nested"

# Loaded in this order, from memory: over 9p each would take longer than all of them so.
FOR_ROOT = ("virtio_pci", "virtio_console", "9p", "9pnet_virtio", "overlay")
FOR_CPUFREQ = ("acpi_cpufreq", "cpufreq_userspace", "cpufreq_ondemand", "cpufreq_conservative", "cpufreq_powersave")
FOR_GUESTS = ("kvm_amd",)
IN_MEMORY = {"root": FOR_ROOT, "cpufreq": FOR_CPUFREQ, "guests": FOR_GUESTS}
BUSYBOX = "/bin/busybox"


@dataclass
class Prepared:
    kernel: Kernel
    module: str  # power_host.ko
    pstates: str  # the ACPI table
    initramfs: str


def _module_sources(source):
    if not os.path.isdir(source):
        raise cache.PrepareError(f"{source}: there is no module; it must be a directory with its source")
    found = {}
    for directory, below, names in os.walk(source):
        below.sort()
        for name in sorted(names):
            if name.endswith((".c", ".h")) or name in ("Makefile", "Kbuild"):
                path = os.path.join(directory, name)
                found[os.path.relpath(path, source)] = cache.read(path)
    return found


def _module(kernel, source, module):
    """Where the source's module is, built for the kernel."""
    sources = _module_sources(source)

    def make(directory):
        for name, data in sources.items():
            cache.write(f"{directory}/{name}", data)
        cache.step("the module's build", ["make", "-C", kernel.headers, f"M={directory}", "modules"])
        for name in os.listdir(directory):
            if name != module:
                path = f"{directory}/{name}"
                shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)
        if not os.listdir(directory):
            raise cache.PrepareError(f"{source}: its build made no {module}")

    key = cache.digest(kernel.directory, module, *(part for item in sources.items() for part in item))
    return cache.prepared("module", key, make) + f"/{module}"


def _pstates():
    source = f"{POWER_HOST}/acpi/pstates.asl"

    def make(directory):
        cache.step("iasl", ["iasl", "-we", "-p", f"{directory}/pstates", source])

    return cache.prepared("acpi", cache.digest(cache.read(source)), make) + "/pstates.aml"


def _initramfs(kernel):
    nested = cache.read(_module(kernel, NESTED, "nested.ko"))
    init = cache.read(f"{HERE}/init.sh")
    inside = cache.read(f"{HERE}/inside.sh")
    busybox = cache.read(BUSYBOX)

    def make(directory):
        files = {"init": (0o755, init), "inside.sh": (0o755, inside), "busybox": (0o755, busybox),
                 "modules/nested.ko": (0o644, nested)}
        have = set()
        for group, names in IN_MEMORY.items():
            paths = [path for path in kernel.with_dependencies(names) if path not in have]
            have.update(paths)
            for number, path in enumerate(paths):
                name = os.path.basename(path).split(".")[0]
                files[f"modules/{group}/{number:02}-{name}.ko"] = (0o644, module_bytes(path))
        directories = ["dev", "proc", "sys", "lower", "upper", "new", "modules", *(f"modules/{group}" for group in IN_MEMORY)]
        cache.write(f"{directory}/initramfs", cpio.archive(files, directories))

    key = cache.digest(kernel.directory, init, inside, busybox, nested, repr(IN_MEMORY), cache.read(cpio.__file__))
    return cache.prepared("initramfs", key, make) + "/initramfs"


def prepare(module_source=MODULE):
    kernel = prepared_kernel()
    return Prepared(kernel, _module(kernel, module_source, "power_host.ko"), _pstates(), _initramfs(kernel))
