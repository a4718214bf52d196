// SPDX-License-Identifier: LGPL-2.1-or-later
#include "calibration_output.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
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

size_t widest_name(const Calibration& calibration) {
    size_t widest = 4;
    for (const ZoneStatic& zone : calibration.zones)
        widest = std::max(widest, escape_for_terminal(zone.name).size());
    return widest;
}

void add_idle_zones(std::string& text, const Calibration& calibration) {
    auto out = std::back_inserter(text);
    const size_t widest = widest_name(calibration);
    fmt::format_to(out, "{:<{}}  {:>9}  {:>9}  {:>9}  {:>9}  {:>7}  {:>7}  SOURCE\n", "ZONE", widest,
                   "STATIC W", "DEVIATION", "LOWEST", "HIGHEST", "WINDOWS", "DROPPED");
    for (const ZoneStatic& zone : calibration.zones)
        fmt::format_to(out, "{:<{}}  {:>9.3f}  {:>9.3f}  {:>9.3f}  {:>9.3f}  {:>7}  {:>7}  {}\n",
                       escape_for_terminal(zone.name), widest, watts(zone.static_uw),
                       watts(zone.deviation_uw), watts(zone.lowest_uw), watts(zone.highest_uw), zone.windows,
                       zone.dropped, escape_for_terminal(zone.source));
}

const FittedZone* fit_of(const CalibrationReport& report, const ZoneStatic& zone) {
    auto found = std::find_if(report.fits.begin(), report.fits.end(),
                              [&](const FittedZone& fit) { return fit.name == zone.name; });
    return found == report.fits.end() ? nullptr : &*found;
}

void add_fitted_zones(std::string& text, const CalibrationReport& report) {
    auto out = std::back_inserter(text);
    const size_t widest = widest_name(report.calibration);
    fmt::format_to(out, "{:<{}}  {:>9}  {:>7}  {:>9}  {:>9}  {:>9}  {:>6}  {:>7}  {:>7}  SOURCE\n", "ZONE",
                   widest, "STATIC W", "ERROR", "95% FROM", "TO", "BEFORE W", "R2", "WINDOWS", "DROPPED");
    for (const ZoneStatic& zone : report.calibration.zones) {
        const FittedZone* found = fit_of(report, zone);
        if (!found) continue;
        const ZoneFit& fit = found->fit;
        auto before = report.before_uw.find(zone.name);
        fmt::format_to(
            out, "{:<{}}  {:>9.3f}  {:>7.3f}  {:>9.3f}  {:>9.3f}  {:>9}  {:>6.4f}  {:>7}  {:>7}  {}\n",
            escape_for_terminal(zone.name), widest, watts(zone.static_uw), fit.static_uw.error / 1e6,
            (fit.static_uw.value - fit.margin_uw) / 1e6, (fit.static_uw.value + fit.margin_uw) / 1e6,
            before == report.before_uw.end() ? "-" : fmt::format("{:.3f}", watts(before->second)),
            fit.r_squared, zone.windows, zone.dropped, escape_for_terminal(zone.source));
    }
}

/// Each that was measured, with its 95 % bounds.
void add_weights(std::string& text, const Weights& weights) {
    constexpr double margin = 1.96;
    auto out = std::back_inserter(text);
    if (weights.shared_deviation_permille)
        fmt::format_to(out, "on a shared core a cycle weighs {:.3f} of one alone, +- {:.3f} (95 %)\n",
                       weights.shared_permille / 1000.0,
                       margin * *weights.shared_deviation_permille / 1000.0);
    if (weights.square_deviation_permille)
        fmt::format_to(out, "at f GHz a cycle weighs {:.3f} + {:.3f} x f^2, +- {:.3f} and {:.3f} (95 %)\n",
                       weights.cycle_permille / 1000.0, weights.square_permille / 1000.0,
                       margin * weights.cycle_deviation_permille.value_or(0) / 1000.0,
                       margin * *weights.square_deviation_permille / 1000.0);
}

template <typename T>
void put(nlohmann::ordered_json& json, const char* key, const std::optional<T>& value) {
    if (value) json[key] = *value;
}

nlohmann::ordered_json weights_json(const Weights& weights) {
    nlohmann::ordered_json json;
    json["shared_permille"] = weights.shared_permille;
    put(json, "shared_deviation_permille", weights.shared_deviation_permille);
    json["cycle_permille"] = weights.cycle_permille;
    put(json, "cycle_deviation_permille", weights.cycle_deviation_permille);
    json["square_permille"] = weights.square_permille;
    put(json, "square_deviation_permille", weights.square_deviation_permille);
    json["method"] = name_of(weights.method);
    json["source"] = weights.source;
    return json;
}

nlohmann::ordered_json zone_json(const CalibrationReport& report, const ZoneStatic& zone) {
    nlohmann::ordered_json json{{"name", zone.name},           {"type", zone.type},
                                {"source", zone.source},       {"method", name_of(zone.method)},
                                {"static_uw", zone.static_uw}, {"deviation_uw", zone.deviation_uw},
                                {"lowest_uw", zone.lowest_uw}, {"highest_uw", zone.highest_uw},
                                {"windows", zone.windows},     {"dropped_windows", zone.dropped}};
    put(json, "error_uw", zone.error_uw);
    if (const FittedZone* found = fit_of(report, zone)) {
        json["from_uw"] = std::llround(found->fit.static_uw.value - found->fit.margin_uw);
        json["to_uw"] = std::llround(found->fit.static_uw.value + found->fit.margin_uw);
        json["r_squared"] = found->fit.r_squared;
    }
    if (auto before = report.before_uw.find(zone.name); before != report.before_uw.end())
        json["before_uw"] = before->second;
    return json;
}

}  // namespace

std::string calibration_table(const CalibrationReport& report) {
    const Calibration& calibration = report.calibration;
    std::string text;
    auto out = std::back_inserter(text);
    fmt::format_to(out, "{}  {:.1f} s  CPUs busy: {:.2f} % on average, ",
                   escape_for_terminal(calibration.host), calibration.seconds, calibration.busy_percent);
    if (report.fits.empty())
        fmt::format_to(out, "{:.2f} % in the busiest window\n", calibration.busy_highest_percent);
    else
        fmt::format_to(out, "{:.2f} % to {:.2f} % in one window\n", report.busy_lowest_percent,
                       calibration.busy_highest_percent);
    if (any_source(calibration, "modelled"))
        text += "energy is modelled, not measured: this is the model's own idle power\n";
    if (any_source(calibration, "simulated")) text += "energy is simulated, not measured\n";
    if (report.fits.empty())
        add_idle_zones(text, calibration);
    else
        add_fitted_zones(text, report);
    if (calibration.weights) add_weights(text, *calibration.weights);
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
    if (!report.fits.empty()) json["busy_lowest_percent"] = report.busy_lowest_percent;
    json["zones"] = nlohmann::ordered_json::array();
    for (const ZoneStatic& zone : calibration.zones) json["zones"].push_back(zone_json(report, zone));
    if (calibration.weights) json["weights"] = weights_json(*calibration.weights);
    if (report.file) json["file"] = *report.file;
    if (report.published) json["published"] = *report.published;
    return json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace virt_power
