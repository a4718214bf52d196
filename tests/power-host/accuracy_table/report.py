# SPDX-License-Identifier: LGPL-2.1-or-later
"""The table for people: docs/accuracy.md."""

import formulas
import table

HEAD = """<!-- SPDX-License-Identifier: LGPL-2.1-or-later -->
<!-- Generated: sudo tests/power-host/accuracy --docs. Do not edit. -->
# How accurate the joules are

**All joules here are simulated.** A kernel module plays the power hardware of a machine under QEMU: it computes what the machine
draws from which task runs on which CPU at which frequency, serves that as powercap zones and as PMUs, and keeps its own
account of what each process drew. The account is the truth here. What is measured is what stands between: the kernel's
interfaces, the plugin, the recording, attribution. The formulas of others are computed from samples that the same program took
at the same instants (what each reads: /proc, powercap, perf), as their sources and papers have them; their programs themselves
were not run.

## What it can show, and what not

- It shows whether use is counted whole (threads, packages, short lives, moves, frequencies), at the same instants as energy, and
  divided as said. An error where the model is linear in cycles is an error of the formula, of its inputs or of the sampling.
- It does not show what real hardware does: how power grows with frequency, how hyperthreads share a core, what caches,
  instructions, memory and turbo cost. The scenarios that are *not linear in cycles* have made-up figures for some of it:
  they show in which direction a formula then errs, not how far.
- RAPL's own errors are not in it, nor power outside of packages and memory.
- dram draws by CPU time in the module, and is divided like its package in attribution, by cycles: where all CPUs have one
  frequency that is the same. Nothing is shown about memory.
- Guests are nested and slow; their joules are small, and a jiffy (10 ms) is much to those that count in jiffies.
- Energy counters wrap at 262 kJ, as real ones do, and not at the module's own 65 J (but in wrapping-counters): where a simulated
  machine stands still for 0.1 s, the plugin rightly says that a counter which wraps so soon may have wrapped unseen.
- The truth is read before and after each reading of the plugin's, and taken in between. A scenario in which these two were more than
  100 ms apart, because the machine outside stood still, was measured once more, whatever its errors were, and the
  quieter of both kept; where that was disturbed too, its section says so.

## What is held against what

host-share, the default, and vm-share are virt-power's ([model.md](model.md)). The others are Scaphandre's, Kepler's (0.11), EnergAt's, QEMU's
`-accel kvm,rapl=on`, and that of the thesis with which this line of work began (Gkantsidis, University of Thessaly).

The truth of a VM is what its QEMU process drew, from when libvirt would let it run, and the vhost threads that work for it. Static power of a machine is known to all
formulas that ask for it, exactly: how well it can be measured is another matter ([model.md](model.md)).

| formula | zones | its figure for a VM | true energy for it |
|---|---|---|---|
| host-share | package, dram | its share of all cycles of the package, without static power | what the VM drew |
| vm-share | package, dram | its share of the cycles of all VMs, without static power | what the VM drew |
| scaphandre | package, dram | CPU time over the capacity of all CPUs, of all energy | + static power × share of capacity |
| kepler | package, dram | CPU time over that of all processes, of energy × CPU usage | + static power × share of capacity |
| energat | package | (CPU time over busy time of the socket)^0.3, of what is above static power | what the VM drew |
| qemu | package | ticks of threads over the capacity of their last package, of its energy | + static power × share of capacity |
| thesis | package | its cycles over those of all VMs, of all energy, per package | + static power × share of all VMs' cycles |

`+`: what the VM drew, and so much more. The error is (attributed − true) / true. The true static share follows the formula's
own rule: so it is not blamed for the rule, only for what it makes of it. What kepler calls active holds static power × CPU usage.
"""

WHY = """
What lies behind the larger errors:

- scaphandre and qemu divide by the capacity of all CPUs, busy or not: where a host is not full, a part of what its work drew is
  nobody's. kepler does so too, by the CPU usage that it multiplies with.
- scaphandre and kepler add up all packages: a VM on a package that does little pays for the other one.
- energat's exponent makes small shares large: those of all VMs and of the rest may add up to several times what there was.
- vm-share and thesis charge the rest of the host to the VMs.
- All but host-share, vm-share and thesis go by CPU time: they do not see frequency. All but host-share and vm-share lose what
  lives between two samples.
"""

AGAIN = """
## To make it again

    sudo tests/power-host/accuracy                      all scenarios
    sudo tests/power-host/accuracy --scenario busy-host --json FILE
    sudo tests/power-host/accuracy --docs               all, and this page anew
    sudo tests/power-host/accuracy --quick              some of them, shorter, against bounds

Figures differ a little from run to run.
"""


def percent(share):
    return "-" if share is None else f"{100 * share:+.1f} %".replace("-", "−")


def _mean(rows):
    mean = table.mean_error(rows)
    return "-" if mean is None else f"{100 * mean:.1f} %"


def _by_formula(rows):
    return {formula: [row for row in rows if row.formula == formula] for formula in formulas.CLAIMS}


def summary(results):
    rows = [row for result in results for row in result.rows]
    lines = ["| formula | linear: mean of \\|error\\| | linear: largest | not linear: mean | not linear: largest |",
             "|---|---|---|---|---|"]
    for formula, own in _by_formula(rows).items():
        cells = []
        for linear in (True, False):
            part = [row for row in own if row.linear == linear]
            largest = table.worst(part)
            cells += [_mean(part), "-" if largest is None else f"{percent(largest.error)} ({largest.scenario}, {largest.vm})"]
        lines.append(f"| {formula} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def scenario_table(result):
    vms = list(result.about["pids"])
    lines = ["| formula | " + " | ".join(f"{vm}: attributed of true J, error" for vm in vms) + " |",
             "|---" * (len(vms) + 1) + "|"]
    for formula, rows in _by_formula(result.rows).items():
        cells = {row.vm: f"{row.attributed_uj / 1e6:.3f} of {row.true_uj / 1e6:.3f}, {percent(row.error)}" for row in rows}
        if cells:
            lines.append(f"| {formula} | " + " | ".join(cells.get(vm, "-") for vm in vms) + " |")
    return "\n".join(lines)


def _ticks(results):
    shares = [result.ticks_share for result in results]
    return (f"Of the time in which CPUs were busy, /proc/stat had {100 * min(shares):.0f} to {100 * max(shares):.0f} %, "
            "depending on the scenario: it counts timer ticks, and a simulated machine that has to share its processors loses "
            "some. So Kepler's and EnergAt's formulas were given the module's time of the CPUs in its place.")


def notes(result):
    lines = [f"`{vm}`: {uj / 1e6:.3f} J of the true energy are of its vhost threads." for vm, uj in result.vhost_uj.items() if uj]
    if result.left_out_uj:
        lines.append(f"Left out: the interval in which the daemon restarted, {result.left_out_uj / 1e6:.3f} J of the VMs. It is "
                     "attributed to nobody, and virt-power says so.")
    if result.gap_s > table.WIDEST_GAP_S:
        lines.append(f"The machine outside stood still in this scenario: the accounts around a reading were {1000 * result.gap_s:.0f} ms "
                     "apart.")
    if "thesis" not in {row.formula for row in result.rows}:
        lines.append("No cycles are counted per VM here, so the thesis' formula has nothing to go by.")
    return lines


def beside_others(results):
    """The same VM alone and beside others: does its figure stay that of its work?"""
    found = {result.scenario.name: result for result in results}
    lines = ["| load | VMs | " + " | ".join(formulas.CLAIMS) + " |", "|---" * (len(formulas.CLAIMS) + 2) + "|"]
    for kind in ("cpu", "memory", "io", "combined"):
        for count in (1, 2, 4):
            result = found.get(f"{kind}-{count}")
            if result is None:
                continue
            alpha = {row.formula: row for row in result.rows if row.vm == "alpha"}
            cells = [percent(alpha[formula].error) if formula in alpha else "-" for formula in formulas.CLAIMS]
            lines.append(f"| {kind} | {count} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def worse_than_a_peer(results, margin=0.002):
    """Where another formula came nearer to what it claims than host-share."""
    lines = []
    for result in results:
        means = {formula: table.mean_error(rows) for formula, rows in _by_formula(result.rows).items()}
        ours = means.get("host-share")
        better = [f"{formula} ({100 * mean:.1f} %)" for formula, mean in means.items()
                  if formula != "host-share" and None not in (mean, ours) and mean < ours - margin]
        if better:
            lines.append(f"| {result.scenario.name} | {100 * ours:.1f} % | {', '.join(better)} |")
    return lines


WORSE = """
## Where another formula came nearer than host-share

Mean over the VMs of a scenario, more than 0.2 % nearer. Two reasons are general:

- A formula that charges static power is held against dynamic and static energy together: the part that it gets right by
  definition makes its error smaller, since the error is a share of the larger sum. In a scenario that is not linear in
  cycles this is the whole of the difference, or most of it: no formula here knows what made the power differ.
- Where a host does little besides one VM, a formula that gives all to the VMs is near the truth by luck: vm-share and the
  thesis' charge the rest of the host to the VMs, and that may make up for another error.
"""


def document(results):
    first = results[0].about
    accel = "TCG" if first["accel"] == "tcg" else "KVM"
    parts = [HEAD, f"Measured on Linux {first['kernel']}, {first['cpus']} CPUs simulated, guests by QEMU's {accel}, "
             f"{first['seconds']:g} s a scenario, virt-power {first['version']}.\n",
             _ticks(results) + "\n",
             "## In short\n", summary(results),
             WHY, "The mean is over all VMs of all scenarios, an idle one too, whose true energy is small.\n",
             "## One VM alone, and the same VM beside others\n", "Error of the VM `alpha`, which is in each of them.\n",
             beside_others(results)]
    worse = worse_than_a_peer(results)
    head = ["| scenario | host-share | nearer |", "|---|---|---|"]
    parts += [WORSE, "\n".join([*head, *worse]) if worse else "There is none in this run."]
    for linear, title in ((True, "Linear in cycles"), (False, "Not linear in cycles")):
        parts.append(f"\n## {title}\n")
        for result in results:
            if result.scenario.linear == linear:
                text = result.scenario.text
                parts += [f"### {result.scenario.name}\n", f"{text[0].upper()}{text[1:]}. ({result.scenario.config})\n",
                          scenario_table(result), "", *(f"{note}\n" for note in notes(result))]
    return "\n".join(parts) + AGAIN


def text(results):
    """A few columns for a terminal."""
    lines = []
    for result in results:
        for row in result.rows:
            lines.append(f"{row.scenario:22}{row.vm:8}{row.formula:12}{row.attributed_uj / 1e6:10.3f} J of"
                         f"{row.true_uj / 1e6:10.3f} J {percent(row.error):>10}")
    for formula, rows in _by_formula([row for result in results for row in result.rows if row.linear]).items():
        lines.append(f"linear in cycles, mean of |error|: {formula:12}{_mean(rows):>8}")
    if results:
        lines.append(_ticks(results))
    return "\n".join(lines)
