// SPDX-License-Identifier: LGPL-2.1-or-later
#include "calibration_output.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>

#include "virt-power/sinks.hpp"

namespace virt_power {
namespace {

double watts(uint64_t power_uw) { return static_cast<double>(power_uw) / 1e6; }

bool any_source(const Calibration& calibration, std::string_view word) {
    return std::any_of(calibration.zones.begin(), calibration.zones.end(),
                       [&](const ZoneStatic& zone) { return zone.source.find(word) != std::string::npos; });
}

}  // namespace

std::string calibration_table(const CalibrationReport& report) {
    const Calibration& calibration = report.calibration;
    size_t widest = 4;
    for (const ZoneStatic& zone : calibration.zones)
        widest = std::max(widest, escape_for_terminal(zone.name).size());
    std::string text;
    auto out = std::back_inserter(text);
    fmt::format_to(out, "{}  {:.1f} s  CPUs busy: {:.2f} % on average, {:.2f} % in the busiest window\n",
                   escape_for_terminal(calibration.host), calibration.seconds, calibration.busy_percent,
                   calibration.busy_highest_percent);
    if (any_source(calibration, "modelled"))
        text += "energy is modelled, not measured: this is the model's own idle power\n";
    if (any_source(calibration, "simulated")) text += "energy is simulated, not measured\n";
    fmt::format_to(out, "{:<{}}  {:>9}  {:>9}  {:>9}  {:>9}  {:>7}  {:>7}  SOURCE\n", "ZONE", widest,
                   "STATIC W", "DEVIATION", "LOWEST", "HIGHEST", "WINDOWS", "DROPPED");
    for (const ZoneStatic& zone : calibration.zones)
        fmt::format_to(out, "{:<{}}  {:>9.3f}  {:>9.3f}  {:>9.3f}  {:>9.3f}  {:>7}  {:>7}  {}\n",
                       escape_for_terminal(zone.name), widest, watts(zone.static_uw),
                       watts(zone.deviation_uw), watts(zone.lowest_uw), watts(zone.highest_uw), zone.windows,
                       zone.dropped, escape_for_terminal(zone.source));
    if (!report.file) return text + "not written (--dry-run)\n";
    fmt::format_to(out, "written to {}{}\n", escape_for_terminal(*report.file),
                   report.published.value_or(false) ? "; the daemon publishes it" : "");
    return text;
}

std::string calibration_json(const CalibrationReport& report) {
    const Calibration& calibration = report.calibration;
    nlohmann::ordered_json json;
    json["host"] = calibration.host;
    json["uri"] = report.uri;
    json["date"] = calibration.date;
    json["seconds"] = calibration.seconds;
    json["busy_percent"] = calibration.busy_percent;
    json["busy_highest_percent"] = calibration.busy_highest_percent;
    json["zones"] = nlohmann::ordered_json::array();
    for (const ZoneStatic& zone : calibration.zones)
        json["zones"].push_back({{"name", zone.name},
                                 {"type", zone.type},
                                 {"source", zone.source},
                                 {"static_uw", zone.static_uw},
                                 {"deviation_uw", zone.deviation_uw},
                                 {"lowest_uw", zone.lowest_uw},
                                 {"highest_uw", zone.highest_uw},
                                 {"windows", zone.windows},
                                 {"dropped_windows", zone.dropped}});
    if (report.file) json["file"] = *report.file;
    if (report.published) json["published"] = *report.published;
    return json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace virt_power
