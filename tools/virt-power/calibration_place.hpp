// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// Where a calibration is written, and whether this machine is the one that was measured.
#ifndef VIRT_POWER_TOOL_CALIBRATION_PLACE_HPP
#define VIRT_POWER_TOOL_CALIBRATION_PLACE_HPP

#include <filesystem>
#include <optional>
#include <string>

#include "virt-power/result.hpp"
#include "virt-power/sample.hpp"

namespace virt_power {

struct CalibrationPlace {
    std::filesystem::path file;
    bool make_directories = false;
    /// The daemon is to find it there, and to publish it.
    bool daemon_expected = false;
    /// The user did not say where: it is wrong if the daemon does not find it.
    bool chosen = true;
};

/// Is the daemon one of this machine? By its URI and the host's name.
bool is_this_machine(const Sample& sample);

/// Is it the name of this machine? Names that every machine may have are nobody's.
bool is_name_of_this_machine(const std::string& host);

/// Given, or the configuration of this machine's system daemon if one may write there,
/// or the user's own.
Result<CalibrationPlace> calibration_place(const Sample& sample, const std::optional<std::string>& given);

/// Can it be written there, as far as one can tell beforehand?
Status check_place(const CalibrationPlace& place);

Status write_calibration(const CalibrationPlace& place, const std::string& text);

}  // namespace virt_power

#endif
