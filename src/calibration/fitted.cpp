// SPDX-License-Identifier: LGPL-2.1-or-later
#include "fitted.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>

namespace virt_power {
namespace {

/// Nothing that one measures here draws a megawatt: the counter is wrong.
constexpr double most_uw = 1e12;
/// An estimate without any error, as of made-up numbers, would outweigh all others.
constexpr double least_weight_error = 1e-6;
constexpr std::string_view what_to_do = "record for longer, or while the load varies more";

Error refused(std::string message) { return {ErrorKind::Unsupported, 0, std::move(message)}; }

uint64_t whole(double value) { return static_cast<uint64_t>(std::llround(std::clamp(value, 0.0, most_uw))); }

uint32_t permille(double value) {
    return static_cast<uint32_t>(std::llround(std::clamp(1000 * value, 0.0, 1.0 * most_square_permille)));
}

/// Of each zone the series with the most windows: another source, or another way of counting, is another
/// figure.
std::vector<const ZoneWindows*> longest(const std::vector<ZoneWindows>& zones) {
    std::vector<const ZoneWindows*> found;
    for (const ZoneWindows& zone : zones) {
        auto known = std::find_if(found.begin(), found.end(),
                                  [&](const ZoneWindows* other) { return other->name == zone.name; });
        if (known == found.end())
            found.push_back(&zone);
        else if (zone.windows.size() > (*known)->windows.size())
            *known = &zone;
    }
    return found;
}

std::string watts(double power_uw) { return fmt::format("{:.2f} W", power_uw / 1e6); }

/// Empty if static power was found.
std::string problem_of(const ZoneFit& fit, double max_error_percent) {
    const double power_uw = fit.static_uw.value;
    if (power_uw <= 0)
        return fmt::format(
            "its static power comes out as {}, which cannot be: something else than CPU use "
            "moves its power",
            watts(power_uw));
    if (power_uw > most_uw) return "more than a million watts cannot be";
    const double percent = 100 * fit.margin_uw / power_uw;
    if (percent > max_error_percent)
        return fmt::format(
            "its static power of {} is known to {} only, which is {:.1f} % of it, and {} % is "
            "allowed (--max-error)",
            watts(power_uw), watts(fit.margin_uw), percent, max_error_percent);
    return {};
}

ZoneStatic zone_of(const ZoneWindows& windows, const ZoneFit& fit, size_t all_windows) {
    ZoneStatic zone;
    zone.name = windows.name;
    zone.type = windows.type;
    zone.source = windows.source;
    zone.static_uw = whole(fit.static_uw.value);
    zone.deviation_uw = whole(fit.deviation_uw);
    auto [lowest, highest] =
        std::minmax_element(windows.windows.begin(), windows.windows.end(),
                            [](const LoadWindow& a, const LoadWindow& b) { return a.power_uw < b.power_uw; });
    zone.lowest_uw = whole(lowest->power_uw);
    zone.highest_uw = whole(highest->power_uw);
    zone.windows = windows.windows.size();
    zone.dropped = all_windows - windows.windows.size();
    zone.method = CalibrationMethod::Recording;
    zone.error_uw = whole(fit.static_uw.error);
    return zone;
}

/// Means of estimates of the same thing, weighed by how sure each is.
class Mean {
public:
    void add(const Estimate& estimate) {
        double error = std::max(estimate.error, least_weight_error);
        sum_ += estimate.value / (error * error);
        weight_ += 1 / (error * error);
    }
    [[nodiscard]] bool any() const { return weight_ > 0; }
    [[nodiscard]] Estimate get() const { return {sum_ / weight_, 1 / std::sqrt(weight_)}; }

private:
    double sum_ = 0, weight_ = 0;
};

struct WeightsOfPackages {
    Mean shared, frequency, square_ghz2;
    std::string source;

    void add(const ZoneWindows& zone, const ZoneFit& fit) {
        if (source.empty()) source = zone.source;
        if (fit.shared) shared.add(*fit.shared);
        if (!fit.frequency) return;
        frequency.add(*fit.frequency);
        square_ghz2.add({fit.mean_square_ghz2, fit.frequency->error});
    }
};

bool is_shared_weight(const Estimate& shared) {
    return shared.value * 1000 >= least_shared_permille && shared.value * 1000 <= most_shared_permille;
}

std::string odd_shared_weight(const Estimate& shared) {
    return fmt::format("comes out as {:.3f} of one alone, and only {:.1f} to {:.1f} can be", shared.value,
                       least_shared_permille / 1000.0, most_shared_permille / 1000.0);
}

void set_shared(Weights& weights, const Estimate& shared) {
    weights.shared_permille = permille(shared.value);
    weights.shared_deviation_permille = permille(shared.error);
}

std::optional<Weights> weights_of(const WeightsOfPackages& found, std::vector<std::string>& notices) {
    Weights weights;
    weights.method = CalibrationMethod::Recording;
    weights.source = found.source;
    bool any = false;
    if (found.shared.any()) {
        Estimate shared = found.shared.get();
        any = is_shared_weight(shared);
        if (any)
            set_shared(weights, shared);
        else
            notices.push_back("the weight of shared cores " + odd_shared_weight(shared));
    }
    if (found.frequency.any()) {
        Estimate part = found.frequency.get();
        double square_ghz2 = found.square_ghz2.get().value;
        weights.cycle_permille = permille(1 - part.value);
        weights.cycle_deviation_permille = permille(part.error);
        weights.square_permille = permille(part.value / square_ghz2);
        weights.square_deviation_permille = permille(part.error / square_ghz2);
        any = true;
    }
    if (!any) return std::nullopt;
    return weights;
}

}  // namespace

Result<Fitted> fit_recording(const LoadWindows& windows, const std::string& host, double max_error_percent) {
    Fitted fitted;
    fitted.calibration.host = host;
    fitted.calibration.seconds = windows.seconds();
    fitted.calibration.busy_percent = windows.busy_percent();
    fitted.calibration.busy_highest_percent = windows.busy_highest_percent();
    WeightsOfPackages found;
    for (const ZoneWindows* zone : longest(windows.zones())) {
        const bool package = zone->type == "package";
        Result<ZoneFit> fit = fit_zone(zone->windows, {package, package});
        std::string problem = fit ? problem_of(*fit, max_error_percent) : fit.error().message;
        if (!problem.empty()) {
            problem = fmt::format("zone {} of {}: {}", zone->name, host, problem);
            if (package) return refused(fmt::format("{}; to do: {}", problem, what_to_do));
            fitted.notices.push_back(problem + "; it is left out");
            continue;
        }
        fitted.calibration.zones.push_back(zone_of(*zone, *fit, windows.windows() + windows.dropped()));
        if (package) {
            found.add(*zone, *fit);
            for (auto [what, why] : {std::pair{"shared cores", &fit->untold_shared},
                                     std::pair{"frequency", &fit->untold_frequency}})
                if (!why->empty())
                    fitted.notices.push_back(
                        fmt::format("zone {}: the weight of {} cannot be told: {}", zone->name, what, *why));
        }
        fitted.zones.push_back({zone->name, *std::move(fit)});
    }
    const size_t all = windows.windows() + windows.dropped();
    if (all == 0)
        return refused(fmt::format("{}: no two samples are as far apart as a window is long", host));
    if (fitted.calibration.zones.empty())
        return refused(fmt::format("{}: of {} windows none has energy that counts{}{}", host, all,
                                   windows.last_problem().empty() ? "" : ": ", windows.last_problem()));
    fitted.calibration.weights = weights_of(found, fitted.notices);
    return fitted;
}

Result<Weights> fit_shared_weight(const LoadWindows& windows, const std::string& host) {
    Mean shared;
    Weights weights;
    weights.method = CalibrationMethod::Load;
    std::string why = "no package has energy that counts";
    for (const ZoneWindows* zone : longest(windows.zones())) {
        if (zone->type != "package") continue;
        Result<ZoneFit> fit = fit_zone(zone->windows, {true, false});
        if (fit && fit->shared) {
            shared.add(*fit->shared);
            weights.source = zone->source;
        } else {
            why = fmt::format("zone {}: {}", zone->name, fit ? fit->untold_shared : fit.error().message);
        }
    }
    if (!shared.any())
        return refused(fmt::format("the weight of shared cores of {} cannot be told: {}", host, why));
    if (!is_shared_weight(shared.get()))
        return refused(fmt::format("the weight of shared cores of {} {}: was the host idle otherwise?", host,
                                   odd_shared_weight(shared.get())));
    set_shared(weights, shared.get());
    return weights;
}

}  // namespace virt_power
