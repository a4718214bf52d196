// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// The host's own counters between two readings: may they be compared, and
/// what did host and domains use together.
#ifndef VIRT_POWER_ATTRIBUTION_HOST_LEDGER_HPP
#define VIRT_POWER_ATTRIBUTION_HOST_LEDGER_HPP

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "virt-power/reading.hpp"

namespace virt_power {

struct HostUses {
    uint64_t duration_ns = 0;
    std::vector<Usage> host;  ///< per package, domains included
    std::vector<Usage> vms;   ///< per package
    bool cycles_known = false;
    bool weights_known = false;
    bool counts_cycles = false;  ///< some usage has them
};

/// How a reading stands to the one before.
enum class Step {
    First,    ///< there is none before
    Restart,  ///< not comparable: a new base
    Same,     ///< the same reading again
    Forward,
};

class HostLedger {
public:
    /// Compares and keeps the reading as the new base, but for Same. For
    /// Restart, `notice` says why.
    Step advance(const HostReading& reading, HostUses& uses, std::string& notice);

private:
    struct Base {
        uint64_t epoch = 0, time_ns = 0;
        UsageSource usage_source = UsageSource::Proc;
        std::optional<uint64_t> cycles_gaps;
        std::optional<Weighing> weighing;
        std::vector<PackageReading> packages;
    };

    static bool subtract(const Base& before, const HostReading& now, HostUses& uses);

    std::optional<Base> base_;
};

}  // namespace virt_power

#endif
