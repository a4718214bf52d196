// SPDX-License-Identifier: LGPL-2.1-or-later
#include "reading_codec.hpp"

namespace virt_power {

const std::vector<MetricDoc>& metric_docs() {
    static const std::vector<MetricDoc> docs = {
        {"energy.status", "string", "-", "gauge", "first", "daemon",
         "ok, denied, no-plugin, no-source or error. A record that has nothing else has it, too. "
         "The only name that the patched daemon itself knows."},
        {"energy.host.epoch", "ullong", "-", "constant", "first", "plugin",
         "Changes whenever the host's counters restart, which a restart of the daemon alone need not make "
         "them "
         "do. Only counters of one epoch may be subtracted."},
        {"energy.host.time", "ullong", "ns", "counter", "first", "CLOCK_BOOTTIME",
         "When zones, host and domains were read. Equal in two records: the same reading, handed out again."},
        {"energy.host.usage", "string", "-", "constant", "first", "plugin",
         "How CPU use is counted: bpf (at each context switch) or proc (CPU clocks and /proc/stat)."},
        {"energy.host.cycles.gaps", "ullong", "-", "counter", "first", "perf event",
         "Slices whose cycles were not counted. Cycles compare only where this is equal. Absent without a "
         "cycle counter."},
        {"energy.host.interval", "ullong", "ns", "constant", "first", "host-power.conf",
         "Readings for this connection come no closer than this. Absent where that is not limited."},
        {"energy.host.domains", "uint", "-", "gauge", "first", "plugin",
         "Running domains that are counted, also those that the client may not see."},
        {"energy.host.weight.shared", "uint", "1/1000", "gauge", "first", "calibration, or a default",
         "What a cycle (a nanosecond, where no PMU counts) weighs while a hyperthread of the same core is "
         "busy, "
         "too. These four are there exactly where weights are."},
        {"energy.host.weight.cycle", "uint", "1/1000", "gauge", "first", "calibration, or a default",
         "What a cycle weighs, at any frequency."},
        {"energy.host.weight.square", "uint", "1/1000 per GHz²", "gauge", "first",
         "calibration, or a default", "What a cycle weighs besides, times the square of its frequency."},
        {"energy.host.weight.measured", "boolean", "-", "gauge", "first", "host-power-calibration.conf",
         "The weights were measured on this machine (virt-power calibrate)."},
        {"energy.package.count", "uint", "-", "constant", "first", "sysfs topology",
         "Packages that have CPUs online or had since the daemon's start; N runs from 0."},
        {"energy.package.N.id", "int", "-", "constant", "first", "sysfs physical_package_id",
         "The kernel's number of the package."},
        {"energy.package.N.host.time", "ullong", "ns", "counter", "first", "BPF or /proc/stat",
         "CPU time of all tasks but idle, domains included."},
        {"energy.package.N.host.cycles", "ullong", "cycles", "counter", "first", "perf cpu-cycles",
         "Cycles of all tasks and of idle. Absent without a cycle counter."},
        {"energy.package.N.host.weight", "ullong", "weight", "counter", "first", "plugin",
         "What energy is divided by: cycles, or ns where no PMU counts, each weighed by energy.host.weight. "
         "Absent "
         "where time or cycles count as they are."},
        {"energy.package.N.host.shared", "ullong", "cycles or ns", "counter", "first", "BPF",
         "Cycles of the host (ns, where no PMU counts) while a hyperthread of the same core was busy, too. "
         "Absent "
         "where no core has two."},
        {"energy.package.N.host.squared", "ullong", "cycles GHz²", "counter", "first", "BPF",
         "Cycles of the host, each times the square of its frequency. Absent without a cycle counter."},
        {"energy.package.N.vms.time", "ullong", "ns", "counter", "first", "BPF or CPU clocks",
         "CPU time of all domains: running, departed, visible or not."},
        {"energy.package.N.vms.cycles", "ullong", "cycles", "counter", "first", "perf cpu-cycles",
         "Cycles of all domains. Absent without a cycle counter."},
        {"energy.package.N.vms.weight", "ullong", "weight", "counter", "first", "plugin",
         "Weighed use of all domains."},
        {"energy.package.N.frequency", "ullong", "kHz", "gauge", "first", "cpufreq scaling_cur_freq",
         "Mean of the current frequencies of the package's online CPUs. Absent where the kernel tells "
         "none."},
        {"energy.zone.count", "uint", "-", "gauge", "first", "plugin", "Energy counters; N runs from 0."},
        {"energy.zone.N.name", "string", "-", "constant", "first", "source",
         "Unique on the host: package-0, package-0/dram."},
        {"energy.zone.N.type", "string", "-", "constant", "first", "source",
         "package, dram, core, uncore or psys."},
        {"energy.zone.N.package", "uint", "-", "constant", "first", "source",
         "Index of the package that it belongs to, as in energy.package. Absent if it belongs to none."},
        {"energy.zone.N.source", "string", "-", "constant", "first", "plugin",
         "powercap, perf or modelled. Modelled energy is computed, not measured. simulated- stands before it "
         "where the plugin reads another root than the kernel's. test: made up by libvirt's test driver."},
        {"energy.zone.N.counted", "boolean", "-", "gauge", "first", "plugin",
         "Part of the host's sum. Counted zones do not overlap. False until the counter was seen to move."},
        {"energy.zone.N.energy", "ullong", "µJ", "counter", "first",
         "powercap energy_uj, perf PMU power, or the model",
         "Energy since counting began; wraps of the hardware are undone. Absent if it cannot be read."},
        {"energy.zone.N.gaps", "ullong", "-", "counter", "first", "plugin",
         "Times at which energy was lost: the counter may have wrapped unseen, or went back. Energy compares "
         "only "
         "where this is equal."},
        {"energy.zone.N.static", "ullong", "µW", "gauge", "first", "host-power-calibration.conf",
         "Power of the zone while the host is idle, as virt-power calibrate measured it. Absent until then."},
        {"energy.zone.N.limit", "ullong", "µW", "gauge", "first", "powercap constraint_M_power_limit_uw",
         "The lowest power limit that is in force on the zone, its MMIO mirror's included. Absent where "
         "there is none, and on an MMIO mirror."},
        {"energy.departed.package.N.time", "ullong", "ns", "counter", "first", "BPF or CPU clocks",
         "CPU time of all domains that ended, for ever. Part of energy.package.N.vms.time."},
        {"energy.departed.package.N.cycles", "ullong", "cycles", "counter", "first", "perf cpu-cycles",
         "Cycles of all domains that ended. Absent without a cycle counter."},
        {"energy.departed.package.N.weight", "ullong", "weight", "counter", "first", "plugin",
         "Weighed use of all domains that ended."},
        {"energy.departed.count", "uint", "-", "gauge", "first", "plugin",
         "Domains that ended lately and that the client may see; N runs from 0."},
        {"energy.departed.N.name", "string", "-", "constant", "first", "libvirt", "Name of the domain."},
        {"energy.departed.N.uuid", "string", "-", "constant", "first", "libvirt", "UUID of the domain."},
        {"energy.departed.N.instance", "ullong", "-", "constant", "first", "plugin",
         "Which life of the domain ended."},
        {"energy.departed.N.package.M.time", "ullong", "ns", "constant", "first", "BPF or CPU clocks",
         "CPU time of that life in package M."},
        {"energy.departed.N.package.M.cycles", "ullong", "cycles", "constant", "first", "perf cpu-cycles",
         "Cycles of that life in package M. Absent without a cycle counter."},
        {"energy.departed.N.package.M.weight", "ullong", "weight", "constant", "first", "plugin",
         "Weighed use of that life in package M."},
        {"energy.departed.N.package.M.helper.time", "ullong", "ns", "constant", "first", "BPF",
         "The part of its time that was no vCPU's."},
        {"energy.departed.N.package.M.helper.weight", "ullong", "weight", "constant", "first", "plugin",
         "The part of its weighed use that was no vCPU's."},
        {"energy.instance", "ullong", "-", "constant", "every", "/proc/PID/stat",
         "Changes with every start of a QEMU process; survives a restart of the daemon."},
        {"energy.usage", "string", "-", "constant", "every", "plugin",
         "As energy.host.usage, only where this domain is counted in another way than the host."},
        {"energy.package.N.time", "ullong", "ns", "counter", "every", "BPF or CPU clocks",
         "CPU time of the domain's threads in package N, since the later of its start and the epoch's."},
        {"energy.package.N.cycles", "ullong", "cycles", "counter", "every", "perf cpu-cycles",
         "Cycles of the domain's threads in package N. Absent without a cycle counter."},
        {"energy.package.N.weight", "ullong", "weight", "counter", "every", "plugin",
         "The domain's weighed use in package N."},
        {"energy.package.N.helper.time", "ullong", "ns", "counter", "every", "BPF",
         "The part of energy.package.N.time that is no vCPU's: QEMU's other threads, vhost workers, and "
         "processes "
         "in the domain's cgroup. Absent where CPU use is counted from /proc."},
        {"energy.package.N.helper.weight", "ullong", "weight", "counter", "every", "plugin",
         "The part of the domain's weighed use that is no vCPU's."},
    };
    return docs;
}

}  // namespace virt_power
