// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// Intervals without the group's counters: CPU shares from libvirt's `cpu.time`.
#ifndef VIRT_POWER_ATTRIBUTION_CPU_ONLY_HPP
#define VIRT_POWER_ATTRIBUTION_CPU_ONLY_HPP

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>

#include "virt-power/interval.hpp"
#include "virt-power/sample.hpp"

namespace virt_power {

/// One line that says why there is no energy; never empty.
std::string reason_for(EnergyStatus status, const std::string& given);

class CpuOnly {
public:
    /// Rows of the domains with their CPU time since the sample before; absent
    /// for the first sample and where the clock did not advance.
    std::optional<Interval> advance(const Sample& sample);

    /// The next sample is a first one.
    void clear() { before_ns_.reset(); }

private:
    std::optional<int64_t> before_ns_;
    std::unordered_map<std::string, uint64_t> cpu_time_ns_;  ///< by uuid, of the sample before
};

}  // namespace virt_power

#endif
