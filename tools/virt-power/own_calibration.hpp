// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// A user's own calibrations, one file a host: they go before what the daemon publishes.
#ifndef VIRT_POWER_TOOL_OWN_CALIBRATION_HPP
#define VIRT_POWER_TOOL_OWN_CALIBRATION_HPP

#include <filesystem>
#include <string>

#include "command.hpp"

namespace virt_power {

/// $XDG_CONFIG_HOME/virt-power/calibration/HOST.conf. Empty where there is no home,
/// or where the host's name makes no file name.
std::filesystem::path own_calibration_file(const std::string& host);

/// Sources whose readings hold the static power of the user's own files too.
SourceFactory with_own_calibrations(SourceFactory factory);

}  // namespace virt_power

#endif
