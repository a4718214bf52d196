// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// What a command is to main(). A subcommand has a file pair of its own with a
/// declare_NAME() that returns a Subcommand; tool.cpp lists them.
#ifndef VIRT_POWER_TOOL_COMMAND_HPP
#define VIRT_POWER_TOOL_COMMAND_HPP

#include <functional>
#include <memory>

#include "stop_signals.hpp"
#include "virt-power/pipeline.hpp"

namespace CLI {
class App;
}

namespace virt_power {

/// make_libvirt_source, or in tests something that needs no daemon.
using SourceFactory = std::function<std::unique_ptr<Source>(const LibvirtOptions&)>;

/// What a command runs with.
struct Context {
    SourceFactory make_source;  ///< with the user's own calibrations
    SignalFds signals;
    bool busy = false;  ///< set by the command: threads were left behind that wait for a host
    SourceFactory make_plain_source = nullptr;  ///< without them
};

/// Runs a command whose options were checked. Returns the exit status.
using Command = std::function<int(Context&)>;

struct Subcommand {
    CLI::App* app = nullptr;  ///< where its options were declared
    /// Called once it was chosen and parsed. Throws UsageError.
    std::function<Command()> check;
};

}  // namespace virt_power

#endif
