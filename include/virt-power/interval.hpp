// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// Interval: what attribution makes of two samples of a host.
#ifndef VIRT_POWER_INTERVAL_HPP
#define VIRT_POWER_INTERVAL_HPP

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "virt-power/reading.hpp"
#include "virt-power/sample.hpp"

namespace virt_power {

/// How a zone's energy is divided. See docs/model.md.
enum class Model {
    HostShare,  ///< a domain's use over all use of the package
    VmShare,    ///< a domain's use over the use of all domains
};

/// What becomes of static power, where it is known.
enum class StaticPolicy {
    Separate,      ///< a row of its own
    Even,          ///< the same for each domain
    Proportional,  ///< by the domains' use
    Allocation,    ///< by what the domains were given: vCPUs, of dram memory
};

/// What use was measured in.
enum class Basis {
    Cycles,
    Time,      ///< CPU time, counted at context switches
    ProcTime,  ///< CPU time from /proc: the fallback
};

enum class RowKind {
    Domain,    ///< runs at the end of the interval
    Departed,  ///< ended within it
    Other,     ///< all domains that this client may not see, together
    Host,      ///< the rest of the host
    Static,
};

struct ZoneInterval {
    std::string name;
    std::string type;
    std::optional<uint32_t> package;
    std::string source;
    bool counted = false;  ///< part of this interval's sum
    /// Absent where it is not known over the whole interval; never for a counted one.
    std::optional<uint64_t> energy_uj;
    /// ZoneReading::limit_uw at the end of the interval.
    std::optional<uint64_t> limit_uw = std::nullopt;

    bool operator==(const ZoneInterval&) const = default;
};

/// A package at the end of the interval. ZoneInterval::package is an index of these.
struct PackageInterval {
    int64_t id = 0;                         ///< PackageReading::id
    std::optional<uint64_t> frequency_khz;  ///< PackageReading::frequency_khz

    bool operator==(const PackageInterval&) const = default;
};

struct ZoneEnergy {
    uint32_t zone = 0;  ///< index into Interval::zones; only counted ones occur
    uint64_t energy_uj = 0;

    bool operator==(const ZoneEnergy&) const = default;
};

struct Row {
    RowKind kind = RowKind::Domain;
    std::string name;  ///< the domain's, else empty
    std::string uuid;
    std::optional<uint64_t> instance;
    std::optional<uint64_t> energy_uj;   ///< absent where energy is not known
    std::optional<double> energy_share;  ///< 0 to 1, of the counted zones' sum
    std::optional<double> cpu_share;     ///< 0 to 1, of all CPUs of the host, as virt-top's %CPU
    std::optional<uint64_t> cpu_time_ns;
    std::optional<uint64_t> cycles;
    /// The part of cpu_time_ns that was no vCPU's (DomainUsage::helpers), of a domain where it is known.
    std::optional<uint64_t> helper_time_ns = std::nullopt;
    /// The part of energy_uj for that use; nothing of static power is in it. What is left is the guest's.
    std::optional<uint64_t> helper_energy_uj = std::nullopt;
    std::vector<ZoneEnergy> zones;  ///< one per counted zone, in their order; empty without energy

    bool operator==(const Row&) const = default;
};

/// In an interval with energy the rows add up to the counted zones, per zone
/// and in total, to the microjoule.
struct Interval {
    std::string host;
    /// What tables call the host where its name alone does not tell it from another; empty: its name.
    std::string host_label;
    std::string uri;
    int64_t end_wall_ns = 0;   ///< client's CLOCK_REALTIME; the start is end - duration
    uint64_t duration_ns = 0;  ///< by the host's CLOCK_BOOTTIME where it is known
    std::optional<Basis> basis;
    bool weighed = false;  ///< energy was divided by Usage::weight, not by the basis as it is
    /// Where it was: by weights measured on that host (true) or by default ones. Absent: there is nothing to
    /// weigh there, as no core has two hyperthreads, or it was not told.
    std::optional<bool> weights_measured;
    Model model = Model::HostShare;
    StaticPolicy static_policy = StaticPolicy::Separate;
    bool idle_included = true;  ///< static power is not known, hence inside the shares
    EnergyStatus status = EnergyStatus::Ok;
    std::string reason;  ///< why there is no energy; empty if there is
    std::vector<ZoneInterval> zones;
    std::vector<Row> rows;
    std::vector<PackageInterval> packages;  ///< empty where the host's figures are not known
};

}  // namespace virt_power

#endif
