// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// What a calibration gave, for people and as JSON.
#ifndef VIRT_POWER_TOOL_CALIBRATION_OUTPUT_HPP
#define VIRT_POWER_TOOL_CALIBRATION_OUTPUT_HPP

#include <optional>
#include <string>

#include "calibration.hpp"

namespace virt_power {

struct CalibrationReport {
    std::string uri;
    Calibration calibration;
    std::optional<std::string> file;  ///< where it was written; absent: nowhere
    std::optional<bool> published;    ///< the daemon was seen to publish it; absent: not expected to
};

std::string calibration_table(const CalibrationReport& report);

/// One object and a newline.
std::string calibration_json(const CalibrationReport& report);

}  // namespace virt_power

#endif
