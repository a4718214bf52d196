# SPDX-License-Identifier: LGPL-2.1-or-later
"""The simulated machine from within: its model, its CPUs' frequency, its power limit."""

import contextlib
import ctypes
import glob
import os
import struct

DEBUGFS = "/sys/kernel/debug/power_host"
WRAP = "/sys/module/power_host/parameters/wrap_uj"
# As wide as that of real hardware: with the module's own, a plugin that gets no CPU for 0.1 s rightly says that it does not know
# how often a counter wrapped, and this is a table of what is attributed.
WIDE_UJ = 262_143_328_850
CPUFREQ = "/sys/devices/system/cpu/cpu{}/cpufreq"
PERF_EVENT_OPEN = 298  # x86_64
PERF_TYPE_HARDWARE = 0


def _write(path, value):
    with open(path, "w", encoding="ascii") as file:
        file.write(str(value))


def _read(path):
    with open(path, encoding="ascii") as file:
        return file.read().strip()


class Machine:
    """What was changed is put back by restore()."""

    def __init__(self):
        self._defaults = {**self.model(), "wrap_uj": int(_read(WRAP))}
        self._limits = {path: _read(path) for path in self._limit_files()}
        self._events = []
        self._set_governors()

    @staticmethod
    def _set_governors():
        for directory in glob.glob(CPUFREQ.format("[0-9]*")):
            with contextlib.suppress(OSError):  # a driver without governors, or a CPU that is offline
                _write(f"{directory}/scaling_governor", "performance")

    @staticmethod
    def model():
        """{parameter: value} of the energy model."""
        return {key: int(value) for key, _, value in
                (word.partition("=") for word in _read(f"{DEBUGFS}/control").split()) if value.lstrip("-").isdigit()}

    @staticmethod
    def set_model(wrap_uj=WIDE_UJ, **parameters):
        _write(WRAP, wrap_uj)
        for key, value in parameters.items():
            _write(f"{DEBUGFS}/control", f"{key}={value}")

    @staticmethod
    def set_class(pid, percent):
        _write(f"{DEBUGFS}/class", f"{pid} {percent}")

    @staticmethod
    def _limit_files():
        return glob.glob("/sys/class/powercap/intel-rapl:[0-9]/constraint_0_power_limit_uw")

    def set_power_limit(self, watts):
        for path in self._limit_files():
            _write(path, int(watts * 1e6))

    @staticmethod
    def set_frequency(khz, cpus):
        for cpu in cpus:
            directory = CPUFREQ.format(cpu)
            _write(f"{directory}/scaling_governor", "userspace")
            _write(f"{directory}/scaling_setspeed", khz)
            if int(_read(f"{directory}/scaling_cur_freq")) != khz:
                raise OSError(f"{directory}: the frequency is {_read(f'{directory}/scaling_cur_freq')} kHz, not {khz}")

    def occupy_counters(self, count):
        """So many counting events on each CPU, that share the hardware's counters in turns."""
        libc = ctypes.CDLL(None, use_errno=True)
        for cpu in range(os.cpu_count()):
            for event in range(count):
                attributes = ctypes.create_string_buffer(struct.pack("=IIQ", PERF_TYPE_HARDWARE, 128, event % 2), 128)
                descriptor = libc.syscall(PERF_EVENT_OPEN, attributes, -1, cpu, -1, ctypes.c_ulong(8))
                if descriptor < 0:
                    raise OSError(ctypes.get_errno(), "perf_event_open for all tasks of a CPU")
                self._events.append(descriptor)

    def restore(self):
        while self._events:
            os.close(self._events.pop())
        self.set_model(**self._defaults)
        for path, value in self._limits.items():
            _write(path, value)
        self._set_governors()
