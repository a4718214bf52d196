# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the daemon pays for a sample, beside its other calls: two daemons with different numbers of guests, every kind of
call by turns, CPU time by the process's own clock."""

import subprocess
import time

import exporter
import libvirt
import live
from lab import meters
from lab.daemon import client_env, kvm_works
from lab.fleet import Fleet
from lab.guest import HALT, Guest
from series import differences, estimate

# What virt-power asks for, and what others do. "state" is two numbers that libvirt has at hand: what parameters cost.
CALLS = {"energy": live.ENERGY, "perf": libvirt.VIR_DOMAIN_STATS_PERF, "state": libvirt.VIR_DOMAIN_STATS_STATE,
         "cpu-total": libvirt.VIR_DOMAIN_STATS_CPU_TOTAL}
SCRAPE = "exporter"


class Caller:
    """stats-caller on one daemon."""

    def __init__(self, program, uri):
        self.process = subprocess.Popen([program, uri], env=client_env(), text=True, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(30)

    def call(self, bits, calls):
        """(records, parameters) of the last one."""
        print(bits, calls, file=self.process.stdin, flush=True)
        records, parameters = map(int, self.process.stdout.readline().split())
        if records < 0:
            raise RuntimeError("a call for domain stats failed; the reason stands above")
        return records, parameters


class Subject:
    """One daemon with its guests and those who ask it."""

    def __init__(self, lab, programs, stem, guests, kvm, with_exporter=False, iothreads=0):
        self.guests = guests
        self.daemon = live.new_daemon().start()
        self.fleet = Fleet(lab, self.daemon, kvm)
        self.fleet.grow(stem, guests, iothreads=iothreads)
        self.caller = Caller(f"{programs}/stats-caller", self.daemon.uri)
        self.exporter = exporter.Exporter(lab, self.daemon) if with_exporter else None
        self.cpu_us = {}   # kind -> [daemon's CPU time per domain and call]
        self.also_us = []  # the exporter's own
        self.parameters = {}

    def close(self):
        self.caller.__exit__()
        self.fleet.connection.close()

    def end(self):
        """Guests and daemon, too, so that what is measured next has the machine for itself."""
        if self.exporter:
            self.exporter.end()
        self.fleet.clear()
        self.close()
        self.daemon.stop()

    def measure(self, kind, calls):
        before = meters.process_time_ns(self.daemon.pid)
        if kind == SCRAPE:
            own = meters.process_time_ns(self.exporter.pid)
            for _ in range(calls):
                if self.exporter.scrape() != self.guests:
                    raise RuntimeError("the exporter does not tell of all guests")
            self.also_us.append((meters.process_time_ns(self.exporter.pid) - own) / 1e3 / calls / self.guests)
        else:
            records, self.parameters[kind] = self.caller.call(CALLS[kind], calls)
            if records != self.guests:
                raise RuntimeError(f"{records} records of {self.guests} guests")
        spent = meters.process_time_ns(self.daemon.pid) - before
        self.cpu_us.setdefault(kind, []).append(spent / 1e3 / calls / self.guests)

    def results(self):
        """Microseconds of CPU time per domain and call."""
        found = {kind: estimate(values).as_dict() for kind, values in self.cpu_us.items()}
        for kind in {"energy", "state"}.intersection(self.cpu_us):
            found[f"{kind}-perf"] = estimate(differences(self.cpu_us[kind], self.cpu_us["perf"])).as_dict()
        if self.exporter:
            both = [sum(pair) for pair in zip(self.cpu_us[SCRAPE], self.also_us)]
            found["exporter-both"] = estimate(both).as_dict()
        return {"cpu_us": found, "parameters": self.parameters}

    def growth(self, calls, steps):
        """Heap of the daemon in KiB after so many calls for energy, step by step; the first is a warm-up."""
        found = []
        for _ in range(steps + 1):
            self.caller.call(live.ENERGY, calls // steps)
            found.append(meters.memory_kib(self.daemon.pid)["RssAnon"])
        return found

    def idle_us_per_s(self, seconds):
        before = meters.process_time_ns(self.daemon.pid)
        time.sleep(seconds)
        return (meters.process_time_ns(self.daemon.pid) - before) / 1e3 / seconds

    def switch_ns(self, floor, seconds):
        """Of the daemon's program, on whatever switches, and of two that do little there, for so long each, in 20 turns. These two
        run after the daemon's own in the same switch: the way there is warm. The second one looks for guests alone."""
        if meters.switch_program_runs(self.daemon.pid) is None:
            return None
        pids = [self.daemon.guest_pid(guest) for guest in self.fleet.guests]
        runs, each_ns = 0, {"ns": [], "least_ns": [], "lookup_ns": []}
        with meters.BpfStats():
            for _ in range(20):
                took = self.program_runs(self.daemon.pid, seconds / 20)
                runs += took.count
                each_ns["ns"].append(took.time_ns / took.count)
                for name, known in (("least_ns", []), ("lookup_ns", pids)):
                    took = self.floor_runs([floor, *map(str, known)], seconds / 20)
                    each_ns[name].append(took.time_ns / took.count)
        return {"runs": runs, **{name: estimate(values).as_dict() for name, values in each_ns.items()}}

    def floor_runs(self, argv, seconds):
        with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            if not process.stdout.readline():
                raise RuntimeError("no other program can be attached to the context switch; the reason stands above")
            return self.program_runs(process.pid, seconds)

    def program_runs(self, pid, seconds):
        """Of the process's program, while the daemon is called."""
        before = meters.switch_program_runs(pid)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.caller.call(CALLS["perf"], 10)
        after = meters.switch_program_runs(pid)
        if before is None or after is None:
            raise RuntimeError(f"process {pid} no longer holds its program on the context switch")
        return meters.ProgramRuns(after.count - before.count, after.time_ns - before.time_ns)


def has_kvm(lab):
    daemon = live.new_daemon().start()
    try:
        return kvm_works(lab, daemon, Guest(lab.name("kvm"), HALT))
    finally:
        daemon.stop()


def start_subjects(lab, programs, numbers, kvm, say):
    why_not = None
    try:
        exporter.program()
    except exporter.Missing as missing:
        why_not = str(missing)
        say(f"no {exporter.PACKAGE}: {why_not}")
    subjects = []
    for stem, number in zip("abc", numbers):
        say(f"starting {number} guests")
        subjects.append(Subject(lab, programs, stem, number, kvm, why_not is None))
    return subjects


def measure_calls(subjects, rounds, calls, say, kinds=None):
    kinds = kinds or [*CALLS, *([SCRAPE] if subjects[0].exporter else [])]
    for subject in subjects:
        for kind in kinds:
            subject.measure(kind, 1)
        subject.cpu_us, subject.also_us = {}, []
    for number in range(rounds):
        if number % 10 == 0:
            say(f"calls: round {number} of {rounds}")
        turn = number % len(kinds)
        for kind in kinds[turn:] + kinds[:turn]:
            for subject in subjects if number % 2 else reversed(subjects):
                subject.measure(kind, 1 if kind == SCRAPE else calls)


def compare(subjects):
    """Of the most guests to the fewest, per domain: 1 is linear."""
    few, many = subjects[0], subjects[-1]
    return {kind: estimate([b / a for a, b in zip(few.cpu_us[kind], many.cpu_us[kind])]).as_dict() for kind in few.cpu_us}
