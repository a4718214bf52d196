# SPDX-License-Identifier: LGPL-2.1-or-later
"""What virt-power may cost at most, and whether a run kept to it. Each figure is judged by the upper end of its 95 % bounds, in
the worst of its cases."""

from dataclasses import asdict, dataclass


SWITCHES_PER_S = 9500  # of 10,000: a slowdown at fewer says nothing


@dataclass
class Verdict:
    what: str
    unit: str
    limit: float
    worst: float | None = None  # absent: not measured
    of: str = ""                # in which case
    met: bool | None = None
    least: float | None = None  # what a program that does next to nothing comes to, measured in the same way

    def judge(self, cases):
        """cases: {name: value}"""
        if cases:
            self.of, self.worst = max(cases.items(), key=lambda case: case[1])
            self.met = self.worst <= self.limit
        return self


def energy_above_perf(found):
    return {f"{guests} guests": part["cpu_us"]["energy-perf"]["high"] for guests, part in found["daemon"]["guests"].items()}


def many_threads(found):
    few, many = found["threads"]["threads"]
    return {f"{many} threads to {few}": found["threads"]["ratio"]["high"]}


def descriptors(found):
    counts = found["descriptors"]["counts"]
    return {f"{counts[0]['guests']} to {counts[1]['guests']} guests": found["descriptors"]["grown"]}


def program(found):
    """Where time alone is counted: a software event, which stands in for cycles here, is not read as a PMU is."""
    return {kind["name"]: kind["program_ns"]["high"] for kind in found["switch"]["kinds"] if kind["name"].startswith("time")}


def program_in_daemon(found):
    switch = found["daemon"]["switch"]
    return {f"{switch['runs']} switches": switch["ns"]["high"]} if switch else {}


def least_program(found):
    return found["switch"]["least_ns"]["high"]


def least_in_daemon(found):
    switch = found["daemon"]["switch"]
    return switch["least_ns"]["high"] if switch else None


def empty_slowdown(workload):
    return lambda found: found["slowdown"][workload]["empty"]["slower_percent"]["high"]


def slowdown(workload):
    """But for a software event, which is no PMU."""
    def cases(found):
        part = found["slowdown"][workload]
        emulated = "emulated, " if part.get("emulated") else ""
        return {emulated + kind["name"]: kind["slower_percent"]["high"] for kind in part["kinds"]
                if kind["name"] != "software-event" and kind["switches_per_s"] >= SWITCHES_PER_S}
    return cases


def fleet(found):
    part = found["fleet"]
    # Over all of the time, too: what comes once in a while is in no median.
    return {f"{part['domains']} guests": max(part["percent"]["high"], part["client_percent"] + part["daemon_percent"])}


BOUNDS = [
    ("daemon's CPU time above domstats --perf, per domain and sample", "µs", 5, energy_above_perf),
    ("the same for guests with many threads, times that for few", "", 1.1, many_threads),
    ("descriptors of the plugin's that come with more guests", "", 0, descriptors),
    ("the BPF program, a switch, time alone", "ns", 150, program, least_program),
    ("the BPF program, a switch, in the daemon, whatever switches", "ns", 150, program_in_daemon, least_in_daemon),
    ("two processes that switch 10,000 times a second are slower by", "%", 0.5, slowdown("processes"), empty_slowdown("processes")),
    ("a guest that is switched 10,000 times a second is slower by", "%", 0.5, slowdown("guest"), empty_slowdown("guest")),
    ("daemon and virt-power, sampling the fleet once a second, of one core", "%", 2, fleet),
]


def judge(found):
    """[Verdict as a dict], one for each bound."""
    verdicts = []
    for what, unit, limit, cases_of, *least_of in BOUNDS:
        verdict = Verdict(what, unit, limit)
        try:
            verdict.judge(cases_of(found))
            verdict.least = least_of[0](found) if least_of else None
        except KeyError:  # that part was not run, or not possible here
            pass
        verdicts.append(asdict(verdict))
    return verdicts


def lines(verdicts):
    yield "bounds: the upper 95 % bound of the worst case, and the limit"
    for verdict in verdicts:
        unit = f" {verdict['unit']}" if verdict["unit"] else ""
        if verdict["met"] is None:
            text = "not measured"
        else:
            text = f"{verdict['worst']:.2f}{unit} ({verdict['of']}): {'met' if verdict['met'] else 'NOT MET'}"
            if verdict["least"] is not None:
                text += f"; a program that does next to nothing: {verdict['least']:.2f}{unit}"
        yield f"  {verdict['what']:70} {verdict['limit']:g}{unit}: {text}"
