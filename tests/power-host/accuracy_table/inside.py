#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs scenarios within the simulated machine, and leaves for each what was measured."""

import argparse
import dataclasses
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "workload"))

import guests  # noqa: E402
import scenarios  # noqa: E402
from machine import Machine  # noqa: E402

WARM_UP_S = 1.0  # counters are believed once they were seen to move
CALM_S = 0.5  # after the guests' start


class MeterError(Exception):
    pass


class Meter:
    """The program of that name, asked and answered line by line."""

    def __init__(self, tools, directory):
        config = f"{directory}/config"
        os.makedirs(config, exist_ok=True)
        self._process = subprocess.Popen(
            [tools.meter, tools.plugin, config, f"{directory}/recording.jsonl", f"{directory}/raw.jsonl"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.begun = time.monotonic()

    def ask(self, command):
        try:
            self._process.stdin.write(command + "\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if answer != "ok\n":
            raise MeterError(f"the meter did not do '{command}': its message is above")

    def close(self):
        self._process.stdin.close()
        self._process.wait()


class Run:
    """One scenario. Its methods with a line of text each are what events may call."""

    def __init__(self, scenario, machine, tools, directory, seconds):
        self.scenario, self.machine, self.tools = scenario, machine, tools
        self.directory, self.seconds = directory, seconds
        self.scratch = tempfile.mkdtemp(prefix="accuracy-")
        self.vms, self.pids, self.processes = {}, {}, []
        self.meter = None
        self.samples = 0
        self.left_out = []  # intervals in which the plugin was not there, by the number of their later sample

    def run(self):
        self.machine.set_model(**self.scenario.model)
        try:
            self._prepare()
            self._measure()
            model = self.machine.model()
        finally:
            self._end()
        self._write_about(model)

    def _prepare(self):
        if not self.scenario.live:
            self.meter = Meter(self.tools, self.directory)
        for vm in self.scenario.vms:
            if not vm.late:
                self.start(vm.name)
        for guest in self.vms.values():
            guest.wait_until_working()
        for name, percent in self.scenario.class_percent.items():
            self.machine.set_class(self.vms[name].pid, percent)
        for duty in self.scenario.processes:
            self.processes.append(subprocess.Popen([sys.executable, f"{guests.HERE}/burn.py", "--duty", str(duty)]))
        if self.scenario.counters_taken:
            self.machine.occupy_counters(self.scenario.counters_taken)
        if self.scenario.live:
            self.meter = Meter(self.tools, self.directory)
            for name, guest in self.vms.items():
                self.meter.ask(f"start {guest.uuid} {name} {guest.pid}")
        time.sleep(max(CALM_S, self.meter.begun + WARM_UP_S - time.monotonic()))

    def _sample(self):
        self.meter.ask("sample")
        self.samples += 1

    def _pause_until(self, when):
        rest = when - time.monotonic()
        if rest > 0:
            self.meter.ask(f"pause {round(rest * 1000)}")

    def _measure(self):
        count = max(1, round(self.seconds / self.scenario.sample_s))
        begin = time.monotonic()
        events = sorted((begin + part * self.seconds, what, arguments) for part, what, arguments in self.scenario.events)
        self._sample()
        for number in range(1, count + 1):
            due = begin + number * self.seconds / count
            while events and events[0][0] <= due:
                when, what, arguments = events.pop(0)
                self._pause_until(when)
                getattr(self, what)(*arguments)
            self._pause_until(due)
            self._sample()
        self.meter.ask("end")

    def start(self, name):
        """A VM starts; the plugin is told as libvirt tells it."""
        vm = next(vm for vm in self.scenario.vms if vm.name == name)
        guest = guests.Guest(name, work=vm.work, duty_percent=vm.duty_percent, vcpus=vm.vcpus, pin=vm.pin, net=vm.net,
                             accel=self.tools.accel).start(self.scratch, held=bool(self.meter))
        self.vms[name] = guest
        self.pids.setdefault(name, []).append(guest.pid)
        if self.meter:
            self.meter.ask(f"start {guest.uuid} {name} {guest.pid}")
            guest.release()

    def stop(self, name):
        """A VM ends."""
        guest = self.vms.pop(name)
        guest.stop()
        self.meter.ask(f"stop {guest.uuid}")

    def move(self, name, cpu):
        """A VM's first vCPU goes to another CPU."""
        self.vms[name].pin_vcpu(0, cpu)

    def frequency(self, khz, cpus):
        """CPUs run at another frequency."""
        self.machine.set_frequency(khz, cpus)

    def power_limit(self, watts):
        """Each package is limited."""
        self.machine.set_power_limit(watts)

    def restart(self):
        """The daemon starts anew, between two samples of its own."""
        self._sample()
        self.meter.ask("restart")
        self.meter.ask(f"pause {round(WARM_UP_S * 1000)}")
        self.left_out.append(self.samples)
        self._sample()

    def _end(self):
        for guest in self.vms.values():
            guest.stop()
        for process in self.processes:
            process.kill()
            process.wait()
        if self.meter:
            self.meter.close()
        self.machine.restore()
        shutil.rmtree(self.scratch, ignore_errors=True)

    def _write_about(self, model):
        """Last of all: what has none was not measured."""
        about = {"scenario": self.scenario.name, "config": self.scenario.config, "seconds": self.seconds, "model": model,
                 "pids": self.pids, "left_out": self.left_out, "accel": self.tools.accel,
                 "kernel": os.uname().release, "cpus": os.cpu_count()}
        with open(f"{self.directory}/about.json", "w", encoding="utf-8") as file:
            json.dump(about, file, indent=1)


@dataclasses.dataclass
class Tools:
    plugin: str
    meter: str
    accel: str


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", required=True, help="this project's build directory")
    parser.add_argument("--results", default=os.environ.get("POWER_HOST_RESULTS"))
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--accel", choices=("auto", "tcg", "kvm"), default="tcg")
    parser.add_argument("names", nargs="+")
    options = parser.parse_args()
    accel = options.accel
    if accel == "auto":
        accel = "kvm" if guests.kvm_works() else "tcg"
    tools = Tools(f"{options.build}/src/plugin/host-power.so", f"{options.build}/tests/power-host/meter/power-host-meter", accel)
    machine, status = Machine(), 0
    for scenario in scenarios.named(options.names):
        directory = f"{options.results}/{scenario.name}"
        os.makedirs(directory, exist_ok=True)
        begin = time.monotonic()
        try:
            Run(scenario, machine, tools, directory, options.seconds).run()
            print(f"{scenario.name}: measured in {time.monotonic() - begin:.0f} s", flush=True)
        except (guests.GuestError, MeterError, OSError) as error:
            print(f"{scenario.name}: {error}", file=sys.stderr, flush=True)
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
