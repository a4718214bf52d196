# SPDX-License-Identifier: LGPL-2.1-or-later
"""The plugin as a daemon has it: loaded by its C ABI, told of processes, asked for snapshots.

As a program it loads the plugin as whoever runs it, as a session daemon would, and shows what it gives, as JSON:

    plugin.py PLUGIN.so CONFIG-DIRECTORY [PID]
"""

import contextlib
import ctypes
import json
import os
import sys
import time
import uuid

ABI_VERSION = 3
WARNING = 3


class _Value(ctypes.Union):
    _fields_ = [("i", ctypes.c_int32), ("ui", ctypes.c_uint32), ("l", ctypes.c_int64), ("ul", ctypes.c_uint64),
                ("d", ctypes.c_double), ("b", ctypes.c_int32), ("s", ctypes.c_char_p)]


# HostPowerType's numbers
_FIELD = {1: "i", 2: "ui", 3: "l", 4: "ul", 5: "d", 6: "b", 7: "s"}
INT, UINT, LLONG, ULLONG, DOUBLE, BOOLEAN, STRING = _FIELD

# HostPowerKnob's
GOVERNOR, FREQUENCY, RAPL_LIMIT = 1, 2, 3
_READ_ONLY, _RESTORE, _ALL_PACKAGES = 1 << 0, 1 << 1, 1 << 2

# HostPowerError's
INVALID_ARG, UNSUPPORTED, OPERATION_INVALID, SYSTEM, TIMEOUT = 1, 2, 3, 4, 5

_Log = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p)
_Emit = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.POINTER(_Value))
_Visible = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p)
_Fail = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p)


class _Options(ctypes.Structure):
    _fields_ = [("struct_size", ctypes.c_uint32), ("privileged", ctypes.c_int32), ("config_dir", ctypes.c_char_p),
                ("state_dir", ctypes.c_char_p), ("log", _Log), ("log_opaque", ctypes.c_void_p)]


class _Param(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("type", ctypes.c_int), ("value", _Value)]


def _function(result, *arguments):
    return ctypes.CFUNCTYPE(result, *arguments)


class _Table(ctypes.Structure):
    _fields_ = [("abi_version", ctypes.c_uint32), ("struct_size", ctypes.c_uint32),
                ("open", _function(ctypes.c_void_p, ctypes.POINTER(_Options))),
                ("close", _function(None, ctypes.c_void_p)),
                ("domain_started", _function(ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_int64)),
                ("domain_stopped", _function(None, ctypes.c_void_p, ctypes.c_char_p)),
                ("snapshot", _function(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint32)),
                ("snapshot_free", _function(None, ctypes.c_void_p)),
                ("snapshot_status", _function(ctypes.c_char_p, ctypes.c_void_p)),
                ("emit_host", _function(ctypes.c_int, ctypes.c_void_p, _Visible, _Emit, ctypes.c_void_p)),
                ("emit_domain", _function(ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p, _Emit, ctypes.c_void_p)),
                ("has_others", _function(ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t)),
                ("knob_get", _function(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint32, _Emit,
                                       _Fail, ctypes.c_void_p)),
                ("knob_set", _function(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p, ctypes.POINTER(_Param),
                                       ctypes.c_size_t, ctypes.c_uint32, ctypes.c_char_p, _Emit, _Fail, ctypes.c_void_p))]


def _text(target):
    return None if target is None else target.encode()


class PluginError(Exception):
    pass


class KnobError(Exception):
    """Of a knob that cannot be read or set: one of HostPowerError's numbers and a sentence."""

    def __init__(self, code, message):
        super().__init__(f"{message} (error {code})")
        self.code, self.message = code, message


class Typed:
    """A value of a type that Python's own does not tell."""

    def __init__(self, kind, value):
        self.kind, self.value = kind, value


def _typed(value):
    if isinstance(value, Typed):
        return value
    return Typed(BOOLEAN if isinstance(value, bool) else ULLONG if isinstance(value, int) else STRING, value)


def _to_param(name, value):
    typed = _typed(value)
    param = _Param(name.encode(), typed.kind)
    setattr(param.value, _FIELD.get(typed.kind, "ul"), typed.value.encode() if typed.kind == STRING else typed.value)
    return param


class Snapshot:
    """One reading: names and values of the host's and of each domain's."""

    def __init__(self, status, host, domains, seconds, asked_ns):
        self.status, self.host, self.domains = status, host, domains
        self.seconds = seconds  # that the call took
        self.fresh = host.get("energy.host.time", 0) > asked_ns  # not the one before, handed out again

    def zones(self):
        """{name: {type, package, source, counted, energy, gaps}}, without what is absent."""
        found = {}
        for index in range(self.host.get("energy.zone.count", 0)):
            stem = f"energy.zone.{index}."
            zone = {name.removeprefix(stem): value for name, value in self.host.items() if name.startswith(stem)}
            found[zone.pop("name")] = zone
        return found

    def packages(self, name):
        """{the kernel's number of the package: figure} of the host."""
        return self._by_package(self.host, name)

    def domain(self, process, name):
        """The same of a process that was told as a domain."""
        return self._by_package(self.domains[process], name)

    def _by_package(self, values, name):
        ids = {index: self.host[f"energy.package.{index}.id"] for index in range(self.host["energy.package.count"])}
        return {package: values[f"energy.package.{index}.{name}"] for index, package in ids.items()
                if f"energy.package.{index}.{name}" in values}


class Plugin:
    """A context manager: closed on leaving."""

    def __init__(self, path, config_dir, privileged=True, state_dir=None):
        function = ctypes.CDLL(path, mode=os.RTLD_NOW | os.RTLD_LOCAL).host_power_plugin
        function.restype = ctypes.POINTER(_Table)
        self._table = function().contents
        if self._table.abi_version != ABI_VERSION:
            raise PluginError(f"{path}: ABI version {self._table.abi_version}, not {ABI_VERSION}")
        self.log = []  # (level, line)
        self._log = _Log(lambda _opaque, level, line: self.log.append((level, line.decode())))
        self._options = _Options(ctypes.sizeof(_Options), privileged, os.fsencode(config_dir),
                                 os.fsencode(state_dir or f"{config_dir}/state"), self._log, None)
        self._handle = self._table.open(ctypes.byref(self._options))
        if not self._handle:
            raise PluginError(f"{path} cannot be opened: {self.log}")
        self._uuids = {}  # of the processes that are domains

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self._table.close(self._handle)
        self._handle = None

    def warnings(self):
        return [line for level, line in self.log if level >= WARNING]

    def start(self, pid):
        """The process is a domain from now on."""
        raw = uuid.uuid4().bytes
        if self._table.domain_started(self._handle, raw, f"process-{pid}".encode(), pid) != 0:
            raise PluginError(f"process {pid} is not counted: {self.log}")
        self._uuids[pid] = raw

    def stop(self, pid):
        self._table.domain_stopped(self._handle, self._uuids.pop(pid))

    def snapshot(self):
        asked_ns, begun = time.clock_gettime_ns(time.CLOCK_BOOTTIME), time.monotonic()
        taken = self._table.snapshot(self._handle, 0)
        seconds = time.monotonic() - begun
        if not taken:
            raise PluginError("no snapshot")
        try:
            status = self._table.snapshot_status(taken).decode()
            visible = _Visible(lambda *_: 1)
            host = self._emitted(lambda emit: self._table.emit_host(taken, visible, emit, None))
            domains = {pid: self._emitted(lambda emit, raw=raw: self._table.emit_domain(taken, raw, emit, None))
                       for pid, raw in self._uuids.items()}
        finally:
            self._table.snapshot_free(taken)
        return Snapshot(status, host, domains, seconds, asked_ns)

    def get_knob(self, topic, target=None, read_only=False):
        """What stands now, by name: of some CPUs or a zone, or of all."""
        return self._knob_call(lambda emit, fail: self._table.knob_get(
            self._handle, topic, _text(target), _READ_ONLY if read_only else 0, emit, fail, None))

    def set_knob(self, topic, params=None, target=None, restore=False, all_packages=False, who="a test"):
        """The changes, a dictionary each. Values are bool, str or int (unsigned long long), or Typed; parameters may also be
        a list of pairs, in which one comes twice."""
        pairs = list(params.items()) if isinstance(params, dict) else list(params or ())
        array = (_Param * len(pairs))(*(_to_param(name, value) for name, value in pairs))
        flags = (_RESTORE if restore else 0) | (_ALL_PACKAGES if all_packages else 0)
        found = self._knob_call(lambda emit, fail: self._table.knob_set(
            self._handle, topic, _text(target), array, len(pairs), flags, who.encode(), emit, fail, None))
        changes = [{} for _ in range(found.pop("change.count"))]
        for name, value in found.items():
            _, index, leaf = name.split(".")
            changes[int(index)][leaf] = value
        return changes

    def _knob_call(self, call):
        failures = []
        fail = _Fail(lambda _opaque, code, message: failures.append(KnobError(code, message.decode())))
        statuses = []
        found = self._emitted(lambda emit: statuses.append(call(emit, fail)))
        if len(failures) != -statuses[0]:
            raise PluginError(f"status {statuses[0]} with {len(failures)} failures: {failures}")
        if failures:
            if found:
                raise PluginError(f"a failure with values: {found}")
            raise failures[0]
        return found

    @staticmethod
    def _emitted(call):
        found = {}

        def take(_opaque, name, kind, value):
            field = getattr(value.contents, _FIELD[kind])
            found[name.decode()] = field.decode() if kind == STRING else bool(field) if kind == BOOLEAN else field
            return 0
        call(_Emit(take))
        return found


def main():
    path, config_dir, *pids = sys.argv[1:]
    with Plugin(path, config_dir, privileged=os.geteuid() == 0) as plugin:
        for pid in pids:
            with contextlib.suppress(PluginError):
                plugin.start(int(pid))
        time.sleep(1)
        taken = plugin.snapshot()
        print(json.dumps({"status": taken.status, "host": taken.host, "domains": taken.domains, "log": plugin.log}))


if __name__ == "__main__":
    main()
