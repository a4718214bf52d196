// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// What a zone draws without load, and what use weighs, from windows of changing load. Arithmetic only.
///
///     power = S + g x (alone + s x shared) x (1 + q x (f^2 / F - 1))
///
/// alone + shared is all use, f^2 the mean square of a window's frequency and F that of all windows. S is
/// static power, s the weight of shared use, q the part of a cycle's energy that goes with the square of
/// its frequency: just how Weighing weighs.
#ifndef VIRT_POWER_CALIBRATION_ZONE_FIT_HPP
#define VIRT_POWER_CALIBRATION_ZONE_FIT_HPP

#include <optional>
#include <string>
#include <vector>

#include "load_windows.hpp"
#include "regression.hpp"
#include "virt-power/result.hpp"

namespace virt_power {

struct ZoneFit {
    Estimate static_uw;
    double margin_uw = 0;  ///< static power is so near to it with a probability of 95 %
    double r_squared = 0;
    double deviation_uw = 0;            ///< of the residuals
    std::optional<Estimate> shared;     ///< s; absent where it cannot be told
    std::optional<Estimate> frequency;  ///< q, 0 to 1; absent where it cannot be told
    double mean_square_ghz2 = 0;        ///< F, where `frequency` is there
    std::string untold_shared;          ///< why `shared` is absent
    std::string untold_frequency;
};

struct FitOptions {
    bool shared = true;     ///< look for s
    bool frequency = true;  ///< look for q
};

/// A weight whose standard error is larger is not told.
inline constexpr double largest_weight_error = 0.1;
inline constexpr size_t fewest_load_windows = 12;

/// Standard errors are widened where neighbouring residuals are alike. Unsupported: too few windows, or
/// the load did not vary; the message says which.
Result<ZoneFit> fit_zone(const std::vector<LoadWindow>& windows, const FitOptions& options);

}  // namespace virt_power

#endif
