# SPDX-License-Identifier: LGPL-2.1-or-later
"""What docs/accuracy.md says whatever was measured."""

HEAD = """<!-- SPDX-License-Identifier: LGPL-2.1-or-later -->
<!-- Generated: sudo tests/power-host/accuracy --docs. Do not edit. -->
# How accurate the joules are

**All joules here are simulated.** A kernel module plays the power hardware of a machine under QEMU: it computes what the machine
draws from which task runs on which CPU at which frequency, serves that as powercap zones and as PMUs, and keeps its own
account of what each process and thread drew. The account is the truth here. What is measured is what stands between: the kernel's
interfaces, the plugin, the recording, attribution. The formulas of others are computed from samples that the same program took
at the same instants (what each reads: /proc, powercap, perf), as their sources and papers have them; their programs themselves
were not run.

## What it can show, and what not

- It shows whether use is counted whole (threads, packages, helper processes, short lives, moves, frequencies, restarts of the daemon), at
  the same instants as energy, and divided as said. An error where the model is linear in cycles is an error of the formula, of its inputs or
  of the sampling.
- It does not show what real hardware does: how power grows with frequency, how hyperthreads share a core, what caches,
  instructions, memory and turbo cost. The scenarios of *shared cores* and of *frequency* have made-up figures for it, of the very form that
  the plugin's weights have. They show that a calibration finds such a figure and that energy is then divided by it, not that real power has
  this form.
- RAPL's own errors are not in it, nor power outside of packages and memory.
- dram draws by CPU time in the module, and is divided like its package in attribution: where all CPUs have one
  frequency and no core is shared that is the same. Where either is not so, memory draws nothing when busy here (but in
  frequency-and-memory, and where hyperthreads draw what cores do). Nothing is shown about memory.
- Guests are nested and slow; their joules are small, and a jiffy (10 ms) is much to those that count in jiffies.
- Energy counters wrap at 262 kJ, as real ones do, and not at the module's own 65 J (but in wrapping-counters): where a simulated
  machine stands still for 0.1 s, the plugin rightly says that a counter which wraps so soon may have wrapped unseen.
- The truth is read before and after each reading of the plugin's, and taken in between. A scenario in which these two were more than
  100 ms apart, or cycles were not counted for a moment, because the machine outside stood still, was measured once more, whatever its errors
  were, and the quieter of both kept; where that was disturbed too, its section says so.

## What is held against what

host-share, the default, and vm-share are virt-power's ([model.md](model.md)). The others are Scaphandre's, Kepler's (0.11), EnergAt's, QEMU's
`-accel kvm,rapl=on`, and that of the thesis with which this line of work began (Gkantsidis, University of Thessaly).

The truth of a VM is what its QEMU process drew, from when libvirt would let it run, the helper processes in its cgroup, and the vhost threads
that work for it. The formulas of others look at the QEMU process alone, as their programs do. Static power of a machine is known to all
formulas that ask for it, exactly; how near a calibration comes to it has a section of its own.

| formula | zones | its figure for a VM | true energy for it |
|---|---|---|---|
| host-share | package, dram | its share of all weighed cycles of the package, without static power | what the VM drew |
| vm-share | package, dram | its share of the weighed cycles of all VMs, without static power | what the VM drew |
| scaphandre | package, dram | CPU time over the capacity of all CPUs, of all energy | + static power × share of capacity |
| kepler | package, dram | CPU time over that of all processes, of energy × CPU usage | + static power × share of capacity |
| energat | package | (CPU time over busy time of the socket)^0.3, of what is above static power | what the VM drew |
| qemu | package | ticks of threads over the capacity of their last package, of its energy | + static power × share of capacity |
| thesis | package | its cycles over those of all VMs, of all energy, per package | + static power × share of all VMs' cycles |

`+`: what the VM drew, and so much more. The error is (attributed − true) / true. The true static share follows the formula's
own rule: so it is not blamed for the rule, only for what it makes of it. What kepler calls active holds static power × CPU usage.

The weights that host-share and vm-share divide by are those of a calibration where a scenario names a machine: `virt-power calibrate --from`
of a recording of that machine under other work. Nothing else tells the plugin what the module was told. Elsewhere every cycle weighs the
same, which is the default where no core has two hyperthreads.
"""

WHY = """
What lies behind the larger errors:

- scaphandre and qemu divide by the capacity of all CPUs, busy or not: where a host is not full, a part of what its work drew is
  nobody's. kepler does so too, by the CPU usage that it multiplies with.
- scaphandre and kepler add up all packages: a VM on a package that does little pays for the other one.
- energat's exponent makes small shares large: those of all VMs and of the rest may add up to several times what there was.
- vm-share and thesis charge the rest of the host to the VMs.
- All but host-share, vm-share and thesis go by CPU time: they do not see frequency. All but host-share and vm-share take a cycle on a shared
  core for a whole one, miss helper processes, and lose what lives between two samples.
"""

AGAIN = """
## To make it again

    sudo tests/power-host/accuracy                      all scenarios
    sudo tests/power-host/accuracy --scenario busy-host --json FILE
    sudo tests/power-host/accuracy --docs               all, and this page anew
    sudo tests/power-host/accuracy --quick              some of them, shorter, with the default weights, against wider bounds

Each judges: host-share is off by at most 1 % on average over the VMs where the model is linear in cycles, and 2 % where cores are shared and where
power goes with the cube of frequency; by no more than 3 % for any VM where it is linear; and, of all scenarios together, by less than the best of
the others. What no formula can see is not bounded. Rows must add up to the microjoule.

Figures differ a little from run to run.
"""

WORSE = """
## Where another formula came nearer than host-share

Mean over the VMs of a scenario, more than 0.2 % nearer.
"""

SHARED = """
## Shared cores

host-share of one and the same measurement: by the weights that the calibration of that machine found, by the default of a machine that was
never calibrated, and by cycles as they are. The mean of |error| over the VMs, and the largest.
"""

FREQUENCY = """
## Frequency: what it takes

host-share of one and the same measurement, divided by cycles as they are, by weighed cycles (calibrated), and by cycles as they are of finer
samples (0.1 s). The mean of |error| over the VMs, and the largest.
"""

CALIBRATIONS = """
## What the calibrations found

Each by `virt-power calibrate --from` of {seconds:.0f} s under host processes and a VM whose load changes (and frequency, where the machine is one of
frequency), in windows of {window:g} s. The judged scenarios take the weights from it. Static power they take from the module, so that two errors
are not mixed; here is how near the calibration came to that. The bounds are those of 95 % that the command tells. A calibration that the
command refused, or that left out a weight which the machine has, was made anew, twice at most.
"""

HELPERS = """
## The part that is no vCPU's

What virt-power tells of a VM's energy as `helper_energy_uj`, and the truth of it: QEMU's threads that are no vCPUs, helper processes, vhost
threads. Of the VMs of which that is a tenth or more.
"""
