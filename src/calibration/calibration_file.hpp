// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// A calibration as text, a GKeyFile: host-power-calibration.conf of a daemon, and a
/// user's own ones.
#ifndef VIRT_POWER_CALIBRATION_CALIBRATION_FILE_HPP
#define VIRT_POWER_CALIBRATION_CALIBRATION_FILE_HPP

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "calibration.hpp"
#include "virt-power/result.hpp"

namespace virt_power {

/// Beside host-power.conf: where the plugin looks.
inline constexpr std::string_view calibration_file_name = "host-power-calibration.conf";

inline constexpr size_t max_calibration_size = 262144;

/// Malformed where a name cannot stand in such a file; it is the daemon that gave it.
Result<std::string> calibration_text(const Calibration& calibration, std::string_view written_by);

/// What a text says. A key that is wrong costs itself, and its zone if that cannot do
/// without it; each is warned of with `name`, group and key. Absent if all of it is
/// of no use.
std::optional<Calibration> parse_calibration(std::string_view text, const std::string& name,
                                             const std::function<void(std::string_view)>& warn);

}  // namespace virt_power

#endif
