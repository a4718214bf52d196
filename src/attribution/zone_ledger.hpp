// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// What each zone's energy counter rose by between two readings of one epoch.
#ifndef VIRT_POWER_ATTRIBUTION_ZONE_LEDGER_HPP
#define VIRT_POWER_ATTRIBUTION_ZONE_LEDGER_HPP

#include <string>
#include <unordered_map>
#include <vector>

#include "virt-power/interval.hpp"
#include "virt-power/reading.hpp"

namespace virt_power {

struct ZoneUses {
    std::vector<ZoneInterval> zones;
    bool any_counted = false;
    bool more_to_come = false;  ///< a zone counts now but did not over the whole interval
    std::vector<std::string> notices;
};

class ZoneLedger {
public:
    /// Takes counters without comparing: the first reading of an epoch.
    void rebase(const HostReading& reading);

    /// Energy since the reading before.
    ZoneUses advance(const HostReading& reading);

private:
    /// Empty if the zone counts in this interval, else why it does not.
    static std::string problem_of(const ZoneReading* before, const ZoneReading& now, size_t packages);
    void report(ZoneUses& uses, const std::string& name, const std::string& problem);

    std::vector<ZoneReading> before_;
    std::unordered_map<std::string, std::string> problems_;  ///< by zone, as last reported
};

}  // namespace virt_power

#endif
