# SPDX-License-Identifier: LGPL-2.1-or-later
"""Guests without an operating system: a boot sector and nothing else.

The sectors stand here as machine code, so that no assembler is needed.
"""

import os
import time
import uuid as uuid_module
from dataclasses import dataclass, field

from lab import kernel

# Starts every other CPU by INIT and SIPI, then all of them spin.
SPIN_ALL = """
fa                              ; cli
31 c0                           ; xor ax, ax
8e d8                           ; mov ds, ax
c7 06 00 80 eb fe               ; [0x8000] = jmp $: where the other CPUs begin
0f 01 16 70 7c                  ; lgdt [0x7c70]
0f 20 c0                        ; mov eax, cr0
0c 01                           ; or al, 1
0f 22 c0                        ; mov cr0, eax
bb 08 00                        ; mov bx, 8
8e e3                           ; mov fs, bx: now reaches 4 GiB
24 fe                           ; and al, 0xfe
0f 22 c0                        ; mov cr0, eax: real mode again
64 66 67 c7 05 00 03 e0 fe 00 45 0c 00  ; [fs:0xfee00300] = INIT, all but self
66 b9 00 00 01 00               ; mov ecx, 0x10000
66 49 75 fc                     ; dec ecx; jnz: a pause, short where KVM emulates each step
64 66 67 c7 05 00 03 e0 fe 08 46 0c 00  ; [fs:0xfee00300] = SIPI to page 8
66 b9 00 00 01 00               ; mov ecx, 0x10000
66 49 75 fc                     ; dec ecx; jnz
64 66 67 c7 05 00 03 e0 fe 08 46 0c 00  ; once more, as processors ask for
eb fe                           ; jmp $
90                              ; alignment
00 00 00 00 00 00 00 00         ; 0x7c60: the table's null entry
ff ff 00 00 00 92 cf 00         ; data, 4 GiB
0f 00 60 7c 00 00               ; 0x7c70: limit and address of the table
"""

# The first CPU starts the others again and again, those too that come later: the
# second pause is longer, and after it, back to INIT.
_BEGIN, _, _END = SPIN_ALL.rpartition("66 b9 00 00 01 00")
SPIN_LATE = _BEGIN + "66 b9 00 00 40 00" + _END.replace("eb fe ", "eb c3 ")

# One CPU spins with interrupts off; others never start.
SPIN_ONE = """
fa                              ; cli
eb fe                           ; jmp $
"""

# Counts up the four bytes at 0x8000, once each 100 turns of a loop. In protected mode, which no KVM emulates.
COUNT = """
fa                              ; cli
31 c0                           ; xor ax, ax
8e d8                           ; mov ds, ax
0f 01 16 40 7c                  ; lgdt [0x7c40]
0f 20 c0                        ; mov eax, cr0
0c 01                           ; or al, 1
0f 22 c0                        ; mov cr0, eax
ea 17 7c 08 00                  ; jmp 8:0x7c17, the next one
66 b8 10 00                     ; mov ax, 16
8e d8 8e c0 8e d0 8e e0 8e e8   ; mov ds, es, ss, fs, gs, ax
ff 05 00 80 00 00               ; inc dword [0x8000]
b9 64 00 00 00                  ; mov ecx, 100
49                              ; dec ecx
75 fd                           ; jnz to the dec
eb f0                           ; jmp to the inc
00 00 00 00 00 00 00 00 00 00 00
17 00 48 7c 00 00 00 00         ; 0x7c40: limit and address of the table
00 00 00 00 00 00 00 00         ; 0x7c48: the null entry
ff ff 00 00 00 9a cf 00         ; code, 4 GiB
ff ff 00 00 00 92 cf 00         ; data, 4 GiB
"""

# Sleeps but for the BIOS's timer, 18 times a second.
HALT = """
fb                              ; sti
f4                              ; hlt
eb fd                           ; jmp to the hlt
"""


def boot_sector(code):
    """512 bytes from a listing as above."""
    text = " ".join(line.partition(";")[0] for line in code.splitlines())
    data = bytes.fromhex(text)
    assert len(data) <= 510
    return data.ljust(510, b"\0") + b"\x55\xaa"


@dataclass
class Guest:
    name: str
    code: str
    vcpus: int = 1
    kvm: bool = True
    absent_vcpus: int = 0  # of these, to be plugged in later
    cpuset: str = ""
    perf: tuple = ()  # events
    iothreads: int = 0
    uuid: str = field(default_factory=lambda: str(uuid_module.uuid4()))

    def image(self, directory):
        return os.path.join(directory, f"{self.uuid}.img")

    def write_image(self, directory):
        """A disk of its own, since QEMU locks it."""
        path = self.image(directory)
        with open(path, "wb") as file:
            file.write(boot_sector(self.code))
            file.truncate(1 << 20)  # the rest is a hole
        return path

    def xml(self, directory):
        image = self.write_image(directory)
        cpuset = f" cpuset='{self.cpuset}'" if self.cpuset else ""
        current = f" current='{self.vcpus - self.absent_vcpus}'" if self.absent_vcpus else ""
        events = "".join(f"<event name='{name}' enabled='yes'/>" for name in self.perf)
        perf = f"  <perf>{events}</perf>\n" if events else ""
        iothreads = f"  <iothreads>{self.iothreads}</iothreads>\n" if self.iothreads else ""
        return f"""<domain type='{"kvm" if self.kvm else "qemu"}'>
  <name>{self.name}</name>
  <uuid>{self.uuid}</uuid>
  <memory unit='MiB'>16</memory>
  <vcpu{cpuset}{current}>{self.vcpus}</vcpu>
{iothreads}  <os><type arch='x86_64' machine='pc'>hvm</type><boot dev='hd'/></os>
  <features><acpi/><apic/></features>
{perf}  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <disk type='file' device='disk'>
      <driver name='qemu' type='raw'/><source file='{image}'/><target dev='hda' bus='ide'/>
    </disk>
    <controller type='usb' model='none'/>
    <memballoon model='none'/>
  </devices>
</domain>
"""


def wait_until_quiet(pid, seconds=20):
    """Until the BIOS of a guest that then halts has gone, which is busy for a moment."""
    deadline = time.monotonic() + seconds
    used, quiet = kernel.cpu_ticks(pid), 0
    while quiet < 2 and time.monotonic() < deadline:
        time.sleep(0.5)
        before, used = used, kernel.cpu_ticks(pid)
        quiet = quiet + 1 if used - before <= 5 else 0
