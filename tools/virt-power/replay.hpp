// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// virt-power replay: the output of a recorded run.
#ifndef VIRT_POWER_TOOL_REPLAY_HPP
#define VIRT_POWER_TOOL_REPLAY_HPP

#include "command.hpp"

namespace virt_power {

Subcommand declare_replay(CLI::App& app);

}  // namespace virt_power

#endif
