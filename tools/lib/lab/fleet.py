# SPDX-License-Identifier: LGPL-2.1-or-later
"""Many guests at once, over one connection: paused, so that they cost memory and nothing else."""

import concurrent.futures
import os

import libvirt

from lab.guest import HALT, Guest

STARTERS = 4  # at a time; more only wait for each other


class Fleet:
    """The guests of one daemon that were started here. Not for more than one thread, but create() and destroy()
    of different guests."""

    def __init__(self, lab, daemon, kvm):
        libvirt.registerErrorHandler(lambda *_: None, None)
        self.lab, self.daemon, self.kvm = lab, daemon, kvm
        self.connection = libvirt.open(daemon.uri)
        self.guests = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.connection.close()

    def new_guest(self, short, code=HALT, **keywords):
        guest = Guest(self.lab.name(short), code, kvm=self.kvm, **keywords)
        self.lab.supervisor.call("guest", name=guest.name)  # so that its cgroup goes in any case
        return guest

    def create(self, guest, paused=True):
        """Starts it; QEMU's pid."""
        flags = libvirt.VIR_DOMAIN_START_PAUSED if paused else 0
        self.connection.createXML(guest.xml(f"{self.lab.dir}/img"), flags)
        return self.daemon.guest_pid(guest)

    def destroy(self, guest):
        """Ends it and removes its image."""
        self.connection.lookupByUUIDString(guest.uuid).destroy()
        self.remove_image(guest)

    def remove_image(self, guest):
        os.unlink(guest.image(f"{self.lab.dir}/img"))

    def grow(self, stem, count, **keywords):
        """Until there are so many guests, paused; names by number after the stem."""
        new = [self.new_guest(f"{stem}{n}", **keywords) for n in range(len(self.guests), count)]
        with concurrent.futures.ThreadPoolExecutor(STARTERS) as pool:
            list(pool.map(self.create, new))
        self.guests += new

    def clear(self):
        """Ends all that grew."""
        with concurrent.futures.ThreadPoolExecutor(STARTERS) as pool:
            list(pool.map(self.destroy, self.guests))
        self.guests.clear()
