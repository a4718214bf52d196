# SPDX-License-Identifier: LGPL-2.1-or-later
"""The machines there are: topology, where cpufreq comes from, the module's parameters."""

from dataclasses import dataclass, field

DEFAULT = "two-packages"

ONE_PACKAGE = "4,sockets=1,cores=4,threads=1"
TWO_PACKAGES = "4,sockets=2,cores=1,threads=2"


@dataclass(frozen=True)
class Config:
    name: str
    title: str
    smp: str = ONE_PACKAGE
    acpi_cpufreq: bool = True  # the ACPI table is there, and acpi-cpufreq is loaded
    parameters: dict = field(default_factory=dict)  # of the module, where they are not its defaults

    @property
    def module_arguments(self):
        return " ".join(f"{name}={value}" for name, value in self.parameters.items())


ALL = (
    Config("one-package", "one package of 4 cores, acpi-cpufreq"),
    Config("two-packages", "two packages of 1 core with 2 threads, acpi-cpufreq", smp=TWO_PACKAGES),
    Config("intel-pstate", "one package, a setpolicy driver like intel_pstate", acpi_cpufreq=False, parameters={"pstate": 1}),
    Config("amd", "one package, zones of package and core alone, no limits", parameters={"amd": 1}),
    Config("powercap-only", "one package, powercap, but no PMU for power and none for cycles",
           parameters={"power_pmu": 0, "cpu_pmu": 0}),
    Config("pmu-only", "one package, PMUs for power and cycles, but no powercap", parameters={"powercap": 0}),
    Config("neither", "one package, no energy counter, no cycles, no cpufreq", acpi_cpufreq=False,
           parameters={"powercap": 0, "power_pmu": 0, "cpu_pmu": 0}),
    Config("locked", "one package whose limits cannot be written", parameters={"locked": 1}),
)


def by_name(name):
    """The configuration, or None."""
    return next((config for config in ALL if config.name == name), None)
