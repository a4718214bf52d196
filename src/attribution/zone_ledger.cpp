// SPDX-License-Identifier: LGPL-2.1-or-later
#include "zone_ledger.hpp"

#include <string_view>
#include <unordered_set>

namespace virt_power {

void ZoneLedger::rebase(const HostReading& reading) { before_ = reading.zones; }

std::string ZoneLedger::problem_of(const ZoneReading* before, const ZoneReading& now, size_t packages) {
    if (now.package && *now.package >= packages) return "names a package that does not exist";
    if (!now.energy_uj) return "cannot be read";
    if (!now.counted) return "counts no more";
    if (!before) return "is new";
    if (!before->counted) return "begins to count";
    if (before->source != now.source || before->type != now.type) return "has another source";
    if (!before->energy_uj) return "can be read again";
    if (before->gaps != now.gaps) return "has a gap";
    if (*now.energy_uj < *before->energy_uj) return "went back";
    return {};
}

/// A line when a zone's state changes, not at each interval.
void ZoneLedger::report(ZoneUses& uses, const std::string& name, const std::string& problem) {
    std::string& last = problems_[name];
    if (problem != last && !problem.empty())
        uses.notices.push_back("zone " + name + " " + problem + ": its energy is not in this interval");
    last = problem;
}

ZoneUses ZoneLedger::advance(const HostReading& reading) {
    ZoneUses uses;
    std::unordered_map<std::string_view, const ZoneReading*> before;
    for (const ZoneReading& zone : before_) before.emplace(zone.name, &zone);
    std::unordered_set<std::string_view> now;
    uses.zones.reserve(reading.zones.size());
    for (const ZoneReading& zone : reading.zones) {
        auto found = before.find(zone.name);
        const ZoneReading* old = found == before.end() ? nullptr : found->second;
        bool twice = !now.insert(zone.name).second;
        std::string problem = twice ? "is listed twice" : problem_of(old, zone, reading.packages.size());
        ZoneInterval interval{zone.name,       zone.type, zone.package, zone.source,
                              problem.empty(), {},        zone.limit_uw};
        bool comparable = !twice && old && old->energy_uj && zone.energy_uj && old->source == zone.source &&
                          old->gaps == zone.gaps;
        if (comparable && *zone.energy_uj >= *old->energy_uj)
            interval.energy_uj = *zone.energy_uj - *old->energy_uj;
        uses.any_counted = uses.any_counted || interval.counted;
        if (zone.counted || (old && old->counted)) {
            report(uses, zone.name, problem);
            uses.more_to_come = uses.more_to_come || (zone.counted && !interval.counted && zone.energy_uj);
        }
        uses.zones.push_back(std::move(interval));
    }
    for (const ZoneReading& zone : before_)
        if (zone.counted && !now.contains(zone.name)) report(uses, zone.name, "is gone");
    before_ = reading.zones;
    return uses;
}

}  // namespace virt_power
