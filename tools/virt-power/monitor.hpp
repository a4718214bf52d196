// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// The loop: ticks, waits, writes, until it is to end.
#ifndef VIRT_POWER_TOOL_MONITOR_HPP
#define VIRT_POWER_TOOL_MONITOR_HPP

#include "command.hpp"
#include "options.hpp"
#include "virt-power/recording.hpp"

namespace virt_power {

/// Everything after the command line was read. Returns the exit status. With `recorder`
/// all that goes in is recorded before it is shown; with `quiet` it is not shown.
int run_monitor(const Options& options, Context& context, Recorder* recorder = nullptr, bool quiet = false);

}  // namespace virt_power

#endif
