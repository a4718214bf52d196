#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs scenarios within the simulated machine, and leaves for each what was measured."""

import argparse
import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "workload"))

import guests  # noqa: E402
import scenarios  # noqa: E402
from calibrating import CalibrationError, Calibrations  # noqa: E402
from machine import Machine  # noqa: E402

WARM_UP_S = 1.0  # counters are believed once they were seen to move
CALM_S = 0.5  # after the guests' start
PINS = "/sys/fs/bpf/virt-power"


class MeterError(Exception):
    pass


def forget_pins():
    """What a daemon leaves that counts on: nothing of a scenario shall count in the next one."""
    shutil.rmtree(PINS, ignore_errors=True)
    if os.path.exists(PINS):
        raise OSError(f"{PINS} cannot be removed")


class Meter:
    """The program of that name, asked and answered line by line."""

    def __init__(self, tools, directory, fine):
        config = f"{directory}/config"
        os.makedirs(config, exist_ok=True)
        self._process = subprocess.Popen(
            [tools.meter, tools.plugin, config, f"{directory}/recording.jsonl", f"{directory}/raw.jsonl",
             *([f"{directory}/fine.jsonl"] if fine else [])],
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
        self.helpers, self.helper_pids = [], {}
        self.meter = None

    def run(self):
        forget_pins()
        self.machine.set_model(**self.scenario.parameters)
        try:
            self._prepare()
            self._measure()
            model = self.machine.model()
        finally:
            self._end()
        self._write_about(model)

    def _prepare(self):
        if not self.scenario.live:
            self._open_meter()
        for vm in self.scenario.vms:
            if not vm.late:
                self.start(vm.name)
        for guest in self.vms.values():
            guest.wait_until_working()
        for name, percent in self.scenario.class_percent.items():
            self.machine.set_class(self.vms[name].pid, percent)
        for process in self.scenario.processes:
            self.processes.append(self._burn(process.duty_percent, process.pin))
        if self.scenario.plugin_alone:
            self.run_only(())  # the first sample is of a calm machine
        if self.scenario.counters_taken:
            self.machine.occupy_counters(self.scenario.counters_taken)
        if self.scenario.live:
            self._open_meter()
            for name, guest in self.vms.items():
                self.meter.ask(f"start {guest.uuid} {name} {guest.pid}")
        time.sleep(max(CALM_S, self.meter.begun + WARM_UP_S - time.monotonic()))

    def _open_meter(self):
        self.meter = Meter(self.tools, self.directory, self.scenario.fine)

    @staticmethod
    def _burn(duty_percent, pin="", enter=None):
        pinned = ["taskset", "-c", pin] if pin else []
        return subprocess.Popen([*pinned, sys.executable, f"{guests.HERE}/burn.py", "--duty", str(duty_percent)], preexec_fn=enter)

    def _sample(self):
        self.meter.ask("record" if self.scenario.plugin_alone else "sample")

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
            while events and events[0][0] < due:
                when, what, arguments = events.pop(0)
                self._pause_until(when)
                getattr(self, what)(*arguments)
            if number < count and time.monotonic() > begin + (number + 0.5) * self.seconds / count:
                continue  # while the daemon was away
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
        if vm.helper_duty_percent:
            helper = self._burn(vm.helper_duty_percent, enter=guest.enter_cgroup)
            self.helpers.append(helper)
            self.helper_pids.setdefault(name, []).append(helper.pid)

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

    def halt(self, name):
        """A VM does nothing until it is resumed."""
        self.vms[name].process.send_signal(signal.SIGSTOP)

    def resume(self, name):
        """Goes on."""
        self.vms[name].process.send_signal(signal.SIGCONT)

    def run_only(self, numbers):
        """Of the host processes only these run."""
        for number, process in enumerate(self.processes):
            process.send_signal(signal.SIGCONT if number in numbers else signal.SIGSTOP)

    def restart(self, away_s, meanwhile=()):
        """The daemon ends, and another one starts after a while."""
        self.meter.ask("close")
        for what, *arguments in meanwhile:
            getattr(self, what)(*arguments)
        self.meter.ask(f"pause {round(away_s * 1000)}")
        self.meter.ask("open")

    def _end(self):
        for guest in self.vms.values():
            guest.stop()
        for process in self.processes + self.helpers:
            process.kill()
            process.wait()
        for guest in self.vms.values():
            guest.leave_cgroup()
        if self.meter:
            self.meter.close()
        forget_pins()
        self.machine.restore()
        shutil.rmtree(self.scratch, ignore_errors=True)

    def _write_about(self, model):
        """Last of all: what has none was not measured."""
        about = {"scenario": self.scenario.name, "config": self.scenario.config, "seconds": self.seconds, "model": model,
                 "pids": self.pids, "helper_pids": self.helper_pids, "accel": self.tools.accel,
                 "kernel": os.uname().release, "cpus": os.cpu_count()}
        with open(f"{self.directory}/about.json", "w", encoding="utf-8") as file:
            json.dump(about, file, indent=1)


@dataclasses.dataclass
class Tools:
    plugin: str
    meter: str
    virt_power: str
    accel: str


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", required=True, help="this project's build directory")
    parser.add_argument("--results", default=os.environ.get("POWER_HOST_RESULTS"))
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--accel", choices=("auto", "tcg", "kvm"), default="tcg")
    parser.add_argument("--no-calibration", action="store_true", help="the plugin's default weights in every scenario")
    parser.add_argument("names", nargs="+")
    options = parser.parse_args()
    accel = options.accel
    if accel == "auto":
        accel = "kvm" if guests.kvm_works() else "tcg"
    tools = Tools(f"{options.build}/src/plugin/host-power.so", f"{options.build}/tests/power-host/meter/power-host-meter",
                  f"{options.build}/tools/virt-power/virt-power", accel)
    machine, status = Machine(), 0
    calibrations = Calibrations(lambda scenario, directory, seconds: Run(scenario, machine, tools, directory, seconds).run(),
                                tools.virt_power, options.results)
    for scenario in scenarios.named(options.names):
        directory = f"{options.results}/{scenario.name}"
        os.makedirs(directory, exist_ok=True)
        begin = time.monotonic()
        try:
            if scenario.calibration and not options.no_calibration:
                calibrations.give(scenario.calibration, f"{directory}/config")
            Run(scenario, machine, tools, directory, options.seconds).run()
            print(f"{scenario.name}: measured in {time.monotonic() - begin:.0f} s", flush=True)
        except (guests.GuestError, MeterError, CalibrationError, OSError) as error:
            print(f"{scenario.name}: {error}", file=sys.stderr, flush=True)
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
