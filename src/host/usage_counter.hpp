// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// Counts the CPU use of the host and of owners (domains) by package.
#ifndef VIRT_POWER_HOST_USAGE_COUNTER_HPP
#define VIRT_POWER_HOST_USAGE_COUNTER_HPP

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "owner_usages.hpp"
#include "process.hpp"
#include "virt-power/reading.hpp"
#include "virt-power/result.hpp"

namespace virt_power {

inline void drop_weights(std::span<Usage> usages) {
    for (Usage& usage : usages) usage.weight.reset();
}

struct UsageReading {
    std::vector<Usage> rest;  ///< all that is not an owner's and not idle time, by package
    OwnerUsages owners;
    std::optional<uint64_t> cycles_gaps;
    std::vector<uint64_t> shared;   ///< as PackageReading::shared; empty where no core has two threads
    std::vector<uint64_t> squared;  ///< as PackageReading::squared; empty where no cycles are counted
    std::optional<Weighing> weighing;
};

/// What a counter knows from a daemon before this one.
struct KeptOwner {
    OwnerId id = 0;
    std::string label;
    Process process;
    std::optional<uint64_t> ended_ns;  ///< absent: it was running
    OwnerUsage used;
};

struct KeptUsage {
    std::vector<KeptOwner> owners;
    std::vector<Usage> forgotten;  ///< of owners that forget() was called for, by package
};

/// When counting began: maybe in a daemon before this one.
struct Origin {
    uint64_t epoch = 0;  ///< as HostReading::epoch
    uint64_t start_ns = 0;
};

/// Threads: one call at a time.
class UsageCounter {
public:
    virtual ~UsageCounter() = default;

    [[nodiscard]] virtual UsageSource source() const = 0;

    /// Nothing where counting begins and ends with this process.
    [[nodiscard]] virtual std::optional<Origin> origin() const { return std::nullopt; }

    /// Called once, before all else: what a daemon before this one counted, if that goes on here.
    virtual std::optional<KeptUsage> take_over(const std::function<OwnerId()>& next_id) {
        (void)next_id;
        return std::nullopt;
    }

    /// Counts a process from now on. Gone: it has ended.
    /// \param label given back by take_over()
    [[nodiscard]] virtual Status add(OwnerId owner, const Process& process, std::string_view label) = 0;

    /// Stops counting; what was used until now, which stays as it is. Nothing for an unknown owner.
    virtual std::optional<OwnerUsage> end(OwnerId owner, uint64_t now_ns) = 0;

    /// Of an owner that has ended only its part of the sum of all such is kept.
    virtual void forget(OwnerId owner) = 0;

    /// Without forget(), another owner would be counted otherwise than those before it.
    [[nodiscard]] virtual bool full() const { return false; }

    /// From now on.
    virtual void weigh(const Weighing& weighing) { (void)weighing; }

    /// All counters, taken together. All are monotone.
    [[nodiscard]] virtual Result<UsageReading> read() = 0;
};

}  // namespace virt_power

#endif
