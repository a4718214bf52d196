// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// virt-power calibrate: finds what a host draws when idle and what its use weighs, and keeps it.
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
    /// Static power and weights from this recording instead; no daemon is asked.
    std::optional<std::string> from;
    std::chrono::milliseconds window{10000};  ///< of a recording: samples are joined until they span it
    double max_error_percent = 10;            ///< of static power from a recording
    bool load = false;                        ///< put load on CPUs for the weight of shared cores
    std::chrono::milliseconds phase{5000};
};

Subcommand declare_calibrate(CLI::App& app);

/// Everything after the command line was read. Returns the exit status.
int run_calibrate(const CalibrateOptions& options, Context& context);

}  // namespace virt_power

#endif
