// SPDX-License-Identifier: LGPL-2.1-or-later
#include "table_head.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "names.hpp"
#include "utf8.hpp"
#include "virt-power/sinks.hpp"

namespace virt_power {
namespace {

/// To the second; the date is of use where the output is kept.
std::string shown_time(int64_t wall_ns, bool terminal) {
    std::string time = utc_time(wall_ns);
    time.erase(time.rfind('.'));
    return (terminal ? time.substr(time.find('T') + 1) : time) + "Z";
}

/// The query (a socket's path, say) only where it may tell hosts of one name apart.
std::string shown_uri(const Interval& interval) {
    std::string uri = interval.uri;
    if (interval.host_label.empty()) uri = uri.substr(0, uri.find('?'));
    return escape_for_terminal(uri);
}

/// What is most wanted comes first: the end of a long line may not be seen.
std::string title_of(const Interval& interval, bool terminal) {
    std::string title;
    uint64_t total_uj = 0;
    for (const ZoneInterval& zone : interval.zones)
        if (zone.counted) total_uj += zone.energy_uj.value_or(0);
    bool energy = has_energy(interval);
    if (energy) title += fmt::format("  total {:.2f} W", power_w(total_uj, interval.duration_ns));
    title += fmt::format("  {:.3f} s  {}", static_cast<double>(interval.duration_ns) / 1e9,
                         shown_time(interval.end_wall_ns, terminal));
    if (energy) title += fmt::format("  {}", name_of(interval.model));
    return title + "  " + shown_uri(interval);
}

/// As it was set, to the microwatt.
std::string shown_limit(uint64_t limit_uw) {
    std::string watts = fmt::format("{}.{:06}", limit_uw / 1'000'000, limit_uw % 1'000'000);
    watts.erase(watts.find_last_not_of('0') + 1);
    if (watts.back() == '.') watts.pop_back();
    return watts + " W";
}

std::string shown_frequency(uint64_t frequency_khz) {
    return fmt::format("{:.2f} GHz", static_cast<double>(frequency_khz) / 1e6);
}

bool is_shown(const ZoneInterval& zone) { return zone.counted && zone.energy_uj; }

/// The one zone that a package's frequency can stand beside; none where its dies have one each.
std::optional<size_t> zone_of_package(const Interval& interval, size_t package) {
    std::optional<size_t> found;
    for (size_t z = 0; z < interval.zones.size(); ++z) {
        const ZoneInterval& zone = interval.zones[z];
        if (!is_shown(zone) || zone.type != "package" || zone.package != package) continue;
        if (found) return std::nullopt;
        found = z;
    }
    return found;
}

/// Watts of each zone, its limit, and its package's frequency.
std::vector<std::string> zones_of(const Interval& interval) {
    std::vector<std::string> beside(interval.zones.size()), alone, zones;
    for (size_t p = 0; p < interval.packages.size(); ++p) {
        const PackageInterval& package = interval.packages[p];
        if (!package.frequency_khz) continue;
        std::string frequency = shown_frequency(*package.frequency_khz);
        if (std::optional<size_t> zone = zone_of_package(interval, p))
            beside[*zone] = ", " + frequency;
        else
            alone.push_back(fmt::format("CPUs of package {}: {}", package.id, frequency));
    }
    for (size_t z = 0; z < interval.zones.size(); ++z) {
        const ZoneInterval& zone = interval.zones[z];
        if (!is_shown(zone)) continue;
        std::string& text = zones.emplace_back(fmt::format("{} {:.2f} W", escape_for_terminal(zone.name),
                                                           power_w(*zone.energy_uj, interval.duration_ns)));
        if (zone.limit_uw) text += ", limit " + shown_limit(*zone.limit_uw);
        text += beside[z];
    }
    zones.insert(zones.end(), alone.begin(), alone.end());
    return zones;
}

std::vector<std::string> labels_of(const Interval& interval, bool mark_idle) {
    std::vector<std::string> labels;
    if (!interval.reason.empty()) {
        std::string why = "no watts: " + escape_for_terminal(interval.reason);
        if (interval.status != EnergyStatus::NoGroup)
            why += fmt::format(" (energy.status: {})", name_of(interval.status));
        labels.push_back(why);
    }
    auto any = [&interval](auto is_such) {
        return std::any_of(interval.zones.begin(), interval.zones.end(),
                           [&](const ZoneInterval& zone) { return zone.counted && is_such(zone.source); });
    };
    if (any([](const std::string& source) { return source == "modelled"; }))
        labels.emplace_back("energy is modelled, not measured");
    if (any([](const std::string& source) { return source.starts_with("simulated"); }))
        labels.emplace_back("energy is simulated, not measured");
    if (any([](const std::string& source) { return source == "test"; }))
        labels.emplace_back("energy is made up by libvirt's test driver, not measured");
    if (has_energy(interval) && interval.weights_measured == false)
        labels.emplace_back(
            "shared cores weigh by default: it was not measured here (virt-power calibrate --load)");
    if (mark_idle && has_energy(interval) && interval.idle_included)
        labels.emplace_back("W+IDLE: idle power is inside its watts");
    return labels;
}

/// As many items to a line as fit, without a width all.
std::vector<std::string> wrapped(const std::vector<std::string>& items, std::optional<size_t> width) {
    std::vector<std::string> lines;
    for (const std::string& item : items) {
        bool fits =
            !lines.empty() && (!width || display_width(lines.back()) + 2 + display_width(item) <= *width);
        if (fits)
            lines.back() += "  " + item;
        else
            lines.push_back("  " + item);
    }
    return lines;
}

}  // namespace

std::string shown_host(const Interval& interval) {
    return escape_for_terminal(interval.host_label.empty() ? interval.host : interval.host_label);
}

HostHead::HostHead(const Interval& interval, const HeadStyle& style)
    : host_(shown_host(interval)),
      title_(title_of(interval, style.terminal)),
      zones_(zones_of(interval)),
      labels_(labels_of(interval, style.mark_idle)),
      names_labels_(style.host_column) {}

void HostHead::append_to(std::vector<HeadLine>& lines, std::optional<size_t> width) const {
    constexpr size_t least = 8;
    std::string host = width ? clip(host_, std::max(least, *width / 3)) : host_;
    lines.push_back({host + title_});
    for (std::string& line : wrapped(zones_, width)) lines.push_back({std::move(line), true});
    for (const std::string& label : labels_)
        lines.push_back({names_labels_ ? fmt::format("{}: {}", host, label) : label});
}

}  // namespace virt_power
