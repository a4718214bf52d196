// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// Reading: what one pass over a host's counters gave. It is what the plugin
/// takes, what travels as stats of the group `energy`, and what the client gets.
///
/// All numbers are raw: monotone counters, not differences. Only counters of
/// the same HostReading::epoch (and, for a domain, the same instance) may be
/// subtracted. What is not known is absent, never 0.
#ifndef VIRT_POWER_READING_HPP
#define VIRT_POWER_READING_HPP

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace virt_power {

/// CPU use within one package, since counting began.
struct Usage {
    uint64_t time_ns = 0;            ///< time on CPU
    std::optional<uint64_t> cycles;  ///< unhalted core cycles, where a PMU counts them
    /// What energy is divided by: cycles (nanoseconds where none are counted), each weighed as
    /// HostReading::weighing says. Absent where they count as they are.
    std::optional<uint64_t> weight = std::nullopt;

    bool operator==(const Usage&) const = default;
};

/// How CPU use was counted.
enum class UsageSource {
    Bpf,   ///< at each context switch, per owner and package
    Proc,  ///< the process's CPU clock and /proc/stat: the fallback
};

/// What a cycle (a nanosecond, where no cycles are counted) weighs.
struct Weighing {
    /// In thousandths: while a hyperthread of the same core is busy, too. 1000: no less than alone.
    uint32_t shared_permille = 1000;
    /// A cycle at f GHz weighs (cycle_permille + square_permille x f^2) / 1000.
    uint32_t cycle_permille = 1000;
    uint32_t square_permille = 0;
    bool measured = false;  ///< on this machine (virt-power calibrate), else a default

    bool operator==(const Weighing&) const = default;
};

/// A package as `energy.package.N`.
struct PackageReading {
    int64_t id = 0;  ///< physical_package_id
    Usage host;      ///< all tasks but idle, the domains' included
    Usage vms;       ///< all domains, running and departed, visible or not
    /// Mean of the current frequencies of its online CPUs, in kilohertz, where the kernel tells them.
    std::optional<uint64_t> frequency_khz = std::nullopt;
    /// Of the host's cycles (nanoseconds, where no cycles are counted) those while a hyperthread of the
    /// same core was busy, too. Absent where no core has two.
    std::optional<uint64_t> shared = std::nullopt;
    /// The host's cycles, each times the square of its frequency in GHz. Absent without cycles.
    std::optional<uint64_t> squared = std::nullopt;

    bool operator==(const PackageReading&) const = default;
};

/// An energy counter as `energy.zone.N`.
struct ZoneReading {
    std::string name;                 ///< unique on the host, as "package-0" or "package-0/dram"
    std::string type;                 ///< package, dram, core, uncore or psys
    std::optional<uint32_t> package;  ///< index N of its package, not the physical id
    std::string source;    ///< powercap, perf or modelled; "simulated-" before it in tests; test (made up)
    bool counted = false;  ///< part of the host's sum: counted zones never overlap
    std::optional<uint64_t> energy_uj;  ///< microjoules since counting began; absent if unreadable
    /// Times at which energy was lost: a counter that wrapped unseen or went
    /// back. Energy of two readings may be compared only where this is equal.
    uint64_t gaps = 0;
    /// What the zone draws while the host does nothing, in microwatts, where it was
    /// measured (virt-power calibrate).
    std::optional<uint64_t> static_uw = std::nullopt;
    /// The lowest power limit in force on the zone, in microwatts, its MMIO mirror's included; absent
    /// where there is none.
    std::optional<uint64_t> limit_uw = std::nullopt;

    bool operator==(const ZoneReading&) const = default;
};

/// One life of a domain: from the start of a QEMU process to its end.
struct DomainUsage {
    std::string name;
    std::string uuid;                         ///< lower-case, with dashes
    uint64_t instance = 0;                    ///< changes with every start of a QEMU process
    std::vector<Usage> packages;              ///< by package index; empty if not known
    std::optional<UsageSource> usage_source;  ///< only where it is not the host's
    /// The part of `packages` that is no vCPU's: QEMU's other threads, vhost workers, helper processes. By
    /// package index, without cycles; empty if not known.
    std::vector<Usage> helpers = {};

    bool operator==(const DomainUsage&) const = default;
};

struct HostReading {
    uint64_t epoch = 0;    ///< changes whenever the host's counters restart
    uint64_t time_ns = 0;  ///< CLOCK_BOOTTIME of the pass
    UsageSource usage_source = UsageSource::Proc;
    /// Times at which cycles were not counted though there is a counter. Cycles
    /// of two readings may be compared only where this is equal in both. Absent
    /// where no PMU counts.
    std::optional<uint64_t> cycles_gaps;
    /// Readings come no closer than this to this client, where that is limited.
    std::optional<uint64_t> interval_ns;
    std::optional<uint32_t> vm_count;                 ///< running domains, visible or not
    std::optional<Weighing> weighing = std::nullopt;  ///< present exactly where usages have a weight
    std::vector<PackageReading> packages;
    std::vector<ZoneReading> zones;
    /// Totals of all departed domains, by package index. Part of packages[N].vms.
    std::vector<Usage> departed_totals;
    /// Those that ended lately and may be seen.
    std::vector<DomainUsage> departed;

    bool operator==(const HostReading&) const = default;
};

}  // namespace virt_power

#endif
