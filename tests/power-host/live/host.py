# SPDX-License-Identifier: LGPL-2.1-or-later
"""What these tests share: the plugin on this machine, its figures beside the module's truth."""

import tempfile
import time

import interfaces
from interfaces import FEATURES, Truth
from plugin import Plugin

DOMAINS = ("package", "core", "dram")
PACKAGES = (0, 1) if "second-package" in FEATURES else (0,)
TRIES = 8
FRESH_S = 10  # a sensor that hangs again holds up a pass until it is given up again
WIDEST = 0.02  # of the truth's own span in a comparison
WRAP = "/sys/module/power_host/parameters/wrap_uj"
# As wide as real hardware's: where an emulated machine stands still for 0.1 s, the plugin rightly says that a narrow counter may
# have wrapped more than once.
WIDE_UJ = 262_143_328_850
PARANOID = 3  # as Debian ships it


class Run:
    """Of this process: set once by run.py."""

    build = ""
    prefix = ""

    @classmethod
    def plugin(cls):
        return f"{cls.build}/src/plugin/host-power.so"

    @classmethod
    def virt_power(cls):
        return f"{cls.build}/tools/virt-power/virt-power"


def zone_type_is_there(kind):
    return kind != "dram" or "intel" in FEATURES


def expected_zones():
    """{name: (type, package, source, counted)} that this configuration must give."""
    found = {}
    for package in PACKAGES:
        for kind in filter(zone_type_is_there, DOMAINS):
            suffix = "" if kind == "package" else f"/{kind}"
            if "powercap" in FEATURES:
                found[f"package-{package}{suffix}"] = (kind, package, "powercap", kind != "core")
            # AMD's PMU has the package alone.
            if "power-pmu" in FEATURES and (kind == "package" or "intel" in FEATURES):
                found[f"perf/package-{package}{suffix}"] = (kind, package, "perf", kind != "core" and "powercap" not in FEATURES)
    return found


def has_source():
    return bool(FEATURES & {"powercap", "power-pmu"})


class Moment:
    """A snapshot between two readings of the truth."""

    def __init__(self, plugin):
        deadline = time.monotonic() + FRESH_S
        while time.monotonic() < deadline:
            self.before = Truth()
            self.snapshot = plugin.snapshot()
            self.after = Truth()
            if self.snapshot.fresh:
                return
            time.sleep(0.1)
        raise AssertionError(f"the plugin gave no fresh reading for {FRESH_S} s")


class Span:
    """From one moment to another: what was counted, and the least and the most that it can have been."""

    def __init__(self, first, second):
        self.first, self.second = first, second
        self.seconds = (second.after.time_ns - first.before.time_ns) / 1e9

    def truth(self, value):
        """(least, most) of a figure of the truth, told by a function of Truth."""
        return (value(self.second.before) - value(self.first.after), value(self.second.after) - value(self.first.before))

    def counted(self, value):
        """A figure of the snapshots."""
        return value(self.second.snapshot) - value(self.first.snapshot)

    def gaps(self):
        """How many times energy or cycles were lost, as the plugin tells it."""
        def of(snapshot):
            return snapshot.host.get("energy.host.cycles.gaps", 0) + sum(zone["gaps"] for zone in snapshot.zones().values())
        return self.counted(of)

    def width(self):
        """How much longer the longest is than the shortest, as a share."""
        least, most = self.truth(lambda truth: truth.time_ns)
        return most / least - 1


class PluginTest(interfaces.TestCase):
    """A plugin for each test, on the model as after loading."""

    longMessage = True
    config = ""  # of host-power.conf, beside what keeps a test from counting on for the next one

    def setUp(self):
        super().setUp()
        self.set_wrap(WIDE_UJ)
        self.addCleanup(self.set_wrap, interfaces.WRAP_UJ)
        directory = tempfile.TemporaryDirectory(prefix="live-")
        self.addCleanup(directory.cleanup)
        self.directory = directory.name
        with open(f"{self.directory}/host-power.conf", "w", encoding="ascii") as file:
            file.write("[usage]\npin=false\n" + self.config)

    def open(self, counted=None):
        """The plugin, once it counts energy, if it is to."""
        plugin = Plugin(Run.plugin(), self.directory)
        self.addCleanup(plugin.close)
        if has_source() if counted is None else counted:
            self.wait_for(lambda: self.counted_zones(plugin.snapshot()) == self.expected_counted(), 10,
                          "all zones that are to be counted were seen to move")
        return plugin

    @staticmethod
    def set_wrap(uj):
        """Of the zones' counters, for plugins that are opened from now on."""
        interfaces.write(WRAP, uj)

    @staticmethod
    def counted_zones(snapshot):
        return {name for name, zone in snapshot.zones().items() if zone["counted"]}

    @staticmethod
    def expected_counted():
        return {name for name, (_, _, _, counted) in expected_zones().items() if counted}

    def wait_for(self, condition, seconds, what):
        deadline = time.monotonic() + seconds
        while not (value := condition()):
            self.assertLess(time.monotonic(), deadline, f"not within {seconds} s: {what}")
            time.sleep(0.1)
        return value

    def span(self, plugin, seconds=3.0, may_lose=False):
        """A span that the truth tells well and in which the plugin lost nothing, for which a busy machine may take more
        tries. Where it stands still, a narrow counter may wrap unseen, and the plugin tells a gap: may_lose."""
        first, problem, longer = Moment(plugin), "", 1
        for attempt in range(1, TRIES + 1):
            time.sleep(seconds * longer)
            span = Span(first, Moment(plugin))
            if span.gaps():
                first, problem = span.second, f"{span.gaps()} gaps in {span.seconds:.1f} s"
                self.assertTrue(may_lose or attempt < TRIES, problem)
            elif span.width() > WIDEST:
                longer, problem = longer + 1, f"{span.width():.1%} of {span.seconds:.1f} s went by in readings"
            else:
                return span
        self.skipTest(f"this machine is too busy: {problem}")

    def assert_between(self, value, bounds, share, what):
        """Within the bounds and this share of them; prints how near it came."""
        least, most = bounds
        off = value / ((least + most) / 2) - 1 if least + most else 0
        print(f"    {interfaces.CONFIG.name}: {what}: {value:.6g}, truth {least:.6g} to {most:.6g}, off by {off:+.3%}")
        self.assertGreaterEqual(value, least * (1 - share), what)
        self.assertLessEqual(value, most * (1 + share), what)

    def assert_energy(self, span, names, share=0.01):
        for name in names:
            kind, package, _, _ = expected_zones()[name]
            self.assert_between(span.counted(lambda snapshot, zone=name: snapshot.zones()[zone]["energy"]),
                                span.truth(lambda truth: truth.package_uj(package, kind)), share, f"energy of {name}, uJ")

    def assert_usage(self, span, pid, figure, field, share=0.01):
        """A process's time or cycles, all packages together."""
        self.assert_between(span.counted(lambda snapshot: sum(snapshot.domain(pid, figure).values())),
                            span.truth(lambda truth: truth.process(pid, field)), share, f"{figure} of a VM")


def sysctl(name):
    return interfaces.read(f"/proc/sys/{name.replace('.', '/')}")
