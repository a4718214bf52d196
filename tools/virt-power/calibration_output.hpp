// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// What a calibration gave, for people and as JSON.
#ifndef VIRT_POWER_TOOL_CALIBRATION_OUTPUT_HPP
#define VIRT_POWER_TOOL_CALIBRATION_OUTPUT_HPP

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "calibration.hpp"
#include "fitted.hpp"

namespace virt_power {

struct CalibrationReport {
    std::string uri;
    Calibration calibration;
    std::optional<std::string> file;  ///< where it was written; absent: nowhere
    std::optional<bool> published;    ///< the daemon was seen to publish it; absent: not expected to
    /// Of a recording: how sure each zone is. Empty: an idle host was measured.
    std::vector<FittedZone> fits = {};
    std::map<std::string, uint64_t> before_uw = {};  ///< static power as it was known before, by zone
    double busy_lowest_percent = 0;                  ///< of a recording's windows
};

std::string calibration_table(const CalibrationReport& report);

/// One object and a newline.
std::string calibration_json(const CalibrationReport& report);

}  // namespace virt_power

#endif
