// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// virt-power record: the live monitor, and a file of all that went into it.
#ifndef VIRT_POWER_TOOL_RECORD_HPP
#define VIRT_POWER_TOOL_RECORD_HPP

#include "command.hpp"

namespace virt_power {

Subcommand declare_record(CLI::App& app);

}  // namespace virt_power

#endif
