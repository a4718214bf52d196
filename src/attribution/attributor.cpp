// SPDX-License-Identifier: LGPL-2.1-or-later
#include <algorithm>
#include <array>
#include <cstdio>
#include <set>
#include <utility>

#include "arithmetic.hpp"
#include "cpu_only.hpp"
#include "host_ledger.hpp"
#include "interval_builder.hpp"
#include "use_ledger.hpp"
#include "virt-power/pipeline.hpp"
#include "zone_ledger.hpp"

namespace virt_power {

struct Attributor::State {
    explicit State(AttributionOptions given) : options(std::move(given)) {}

    AttributionOptions options;
    HostLedger host;
    UseLedger domains;
    ZoneLedger zones;
    CpuOnly cpu_only;
    bool told_empty = false;
    bool told_zones = false;
    bool told_hidden = false, told_unknown = false;  ///< why static power is not divided by allocation
    std::set<std::string, std::less<>> told_excess;  ///< zones

    void tell_if_empty(const Sample& sample, std::vector<std::string>& notices);
    void tell_unknown_zones(const std::vector<ZoneInterval>& seen, std::vector<std::string>& notices);
    void tell_allocations(const Allocations& allocations, std::vector<std::string>& notices);
    void tell_static_excess(const Interval& interval, std::vector<std::string>& notices);
    Attributed add_reading(const Sample& sample, const HostReading& reading);
    Attributed add_forward(const Sample& sample, const HostReading& reading, const HostUses& uses);
};

namespace {

/// Counters that give CPU use or energy; a reading may hold neither.
bool is_useful(const HostReading& reading) {
    return !reading.packages.empty() || std::any_of(reading.zones.begin(), reading.zones.end(),
                                                    [](const auto& zone) { return zone.counted; });
}

void append(std::vector<std::string>& to, std::vector<std::string>&& from) {
    to.insert(to.end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
}

}  // namespace

/// Once when the last domain ended, not at each sample.
void Attributor::State::tell_if_empty(const Sample& sample, std::vector<std::string>& notices) {
    bool empty = sample.domains.empty();
    if (empty && !told_empty) notices.emplace_back("no domain is running; waiting for one");
    told_empty = empty;
}

void Attributor::State::tell_unknown_zones(const std::vector<ZoneInterval>& seen,
                                           std::vector<std::string>& notices) {
    if (std::exchange(told_zones, true)) return;
    for (const auto& given : options.static_uw) {
        const std::string& name = given.first;
        bool found = name.empty() || std::any_of(seen.begin(), seen.end(), [&](const ZoneInterval& zone) {
                         return zone.counted && zone.name == name;
                     });
        if (!found)
            notices.push_back("static power is given for zone " + name + ", which is not counted here");
    }
}

/// Each cause once, however long it lasts.
void Attributor::State::tell_allocations(const Allocations& allocations, std::vector<std::string>& notices) {
    auto tell = [&notices](const std::string& why, bool& told) {
        if (why.empty() || std::exchange(told, true)) return;
        notices.push_back("static power is not divided by allocation but a row of its own: " + why);
    };
    tell(allocations.hidden, told_hidden);
    tell(allocations.unknown, told_unknown);
}

/// Then the domains are charged nothing, whatever they do.
void Attributor::State::tell_static_excess(const Interval& interval, std::vector<std::string>& notices) {
    for (const ZoneInterval& zone : interval.zones) {
        std::optional<uint64_t> given_uw = given_static_uw(options, zone.name, zone.type);
        if (!zone.counted || !given_uw || told_excess.contains(zone.name)) continue;
        uint64_t energy_uj = zone.energy_uj.value_or(0);
        if (energy_of(*given_uw, interval.duration_ns) <= energy_uj) continue;
        told_excess.insert(zone.name);
        std::array<char, 96> watts{};
        double drawn_w = static_cast<double>(energy_uj) * 1e3 / static_cast<double>(interval.duration_ns);
        std::snprintf(watts.data(), watts.size(),
                      "drew %.2f W, less than the %.2f W given as its static power", drawn_w,
                      static_cast<double>(*given_uw) / 1e6);
        notices.push_back("zone " + zone.name + " " + watts.data() + ": nothing of it is left for domains");
    }
}

Attributed Attributor::State::add_forward(const Sample& sample, const HostReading& reading,
                                          const HostUses& uses) {
    Attributed result;
    uint64_t vms_time_ns = 0;
    for (const Usage& use : uses.vms) vms_time_ns = add_capped(vms_time_ns, use.time_ns);
    DomainUses domain_uses = domains.advance(reading, sample.domains, vms_time_ns);
    append(result.notices, std::move(domain_uses.notices));
    ZoneUses zone_uses = zones.advance(reading);
    append(result.notices, std::move(zone_uses.notices));
    bool energy_wanted = sample.status == EnergyStatus::Ok;
    if (energy_wanted && !zone_uses.any_counted && zone_uses.more_to_come) {
        result.waiting = true;
        return result;
    }
    if (!energy_wanted)
        for (ZoneInterval& zone : zone_uses.zones) zone.counted = false;
    if (energy_wanted && zone_uses.any_counted) tell_unknown_zones(zone_uses.zones, result.notices);
    IntervalBuilder builder(options, sample, reading, uses, domain_uses);
    result.interval = builder.build(std::move(zone_uses.zones));
    tell_allocations(builder.allocations(), result.notices);
    tell_static_excess(*result.interval, result.notices);
    return result;
}

Attributed Attributor::State::add_reading(const Sample& sample, const HostReading& reading) {
    HostUses uses;
    std::string notice;
    Attributed result;
    switch (host.advance(reading, uses, notice)) {
        case Step::Forward:
            return add_forward(sample, reading, uses);
        case Step::Same:
            result.waiting = reading.interval_ns.has_value();
            break;
        case Step::Restart:
            result.notices.push_back(std::move(notice));
            [[fallthrough]];
        case Step::First:
            domains.clear();
            domains.rebase(reading, sample.domains);
            zones.rebase(reading);
            break;
    }
    return result;
}

Attributor::Attributor(AttributionOptions options) : state_(std::make_unique<State>(std::move(options))) {}
Attributor::~Attributor() = default;
Attributor::Attributor(Attributor&&) noexcept = default;
Attributor& Attributor::operator=(Attributor&&) noexcept = default;

Attributed Attributor::add(const Sample& sample) {
    Attributed result;
    if (sample.reading && is_useful(*sample.reading)) {
        state_->cpu_only.clear();
        result = state_->add_reading(sample, *sample.reading);
    } else if (!sample.domains.empty() && sample.status != EnergyStatus::Ok) {
        result.interval = state_->cpu_only.advance(sample);
    }
    state_->tell_if_empty(sample, result.notices);
    return result;
}

}  // namespace virt_power
