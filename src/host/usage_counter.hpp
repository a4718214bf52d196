// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// Counts the CPU use of the host and of owners (domains) by package.
#ifndef VIRT_POWER_HOST_USAGE_COUNTER_HPP
#define VIRT_POWER_HOST_USAGE_COUNTER_HPP

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "process.hpp"
#include "virt-power/reading.hpp"
#include "virt-power/result.hpp"

namespace virt_power {

/// Chosen by the caller; never used twice.
using OwnerId = uint64_t;

struct OwnerUsage {
    std::vector<Usage> packages;  ///< by package index
    UsageSource source = UsageSource::Proc;
    std::vector<Usage> helpers = {};  ///< as DomainUsage::helpers
};

struct UsageReading {
    std::vector<Usage> rest;  ///< all that is not an owner's and not idle time, by package
    std::unordered_map<OwnerId, OwnerUsage> owners;
    std::optional<uint64_t> cycles_gaps;
};

/// Threads: one call at a time.
class UsageCounter {
public:
    virtual ~UsageCounter() = default;

    [[nodiscard]] virtual UsageSource source() const = 0;

    /// Counts a process from now on. Gone: it has ended.
    [[nodiscard]] virtual Status add(OwnerId owner, const Process& process) = 0;

    /// Stops counting; what was used until now. Nothing for an unknown owner.
    virtual std::optional<OwnerUsage> remove(OwnerId owner) = 0;

    /// All counters, taken together. All are monotone.
    [[nodiscard]] virtual Result<UsageReading> read() = 0;
};

}  // namespace virt_power

#endif
