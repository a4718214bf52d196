// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// The end of every calibration: what an older one knew stays, the file is written, the result is shown.
#ifndef VIRT_POWER_TOOL_CALIBRATION_KEEPING_HPP
#define VIRT_POWER_TOOL_CALIBRATION_KEEPING_HPP

#include <optional>
#include <string>

#include "calibration.hpp"
#include "calibration_output.hpp"
#include "calibration_place.hpp"
#include "virt-power/result.hpp"

namespace virt_power {

/// One line for people, on standard error.
void tell(const std::string& line);

/// Tells why, and whether something was written. The exit status.
int calibration_failed(const Error& error, bool dry_run);

/// As it is written into a calibration.
std::string date_now();

/// What the file at this place holds now; absent if nothing that can be used.
std::optional<Calibration> older_calibration(const CalibrationPlace& place);

/// Writes `calibration` there; what it has not measured stays as it was, and that is said. Weights count
/// in a daemon's file alone: without one they are left out, and that is said.
Status keep_calibration(const CalibrationPlace& place, Calibration& calibration);

/// Prints a report. The exit status.
int show_calibration(const CalibrationReport& report, bool json);

}  // namespace virt_power

#endif
