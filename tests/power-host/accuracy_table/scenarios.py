# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is measured: which guests and processes, on which machine, and what happens meanwhile."""

from dataclasses import dataclass, field

NAMES = ("alpha", "beta", "gamma", "delta")


@dataclass(frozen=True)
class Vm:
    name: str
    work: tuple = ("spin",)
    duty_percent: int = 100
    vcpus: int = 1
    pin: tuple = ()
    net: str = ""
    late: bool = False  # started by an event, not with the others


@dataclass(frozen=True)
class Scenario:
    name: str
    text: str
    vms: tuple
    config: str = "one-package"
    linear: bool = True  # the energy model is linear in cycles
    model: dict = field(default_factory=dict)  # parameters of the module
    processes: tuple = ()  # duty cycles of host processes, in percent
    # (when, as a part of the run; what, a method of inside.Run; its arguments)
    events: tuple = ()
    sample_s: float = 1.0
    live: bool = False  # the plugin is loaded when the VMs run already
    counters_taken: int = 0  # events of others on each CPU
    class_percent: dict = field(default_factory=dict)  # {vm: power per cycle}
    quick: bool = False


def _thesis():
    """One VM alone, and the same one beside others."""
    kinds = {
        "cpu": ("busy and pinned to a CPU", {"work": ("spin",)}),
        "memory": ("touching memory", {"work": ("memory",)}),
        "io": ("reading and writing the disk and sending frames", {"work": ("disk", "net"), "net": "udp"}),
        "combined": ("doing all of that", {"work": ("spin", "memory", "disk", "net"), "net": "udp"}),
    }
    for kind, (text, options) in kinds.items():
        for count in (1, 2, 4):
            vms = tuple(Vm(name, **options, pin=((str(number),) if kind == "cpu" else ()))
                        for number, name in enumerate(NAMES[:count]))
            yield Scenario(f"{kind}-{count}", f"{count} VM{'s' if count > 1 else ' alone'}, {text}", vms,
                           quick=(kind == "cpu" and count == 2))


def _others():
    yield Scenario("vcpus", "VMs of 1 and 2 vCPUs, not pinned, at 60 % and 40 %",
                   (Vm("alpha", duty_percent=60), Vm("beta", duty_percent=40, vcpus=2)))
    yield Scenario("overcommitted", "VMs of 4, 2 and 1 vCPUs, all busy, on 4 CPUs",
                   (Vm("alpha", vcpus=4), Vm("beta", vcpus=2), Vm("gamma")))
    yield Scenario("low-load-high-static", "80 W static, two VMs that are busy 10 % and 5 % of the time",
                   (Vm("alpha", duty_percent=10), Vm("beta", duty_percent=5)), model={"static_uw": 80_000_000})
    yield Scenario("idle-vm", "a VM that halts beside one that is busy", (Vm("alpha"), Vm("beta", duty_percent=0)))
    yield Scenario("busy-host", "two busy host processes beside a busy VM and one at 30 %",
                   (Vm("alpha"), Vm("beta", duty_percent=30)), processes=(100, 60), quick=True)
    yield Scenario("uneven-packages", "one package full, the other at a quarter",
                   (Vm("alpha", vcpus=2, pin=("0", "1")), Vm("beta", duty_percent=50, pin=("2",))), config="two-packages",
                   quick=True)
    yield Scenario("vcpus-move", "a vCPU that goes from one package to the other and back, beside one that stays",
                   (Vm("alpha", pin=("0",)), Vm("beta", duty_percent=60, pin=("3",))), config="two-packages",
                   events=tuple((part / 10 + 0.05, "move", ("alpha", "0" if part % 2 else "2")) for part in range(10)))
    yield Scenario("frequency-change", "1.12 GHz instead of 2.4 GHz on two of four CPUs from the middle on; memory draws nothing when busy",
                   (Vm("alpha", pin=("0",)), Vm("beta", pin=("2",))), model={"dram_busy_cpu_uw": 0},
                   events=((0.5, "frequency", (1_120_000, (0, 1))),))
    yield Scenario("power-limited", "a limit of 28 W on a package that would draw 38 W, from the middle on",
                   (Vm("alpha", vcpus=2), Vm("beta", duty_percent=60)), processes=(100,), events=((0.5, "power_limit", (28,)),))
    yield Scenario("multiplexed", "six more events on each CPU than the PMU has counters",
                   (Vm("alpha"), Vm("beta", duty_percent=40)), counters_taken=8, quick=True)
    yield Scenario("daemon-restart", "the daemon ends and starts again in the middle",
                   (Vm("alpha"), Vm("beta", duty_percent=40)), events=((0.5, "restart", ()),))
    yield Scenario("come-and-go", "a VM that starts and ends between two samples, beside one that stays",
                   (Vm("alpha", duty_percent=50), Vm("beta", late=True)), sample_s=5.0,
                   events=((0.05, "start", ("beta",)), (0.4, "stop", ("beta",))))
    yield Scenario("live-enabling", "the plugin is loaded where VMs run already",
                   (Vm("alpha"), Vm("beta", duty_percent=40)), live=True)
    yield Scenario("wrapping-counters", "energy counters that start again every 300 J",
                   (Vm("alpha", vcpus=2), Vm("beta", duty_percent=40)), model={"wrap_uj": 300_000_000})
    yield Scenario("vhost", "frames through vhost-net, beside a VM that is busy",
                   (Vm("alpha", work=("net",), net="vhost"), Vm("beta")))


def _not_linear():
    yield Scenario("frequency-and-memory", "as frequency-change, with memory that draws by time, not by cycles",
                   (Vm("alpha", pin=("0",)), Vm("beta", pin=("2",))), linear=False,
                   events=((0.5, "frequency", (1_120_000, (0, 1))),))
    yield Scenario("frequency-cubed", "as frequency-change, but a busy CPU's power goes with the cube of its frequency",
                   (Vm("alpha", pin=("0",)), Vm("beta", pin=("2",))), linear=False,
                   model={"frequency_exponent_percent": 300, "dram_busy_cpu_uw": 0},
                   events=((0.5, "frequency", (1_120_000, (0, 1))),))
    yield Scenario("siblings", "two hyperthreads of one core draw 60 % of two cores' power; a VM on each, a third one alone",
                   (Vm("alpha", pin=("0",)), Vm("beta", pin=("1",)), Vm("gamma", pin=("2",))), config="two-packages",
                   linear=False, model={"smt_percent": 60})
    yield Scenario("instruction-mix", "one VM's instructions draw 1.5 times as much per cycle as the other's",
                   (Vm("alpha"), Vm("beta")), linear=False, class_percent={"alpha": 150})


SCENARIOS = (*_thesis(), *_others(), *_not_linear())


def named(names):
    known = {scenario.name: scenario for scenario in SCENARIOS}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise KeyError(f"there is no scenario {', '.join(unknown)}; --list names them")
    return [known[name] for name in names]
