// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// virt-power calibrate: measures what an idle host draws, and keeps it.
#ifndef VIRT_POWER_TOOL_CALIBRATE_HPP
#define VIRT_POWER_TOOL_CALIBRATE_HPP

#include <chrono>
#include <optional>
#include <string>

#include "command.hpp"

namespace virt_power {

struct CalibrateOptions {
    std::string uri;
    std::chrono::milliseconds duration{60000};
    std::chrono::milliseconds timeout{10000};
    double max_busy_percent = 2;
    std::optional<std::string> output;
    bool dry_run = false;
    bool json = false;
};

Subcommand declare_calibrate(CLI::App& app);

/// Everything after the command line was read. Returns the exit status.
int run_calibrate(const CalibrateOptions& options, Context& context);

}  // namespace virt_power

#endif
