# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is measured: which guests and processes, on which machine, and what happens meanwhile."""

from dataclasses import dataclass, field

from models import MODELS

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
    helper_duty_percent: int = 0  # of a process in the VM's cgroup, as libvirt puts virtiofsd there; 0: none


@dataclass(frozen=True)
class Burn:
    """A host process."""
    duty_percent: int
    pin: str = ""


@dataclass(frozen=True)
class Scenario:
    name: str
    text: str
    vms: tuple
    config: str = "one-package"
    kind: str = "linear"  # of KINDS
    model: dict = field(default_factory=dict)  # parameters of the module
    calibration: str = ""  # of MODELS: the plugin has the weights that a calibration of that machine found
    processes: tuple = ()  # Burns
    # (when, as a part of the run; what, a method of inside.Run; its arguments)
    events: tuple = ()
    sample_s: float = 1.0
    live: bool = False  # the plugin is loaded when the VMs run already
    counters_taken: int = 0  # events of others on each CPU
    class_percent: dict = field(default_factory=dict)  # {vm: power per cycle}
    fine: bool = False  # the plugin is also read each 0.1 s, into a recording of its own
    plugin_alone: bool = False  # neither truth nor others' inputs are read
    unseen: str = ""  # what of its power no formula can see
    quick: bool = False

    @property
    def parameters(self):
        """Of the module."""
        return {**(MODELS[self.calibration].parameters if self.calibration else {}), **self.model}

    @property
    def linear(self):
        return self.kind == "linear"


# What energy goes with, beside cycles.
KINDS = {
    "linear": "linear in cycles",
    "shared": "shared cores",
    "frequency": "frequency",
    "mix": "what cannot be seen",
}


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
                   (Vm("alpha"), Vm("beta", duty_percent=30)), processes=(Burn(100), Burn(60)), quick=True)
    yield Scenario("uneven-packages", "one package full, the other at a quarter",
                   (Vm("alpha", vcpus=2, pin=("0", "1")), Vm("beta", duty_percent=50, pin=("2",))), config="two-packages",
                   calibration="threads-alike", quick=True)
    yield Scenario("vcpus-move", "a vCPU that goes from one package to the other and back, beside one that stays",
                   (Vm("alpha", pin=("0",)), Vm("beta", duty_percent=60, pin=("3",))), config="two-packages",
                   calibration="threads-alike", events=tuple((part / 10 + 0.05, "move", ("alpha", "0" if part % 2 else "2")) for part in range(10)))
    yield Scenario("frequency-change", "1.12 GHz instead of 2.4 GHz on two of four CPUs from the middle on; memory draws nothing when busy",
                   (Vm("alpha", pin=("0",)), Vm("beta", pin=("2",))), calibration="flat", fine=True,
                   events=((0.5, "frequency", (1_120_000, (0, 1))),))
    yield Scenario("frequency-together", TOGETHER, BY_TURNS, calibration="flat", sample_s=5.0, fine=True, events=TURNS)
    yield Scenario("power-limited", "a limit of 28 W on a package that would draw 38 W, from the middle on",
                   (Vm("alpha", vcpus=2), Vm("beta", duty_percent=60)), processes=(Burn(100),), events=((0.5, "power_limit", (28,)),))
    yield Scenario("multiplexed", "six more events on each CPU than the PMU has counters",
                   (Vm("alpha"), Vm("beta", duty_percent=40)), counters_taken=8, quick=True)
    yield Scenario("daemon-restart", "the daemon ends and starts again in the middle",
                   (Vm("alpha"), Vm("beta", duty_percent=40)), events=((0.55, "restart", (0.0,)),))
    yield Scenario("daemon-away", "the daemon is away for 3 s, in which a VM's work begins and another one's ends",
                   (Vm("alpha"), Vm("beta", duty_percent=40), Vm("gamma")),
                   events=((0.0, "halt", ("gamma",)), (0.35, "restart", (3.0, (("resume", "gamma"), ("halt", "alpha"))))))
    yield Scenario("come-and-go", "a VM that starts and ends between two samples, beside one that stays",
                   (Vm("alpha", duty_percent=50), Vm("beta", late=True)), sample_s=5.0,
                   events=((0.05, "start", ("beta",)), (0.4, "stop", ("beta",))))
    yield Scenario("live-enabling", "the plugin is loaded where VMs run already",
                   (Vm("alpha"), Vm("beta", duty_percent=40)), live=True)
    yield Scenario("wrapping-counters", "energy counters that start again every 300 J",
                   (Vm("alpha", vcpus=2), Vm("beta", duty_percent=40)), model={"wrap_uj": 300_000_000})
    yield Scenario("vhost", "frames through vhost-net, beside a VM that is busy",
                   (Vm("alpha", work=("net",), net="vhost"), Vm("beta")))
    yield Scenario("helpers", "a helper process that is busy 50 % in the cgroup of a VM at 60 %, beside a VM that is busy",
                   (Vm("alpha", duty_percent=60, helper_duty_percent=50), Vm("beta")))


# By turns, each 2.5 s: alpha at the high frequency, beta at the low one, gamma all the time.
BY_TURNS = (Vm("alpha", pin=("0",)), Vm("beta", pin=("1",)), Vm("gamma", pin=("2",)))
ALL_CPUS = (0, 1, 2, 3)
TURNS = tuple(event for part in (0.0, 0.25, 0.5, 0.75) for event in (
    (part, "frequency", (1_120_000 if part in (0.25, 0.75) else 2_400_000, ALL_CPUS)),
    (part, "halt", ("alpha" if part in (0.25, 0.75) else "beta",)),
    (part, "resume", ("beta" if part in (0.25, 0.75) else "alpha",))))
TOGETHER = "1.12 GHz instead of 2.4 GHz on all CPUs twice for half of an interval of 5 s; one VM works only at the high one, " \
    "another only at the low one, a third all the time"


def _shared():
    def scenario(name, text, vms, calibration="threads-60", **options):
        percent = MODELS[calibration].parameters["smt_percent"]
        return Scenario(name, f"{text}; two hyperthreads draw {percent} % of two cores' power", vms, config="two-packages",
                        kind="shared", calibration=calibration, **options)
    both = (Vm("alpha", pin=("0",)), Vm("beta", pin=("1",)), Vm("gamma", pin=("2",)))
    yield scenario("siblings", "a VM on each hyperthread of a core, a third one alone", both)
    yield scenario("siblings-75", "a VM on each hyperthread of a core, a third one alone", both, "threads-75")
    yield scenario("sibling-at-times", "a VM that is busy, its sibling's at 40 %, a third one alone at 60 %",
                   (Vm("alpha", pin=("0",)), Vm("beta", duty_percent=40, pin=("1",)), Vm("gamma", duty_percent=60, pin=("2",))))
    yield scenario("sibling-restart", "as sibling-at-times, and the daemon is away for 3 s",
                   (Vm("alpha", pin=("0",)), Vm("beta", duty_percent=40, pin=("1",)), Vm("gamma", duty_percent=60, pin=("2",))),
                   events=((0.35, "restart", (3.0,)),))
    yield scenario("sibling-vcpus", "a VM with a vCPU on each hyperthread of a core, another one at 50 % on one of them",
                   (Vm("alpha", vcpus=2, pin=("0", "1")), Vm("beta", duty_percent=50, pin=("1",)), Vm("gamma", pin=("2",))))
    yield scenario("sibling-host", "a VM whose sibling is a host process at 50 %, another one at 30 % on the same core",
                   (Vm("alpha", pin=("0",)), Vm("beta", duty_percent=30, pin=("1",))), "threads-75", processes=(Burn(50, "1"),))
    yield scenario("siblings-unpinned", "three VMs at 100 %, 60 % and 40 %, not pinned",
                   (Vm("alpha"), Vm("beta", duty_percent=60), Vm("gamma", duty_percent=40)))


def _frequency():
    yield Scenario("frequency-cubed", "as frequency-change, but a busy CPU's power goes with the cube of its frequency",
                   (Vm("alpha", pin=("0",)), Vm("beta", pin=("2",))), kind="frequency", calibration="cubed", fine=True,
                   events=((0.5, "frequency", (1_120_000, (0, 1))),))
    yield Scenario("frequency-together-cubed", "as frequency-together, but a busy CPU's power goes with the cube of its frequency",
                   BY_TURNS, kind="frequency", calibration="cubed", sample_s=5.0, fine=True, events=TURNS)


def _mix():
    yield Scenario("frequency-and-memory", "as frequency-change, with memory that draws by time, not by cycles",
                   (Vm("alpha", pin=("0",)), Vm("beta", pin=("2",))), kind="mix",
                   unseen="memory is divided like its package, by cycles, and draws by time here",
                   events=((0.5, "frequency", (1_120_000, (0, 1))),))
    yield Scenario("instruction-mix", "one VM's instructions draw 1.5 times as much per cycle as the other's",
                   (Vm("alpha"), Vm("beta")), kind="mix", class_percent={"alpha": 150},
                   unseen="no counter here tells what an instruction draws")


SCENARIOS = (*_thesis(), *_others(), *_shared(), *_frequency(), *_mix())


def named(names):
    known = {scenario.name: scenario for scenario in SCENARIOS}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise KeyError(f"there is no scenario {', '.join(unknown)}; --list names them")
    return [known[name] for name in names]
