# SPDX-License-Identifier: LGPL-2.1-or-later
"""Calibrates the simulated machine within it, as an admin would: a recording under changing load, and virt-power's command."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time

import models
import scenarios

ATTEMPTS = 3
CALIBRATION = "host-power-calibration.conf"


class CalibrationError(Exception):
    pass


class Calibrations:
    """Of each model one, made when it is first needed, and kept beside the scenarios."""

    def __init__(self, run, virt_power, results):
        """run: of a scenario, a directory and seconds."""
        self.run, self.virt_power, self.results = run, virt_power, results
        self.failed = {}

    def give(self, name, config):
        """Puts the model's calibration into the plugin's directory of configuration."""
        directory = f"{self.results}/calibration-{name}"
        if name in self.failed:
            raise self.failed[name]
        if not os.path.exists(f"{directory}/{CALIBRATION}"):
            try:
                self._make(models.MODELS[name], directory)
            except CalibrationError as error:
                self.failed[name] = error
                raise
        os.makedirs(config, exist_ok=True)
        shutil.copyfile(f"{directory}/{CALIBRATION}", f"{config}/{CALIBRATION}")

    def _make(self, model, directory):
        """Anew where the command refuses or a weight is missing, as where the machine outside stood still meanwhile."""
        give_machine_id()
        for attempt in range(ATTEMPTS):
            shutil.rmtree(directory, ignore_errors=True)
            os.makedirs(directory)
            try:
                self._try(model, directory)
                if all(f"{weight}_deviation_permille" in self._weights(directory) for weight in model.weights):
                    return
                raise CalibrationError(f"calibration of {model.name}: a weight is missing")
            except CalibrationError as error:
                print(error, file=sys.stderr, flush=True)
                if attempt + 1 == ATTEMPTS:
                    with contextlib.suppress(FileNotFoundError):
                        os.unlink(f"{directory}/{CALIBRATION}")
                    raise

    @staticmethod
    def _weights(directory):
        with open(f"{directory}/calibration.json", encoding="utf-8") as file:
            return json.load(file).get("weights", {})

    def _try(self, model, directory):
        seconds = len(models.STEPS) * models.STEP_S
        scenario = scenarios.Scenario(
            f"calibration-{model.name}", model.text,
            (scenarios.Vm("alpha", work=("memory",), duty_percent=models.VM_DUTY_PERCENT),), config=model.config, model=model.parameters,
            processes=tuple(scenarios.Burn(duty, str(cpu)) for cpu, duty in models.LOADS), sample_s=models.SAMPLE_S, plugin_alone=True,
            events=tuple((at_s / seconds, what, arguments) for at_s, what, arguments in models.events(model)))
        begin = time.monotonic()
        self.run(scenario, directory, seconds)
        done = subprocess.run([self.virt_power, "calibrate", "--from", f"{directory}/recording.jsonl", "--window",
                               str(models.WINDOW_S), "--output", f"{directory}/{CALIBRATION}", "--json"],
                              text=True, capture_output=True, check=False)
        with open(f"{directory}/calibration.json", "w", encoding="utf-8") as file:
            file.write(done.stdout)
        if done.returncode != 0:
            raise CalibrationError(f"calibration of {model.name}: {done.stderr.strip()}")
        print(f"calibration of {model.name}: made in {time.monotonic() - begin:.0f} s", flush=True)


def give_machine_id():
    """A calibration belongs to a machine; some containers' root has no id."""
    path = "/etc/machine-id"
    if not os.path.exists(path) or os.path.getsize(path) == 0:
        with open(path, "w", encoding="ascii") as file:
            file.write(f"{os.urandom(16).hex()}\n")
