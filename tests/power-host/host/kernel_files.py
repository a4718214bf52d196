# SPDX-License-Identifier: LGPL-2.1-or-later
"""Debian's kernel, its modules and its headers, taken out of the packages; nothing is installed."""

import glob
import lzma
import os
import re
import shutil
import struct
import sys

import cache

# Hardware that QEMU will not have: three quarters of the package.
UNUSED = ("sound", "drivers/media", "drivers/gpu", "drivers/iio", "drivers/infiniband", "drivers/net/ethernet",
          "drivers/net/wireless", "drivers/scsi", "drivers/hid", "drivers/input", "drivers/staging", "drivers/comedi",
          "drivers/hwmon", "drivers/mtd", "drivers/ata", "drivers/bluetooth", "drivers/usb")


def _record(package):
    """What apt knows of the version that it would install, {} if it knows none."""
    text = cache.step("apt-cache", ["sh", "-c", 'apt-cache show --no-all-versions "$1" 2>/dev/null || true', "sh", package])
    return dict(line.split(": ", 1) for line in text.splitlines() if re.match(r"[A-Za-z-]+: ", line))


def _dependency(package, pattern):
    found = re.search(pattern, _record(package).get("Depends", ""))
    return found[0] if found else None


def _packages():
    """The four packages' names, for the kernel that linux-image-amd64 stands for."""
    image = _dependency("linux-image-amd64", r"linux-image-[0-9][^ ,]*")
    if not image:
        return None
    headers = image.replace("linux-image-", "linux-headers-")
    names = [image, headers, _dependency(headers, r"linux-headers-[^ ,]*-common"), _dependency(headers, r"linux-kbuild-[^ ,]*")]
    return names if all(names) else None


def _download(directory):
    """The packages' files; apt's lists are fetched if they are missing or too old."""
    def fetch():
        names = _packages()
        if not names:
            raise cache.PrepareError("apt knows no linux-image-amd64 with its headers: its sources must have Debian's main")
        cache.step("apt-get download", ["apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", *names], cwd=directory)
        return names[0].removeprefix("linux-image-")

    try:
        return fetch()
    except cache.PrepareError:
        try:
            cache.step("apt-get update", ["apt-get", "-q", "-o", "DPkg::Lock::Timeout=600", "update"])
            return fetch()
        except cache.PrepareError as error:
            raise cache.NoKernelError(str(error)) from None


def _unpack(package, directory, exclude=()):
    patterns = " ".join(f"--exclude='./lib/modules/*/kernel/{name}'" for name in exclude)
    cache.step("dpkg-deb", ["sh", "-c", f'set -e; dpkg-deb --fsys-tarfile "$1" >"$1.tar"; tar -xf "$1.tar" -C "$2" {patterns}',
                            "sh", package, directory])
    os.unlink(package)
    os.unlink(f"{package}.tar")


def _elf(image):
    """The ELF kernel inside a bzImage, which QEMU boots by PVH (Documentation/arch/x86/boot.rst tells the offsets)."""
    setup_sectors = image[0x1F1] or 4
    offset, length = struct.unpack_from("<II", image, 0x248)
    payload = image[(setup_sectors + 1) * 512 + offset:][:length]
    if not payload.startswith(b"\xfd7zXZ\0"):
        raise cache.PrepareError("this kernel is not compressed by xz; host/kernel_files.py knows nothing else")
    return lzma.LZMADecompressor().decompress(payload)  # the four bytes after the stream are its size


def _relocate(headers):
    """The headers' Makefile names its other half by where the package would have put it; here, by the way from it."""
    for path in glob.glob(f"{headers}/usr/src/linux-headers-*/Makefile"):
        text = cache.read(path)
        if text.startswith(b"include /usr/src/"):
            cache.write(path, text.replace(b"/usr/src/", b"../"))


class Kernel:
    """A prepared directory: vmlinux, root/lib/modules/RELEASE (for modprobe), headers."""

    def __init__(self, directory):
        self.directory = directory
        self.vmlinux = f"{directory}/vmlinux"
        self.modules = glob.glob(f"{glob.escape(directory)}/root/lib/modules/*")[0]
        self.release = os.path.basename(self.modules)
        self.headers = f"{directory}/headers/usr/src/linux-headers-{self.release}"

    def with_dependencies(self, names):
        """The paths of these modules, each after what it needs; those built into the kernel left out."""
        needs = {}
        with open(f"{self.modules}/modules.dep", encoding="ascii") as file:
            for line in file:
                path, _, below = line.partition(":")
                needs[_module_name(path)] = (path, [_module_name(need) for need in below.split()])
        with open(f"{self.modules}/modules.builtin", encoding="ascii") as file:
            builtin = {_module_name(line.strip()) for line in file}
        order = []

        def add(name):
            if name in builtin or needs[name][0] in order:
                return
            path, below = needs[name]
            for need in below:
                add(need)
            order.append(path)

        for name in names:
            if name not in builtin and name not in needs:
                raise cache.PrepareError(f"kernel {self.release} has no module {name}")
            add(name)
        return [f"{self.modules}/{path}" for path in order]


def _module_name(path):
    return os.path.basename(path).split(".")[0].replace("-", "_")


def module_bytes(path):
    data = cache.read(path)
    return lzma.decompress(data) if path.endswith(".xz") else data


def _make(directory):
    print("power-host: fetching and unpacking Debian's kernel, once", file=sys.stderr, flush=True)
    root, headers, packages = (f"{directory}/{name}" for name in ("root", "headers", "packages"))
    for path in (root, headers, packages):
        os.mkdir(path)
    release = _download(packages)
    for package in glob.glob(f"{packages}/*.deb"):
        image = os.path.basename(package).startswith("linux-image-")
        _unpack(package, root if image else headers, UNUSED if image else ())
    os.rmdir(packages)
    cache.write(f"{directory}/vmlinux", _elf(cache.read(f"{root}/boot/vmlinuz-{release}")))
    for path in ("boot", "usr"):
        shutil.rmtree(f"{root}/{path}", ignore_errors=True)
    _relocate(headers)
    cache.step("depmod", ["depmod", "-b", root, release])


def prepared_kernel():
    return Kernel(cache.prepared("kernel", cache.digest(cache.read(__file__)), _make))
