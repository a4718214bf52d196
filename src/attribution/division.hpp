// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// Divides the energy of one interval over its rows.
#ifndef VIRT_POWER_ATTRIBUTION_DIVISION_HPP
#define VIRT_POWER_ATTRIBUTION_DIVISION_HPP

#include <cstdint>
#include <optional>
#include <vector>

#include "virt-power/interval.hpp"

namespace virt_power {

/// Who takes part, in the order in which remainders are dealt out: domains,
/// then `other`, then the rest of the host, then static power.
struct Participants {
    size_t packages = 0;
    /// Use per package in the interval's basis: row i of package p is i * packages + p.
    /// The last row of these is `other`.
    std::vector<uint64_t> vm_use;
    std::vector<uint64_t> running;    ///< how many running domains each row stands for
    std::vector<uint64_t> host_rest;  ///< use of the rest of the host, per package
    /// What each row was given, for StaticPolicy::Allocation; empty where that is not known.
    std::vector<uint64_t> vcpus, memory_kib;

    [[nodiscard]] size_t vm_rows() const { return running.size(); }
};

struct ZoneToDivide {
    uint64_t energy_uj = 0;
    std::optional<uint32_t> package;    ///< absent: the whole host
    std::optional<uint64_t> static_uw;  ///< absent: not known
    bool is_memory = false;             ///< its static power goes by memory, not by vCPUs
};

/// One zone's energy by row. Everything adds up to the zone's energy.
struct ZoneParts {
    std::vector<uint64_t> vms;     ///< the last is `other`
    std::vector<uint64_t> by_use;  ///< of these, what is no static power
    uint64_t host = 0;
    uint64_t static_power = 0;
};

ZoneParts divide_zone(const ZoneToDivide& zone, const Participants& who, Model model, StaticPolicy policy,
                      uint64_t duration_ns);

}  // namespace virt_power

#endif
