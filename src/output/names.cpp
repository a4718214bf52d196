// SPDX-License-Identifier: LGPL-2.1-or-later
#include "names.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <limits>
#include <set>

namespace virt_power {

std::string_view name_of(Model model) { return model == Model::VmShare ? "vm-share" : "host-share"; }

std::string_view name_of(StaticPolicy policy) {
    switch (policy) {
        case StaticPolicy::Separate:
            return "separate";
        case StaticPolicy::Even:
            return "even";
        case StaticPolicy::Proportional:
            return "proportional";
        case StaticPolicy::Allocation:
            return "allocation";
    }
    return "";
}

std::string_view name_of(Basis basis) {
    switch (basis) {
        case Basis::Cycles:
            return "cycles";
        case Basis::Time:
            return "time";
        case Basis::ProcTime:
            return "proc-time";
    }
    return "";
}

std::string_view name_of(RowKind kind) {
    switch (kind) {
        case RowKind::Domain:
            return "domain";
        case RowKind::Departed:
            return "departed";
        case RowKind::Other:
            return "other";
        case RowKind::Host:
            return "host";
        case RowKind::Static:
            return "static";
    }
    return "";
}

std::string_view name_of(EnergyStatus status) {
    switch (status) {
        case EnergyStatus::Ok:
            return "ok";
        case EnergyStatus::Denied:
            return "denied";
        case EnergyStatus::NoPlugin:
            return "no-plugin";
        case EnergyStatus::NoSource:
            return "no-source";
        case EnergyStatus::Error:
            return "error";
        case EnergyStatus::NoGroup:
            return "no-group";
    }
    return "";
}

bool has_energy(const Interval& interval) {
    return std::any_of(interval.zones.begin(), interval.zones.end(),
                       [](const ZoneInterval& zone) { return zone.counted; });
}

std::string utc_time(int64_t wall_ns) {
    constexpr int64_t ns_per_s = 1'000'000'000;
    int64_t seconds = wall_ns / ns_per_s;
    int64_t rest = wall_ns % ns_per_s;
    if (rest < 0) {
        rest += ns_per_s;
        --seconds;
    }
    std::time_t when = seconds;
    std::tm utc{};
    gmtime_r(&when, &utc);
    return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", utc.tm_year + 1900, utc.tm_mon + 1,
                       utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec, rest / 1'000'000);
}

int64_t start_wall_ns(const Interval& interval) {
    constexpr auto most = static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
    int64_t start = 0;
    auto duration = static_cast<int64_t>(std::min(interval.duration_ns, most));
    if (__builtin_sub_overflow(interval.end_wall_ns, duration, &start))
        return std::numeric_limits<int64_t>::min();
    return start;
}

double power_w(uint64_t energy_uj, uint64_t duration_ns) {
    if (duration_ns == 0) return 0;
    return static_cast<double>(energy_uj) * 1000.0 / static_cast<double>(duration_ns);
}

std::string sources_of(const Interval& interval) {
    std::set<std::string> sources;
    for (const ZoneInterval& zone : interval.zones)
        if (zone.counted) sources.insert(zone.source);
    return fmt::format("{}", fmt::join(sources, "+"));
}

}  // namespace virt_power
