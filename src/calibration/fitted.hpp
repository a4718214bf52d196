// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// A calibration from windows of changing load: of a recording, or of load that was put on the host.
#ifndef VIRT_POWER_CALIBRATION_FITTED_HPP
#define VIRT_POWER_CALIBRATION_FITTED_HPP

#include <string>
#include <vector>

#include "calibration.hpp"
#include "load_windows.hpp"
#include "virt-power/result.hpp"
#include "zone_fit.hpp"

namespace virt_power {

/// A zone of `Fitted::calibration`, and how sure it is.
struct FittedZone {
    std::string name;
    ZoneFit fit;
};

struct Fitted {
    Calibration calibration;  ///< without machine_id and date
    std::vector<FittedZone> zones;
    std::vector<std::string> notices;  ///< what could not be told, a line each
};

/// Static power of each zone, and what can be told of weights. Error: it cannot be told of a package, or
/// by more than `max_error_percent` of it; says why and what to do. Memory of which it cannot be told is
/// left out, with a notice.
Result<Fitted> fit_recording(const LoadWindows& windows, const std::string& host, double max_error_percent);

/// The weight of shared use alone. Error: it cannot be told, or cannot be.
Result<Weights> fit_shared_weight(const LoadWindows& windows, const std::string& host);

}  // namespace virt_power

#endif
