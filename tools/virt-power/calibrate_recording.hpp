// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// virt-power calibrate --from: static power and weights from a recording, without a daemon.
#ifndef VIRT_POWER_TOOL_CALIBRATE_RECORDING_HPP
#define VIRT_POWER_TOOL_CALIBRATE_RECORDING_HPP

#include "calibrate.hpp"

namespace virt_power {

/// Returns the exit status.
int run_calibrate_recording(const CalibrateOptions& options, const Context& context);

}  // namespace virt_power

#endif
