// SPDX-License-Identifier: LGPL-2.1-or-later
#include "load_windows.hpp"

#include <algorithm>

namespace virt_power {
namespace {

constexpr double ns_per_s = 1e9;

/// What a package, or all of them, did between two readings.
struct Use {
    double time_ns = 0;
    std::optional<double> cycles = 0.0, shared = 0.0, squared = 0.0;
};

std::optional<double> difference(const std::optional<uint64_t>& before, const std::optional<uint64_t>& now) {
    if (!before || !now || *now < *before) return std::nullopt;
    return static_cast<double>(*now - *before);
}

void add(std::optional<double>& sum, const std::optional<double>& value) {
    if (sum && value)
        *sum += *value;
    else
        sum.reset();
}

Use use_between(const HostReading& before, const HostReading& now, std::optional<uint32_t> package) {
    Use use;
    for (size_t p = 0; p < now.packages.size(); p++) {
        if (package && *package != p) continue;
        const PackageReading &then = before.packages[p], &here = now.packages[p];
        use.time_ns += static_cast<double>(here.host.time_ns - then.host.time_ns);
        add(use.cycles, difference(then.host.cycles, here.host.cycles));
        add(use.shared, difference(then.shared, here.shared));
        add(use.squared, difference(then.squared, here.squared));
    }
    return use;
}

bool any_cycles(const HostReading& reading) {
    return std::any_of(reading.packages.begin(), reading.packages.end(),
                       [](const PackageReading& package) { return package.host.cycles.has_value(); });
}

/// Empty if two readings can be compared.
std::string difference_of(const HostReading& before, const HostReading& now) {
    if (now.epoch != before.epoch) return "the host's counters restarted";
    if (now.time_ns < before.time_ns) return "the host's clock went back";
    if (now.packages.size() != before.packages.size()) return "the number of packages changed";
    if (now.usage_source != before.usage_source) return "the host counts CPU use in another way";
    if (any_cycles(now) != any_cycles(before)) return "the host counts cycles at some times only";
    if (any_cycles(now) && now.cycles_gaps != before.cycles_gaps)
        return "cycles were not counted for a while";
    for (size_t p = 0; p < now.packages.size(); p++)
        if (now.packages[p].host.time_ns < before.packages[p].host.time_ns)
            return "the host's CPU counters went back";
    return {};
}

}  // namespace

bool has_static_power(const ZoneReading& zone) {
    return zone.counted && (zone.type == "package" || zone.type == "dram");
}

void LoadWindows::drop(const std::string& why) {
    dropped_++;
    last_problem_ = why;
}

double LoadWindows::busy_percent() const { return cpu_s_ > 0 ? 100 * busy_cpu_s_ / cpu_s_ : 0; }

void LoadWindows::add(const Sample& sample) {
    if (sample.status != EnergyStatus::Ok || !sample.reading || sample.reading->packages.empty()) {
        // The next sample with figures closes a window that spans this, if nothing restarted.
        if (!sample.status_reason.empty()) last_problem_ = sample.status_reason;
        return;
    }
    const HostReading& now = *sample.reading;
    if (!before_) {
        before_ = now;
        return;
    }
    if (std::string problem = difference_of(*before_, now); !problem.empty()) {
        drop(problem);
        before_ = now;
        return;
    }
    if (now.time_ns - before_->time_ns < shortest_ns_ || now.time_ns == before_->time_ns) return;
    add_window(now, sample.host_cpus);
    before_ = now;
}

void LoadWindows::add_window(const HostReading& now, uint32_t cpus) {
    const double seconds = static_cast<double>(now.time_ns - before_->time_ns) / ns_per_s;
    windows_++;
    seconds_ += seconds;
    if (cpus > 0) {
        double busy_s = use_between(*before_, now, std::nullopt).time_ns / ns_per_s;
        double percent = std::min(100.0, 100 * busy_s / (seconds * cpus));
        busy_cpu_s_ += std::min(busy_s, seconds * cpus);
        cpu_s_ += seconds * cpus;
        highest_percent_ = std::max(highest_percent_, percent);
        lowest_percent_ = std::min(lowest_percent_, percent);
    }
    for (const ZoneReading& zone : now.zones)
        if (has_static_power(zone)) add_zone(zone, now, seconds);
}

void LoadWindows::add_zone(const ZoneReading& zone, const HostReading& now, double seconds) {
    auto old = std::find_if(before_->zones.begin(), before_->zones.end(),
                            [&](const ZoneReading& other) { return other.name == zone.name; });
    if (old == before_->zones.end() || !has_static_power(*old) || old->source != zone.source ||
        old->gaps != zone.gaps || old->package != zone.package)
        return;
    std::optional<double> energy_uj = difference(old->energy_uj, zone.energy_uj);
    if (!energy_uj || (zone.package && *zone.package >= now.packages.size())) return;
    Use use = use_between(*before_, now, zone.package);
    const bool cycles = any_cycles(now);
    if (cycles && !use.cycles) return;
    LoadWindow window{*energy_uj / seconds, (cycles ? *use.cycles : use.time_ns) / seconds, {}, {}};
    if (use.shared) window.shared = *use.shared / seconds;
    if (cycles && use.squared) window.squared = *use.squared / seconds;
    auto of_zone = std::find_if(zones_.begin(), zones_.end(), [&](const ZoneWindows& known) {
        return known.name == zone.name && known.source == zone.source && known.cycles == cycles;
    });
    if (of_zone == zones_.end())
        of_zone = zones_.insert(zones_.end(), {zone.name, zone.type, zone.source, cycles, {}});
    of_zone->windows.push_back(window);
}

}  // namespace virt_power
