// SPDX-License-Identifier: LGPL-2.1-or-later
#include "zone_fit.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <tuple>
#include <utility>

namespace virt_power {
namespace {

/// Least difference of the load, over the highest.
constexpr double least_load_spread = 0.2;
/// Least standard deviation of the part of use that is shared, and of f^2 over its mean.
constexpr double least_shared_spread = 0.03;
constexpr double least_frequency_spread = 0.02;
/// A use below this part of the highest says nothing of its kind.
constexpr double idle_part = 0.01;
/// Of the frequency's weight, over its error: noise alone shall not make cycles differ.
constexpr double least_frequency_effect = 3;
constexpr int most_steps = 50;
constexpr double still = 1e-10;
constexpr double highest_correlation = 0.98;

/// A window, as the formula takes it.
struct Row {
    double power = 0, use = 0, shared = 0;
    double frequency = 0;  ///< f^2 / F - 1
};

struct Unknowns {
    bool shared = false, frequency = false;  ///< to be found
    double s = 1, q = 0;                     ///< to begin with, or fixed
};

struct Solution {
    Regression regression;
    Estimate shared, frequency;
};

/// Deviation of values, weighed.
double spread(const std::vector<std::pair<double, double>>& value_and_weight) {
    double sum = 0, mean = 0, squares = 0;
    for (auto [value, weight] : value_and_weight) {
        sum += weight;
        mean += weight * value;
    }
    if (!(sum > 0)) return 0;
    mean /= sum;
    for (auto [value, weight] : value_and_weight) squares += weight * (value - mean) * (value - mean);
    return std::sqrt(squares / sum);
}

/// Gauss and Newton: each step is a regression with s and q as they were found so far. At the end their
/// changes are nil, and the errors of the changes are theirs.
Result<Solution> solve(const std::vector<Row>& rows, const Unknowns& unknowns) {
    double s = unknowns.s, q = unknowns.q, gain = 0;
    std::vector<double> power;
    power.reserve(rows.size());
    for (const Row& row : rows) power.push_back(row.power);
    for (int step = 0; step < most_steps; step++) {
        std::vector<double> load, of_s, of_q;
        // The first step only finds a gain to begin with.
        const bool move = step > 0;
        for (const Row& row : rows) {
            double weighed = row.use + (s - 1) * row.shared, factor = 1 + q * row.frequency;
            load.push_back(weighed * factor);
            of_s.push_back(gain * row.shared * factor);
            of_q.push_back(gain * weighed * row.frequency);
        }
        std::vector<std::vector<double>> columns{std::move(load)};
        if (move && unknowns.shared) columns.push_back(std::move(of_s));
        if (move && unknowns.frequency) columns.push_back(std::move(of_q));
        Result<Regression> found = regress(power, columns);
        if (!found) return found.error();
        gain = found->unknowns[1].value;
        if (!move && (unknowns.shared || unknowns.frequency)) continue;
        Solution solution{*std::move(found), {s, 0}, {q, 0}};
        size_t next = 2;
        double change = 0;
        for (auto [wanted, value, estimate] : {std::tuple{unknowns.shared, &s, &solution.shared},
                                               std::tuple{unknowns.frequency, &q, &solution.frequency}}) {
            if (!wanted) continue;
            const Estimate& delta = solution.regression.unknowns[next++];
            *value = std::clamp(*value + delta.value, -2.0, 4.0);
            *estimate = {*value, delta.error};
            change = std::max(change, std::fabs(delta.value));
        }
        if (change < still) return solution;
    }
    return Error{ErrorKind::Unsupported, 0, "the weights do not come to rest"};
}

/// Neighbours that are alike say less than as many strangers.
double widening(const Regression& regression) {
    double alike = std::clamp(regression.correlation, 0.0, highest_correlation);
    return std::sqrt((1 + alike) / (1 - alike));
}

class Fitter {
public:
    Fitter(const std::vector<LoadWindow>& windows, const FitOptions& options) {
        double use = 0, squared = 0;
        bool all_shared = options.shared, all_squared = options.frequency;
        for (const LoadWindow& window : windows) {
            highest_ = std::max(highest_, window.use);
            lowest_ = std::min(lowest_, window.use);
            all_shared = all_shared && window.shared;
            all_squared = all_squared && window.squared;
            use += window.use;
            squared += window.squared.value_or(0);
        }
        if (all_squared && use > 0) fit_.mean_square_ghz2 = squared / use;
        for (const LoadWindow& window : windows) {
            Row row{window.power_uw, window.use, 0, 0};
            if (all_shared) row.shared = std::min(*window.shared, window.use);
            if (fit_.mean_square_ghz2 > 0 && window.use > 0)
                row.frequency = *window.squared / window.use / fit_.mean_square_ghz2 - 1;
            rows_.push_back(row);
        }
        unknowns_.shared = check_shared(options.shared, all_shared);
        unknowns_.frequency = check_frequency(options.frequency, all_squared);
    }

    Result<ZoneFit> run() {
        if (rows_.size() < fewest_load_windows)
            return Error{ErrorKind::Unsupported, 0,
                         fmt::format("only {} windows could be measured, and {} are needed", rows_.size(),
                                     fewest_load_windows)};
        if (highest_ - lowest_ < least_load_spread * highest_ || !(highest_ > 0))
            return Error{
                ErrorKind::Unsupported, 0,
                fmt::format("its load varied by {:.0f} % of the highest, and it takes {:.0f} % to tell what "
                            "it draws without any",
                            highest_ > 0 ? (highest_ - lowest_) / highest_ * 100 : 0,
                            least_load_spread * 100)};
        while (true) {
            Result<Solution> found = solve(rows_, unknowns_);
            bool weighs = unknowns_.shared || unknowns_.frequency;
            if (!found && !weighs) return found.error();
            if (found && is_told(*found)) return finish(*found);
            if (!found) leave_out(found.error().message);
        }
    }

private:
    bool check_shared(bool wanted, bool counted) {
        std::vector<std::pair<double, double>> parts;
        for (const Row& row : rows_)
            if (row.use > idle_part * highest_) parts.emplace_back(row.shared / row.use, row.use);
        if (!wanted) return false;
        if (!counted)
            fit_.untold_shared = "no core of the host has two hyperthreads, or it does not count their use";
        else if (spread(parts) < least_shared_spread)
            fit_.untold_shared = "its part hardly varies";
        return fit_.untold_shared.empty();
    }

    bool check_frequency(bool wanted, bool counted) {
        std::vector<std::pair<double, double>> parts;
        for (const Row& row : rows_)
            if (row.use > idle_part * highest_) parts.emplace_back(row.frequency, row.use);
        if (!wanted) return false;
        if (!counted)
            fit_.untold_frequency = "the host does not count cycles and their frequency";
        else if (spread(parts) < least_frequency_spread)
            fit_.untold_frequency = "frequency hardly varies";
        return fit_.untold_frequency.empty();
    }

    /// The frequency first: shared cores have the larger effect.
    void leave_out(const std::string& why) {
        if (unknowns_.frequency) {
            unknowns_.frequency = false;
            fit_.untold_frequency = why;
        } else {
            unknowns_.shared = false;
            fit_.untold_shared = why;
            unknowns_.s = 1;
        }
    }

    /// If a weight is not, it is left out, and another solution is to be found.
    bool is_told(const Solution& found) {
        const double wider = widening(found.regression);
        const Estimate& q = found.frequency;
        if (unknowns_.frequency) {
            std::string why;
            if (q.error * wider > largest_weight_error)
                why = fmt::format("it is known to {:.2f} only", q.error * wider);
            else if (q.value <= least_frequency_effect * q.error * wider)
                why = "energy does not go with it, as far as can be told";
            if (!why.empty()) {
                leave_out(why);
                return false;
            }
            // More than all of a cycle's energy cannot go with f^2: it is fixed there, with the error that it
            // has.
            if (q.value > 1) {
                unknowns_.frequency = false;
                unknowns_.q = 1;
                fit_.frequency = Estimate{1, q.error * wider};
                return false;
            }
        }
        if (unknowns_.shared && found.shared.error * wider > largest_weight_error) {
            unknowns_.shared = false;
            unknowns_.s = 1;
            fit_.untold_shared = fmt::format("it is known to {:.2f} only", found.shared.error * wider);
            return false;
        }
        return true;
    }

    ZoneFit finish(const Solution& found) {
        const Regression& regression = found.regression;
        const double wider = widening(regression);
        fit_.static_uw = {regression.unknowns[0].value, regression.unknowns[0].error * wider};
        fit_.margin_uw = student_95(regression.freedom) * fit_.static_uw.error;
        fit_.r_squared = regression.r_squared;
        fit_.deviation_uw = regression.deviation;
        if (unknowns_.shared) fit_.shared = Estimate{found.shared.value, found.shared.error * wider};
        if (unknowns_.frequency)
            fit_.frequency = Estimate{found.frequency.value, found.frequency.error * wider};
        return fit_;
    }

    ZoneFit fit_;
    std::vector<Row> rows_;
    Unknowns unknowns_;
    double highest_ = 0, lowest_ = HUGE_VAL;
};

}  // namespace

Result<ZoneFit> fit_zone(const std::vector<LoadWindow>& windows, const FitOptions& options) {
    return Fitter(windows, options).run();
}

}  // namespace virt_power
