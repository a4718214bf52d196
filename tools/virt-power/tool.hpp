// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// The whole of main().
#ifndef VIRT_POWER_TOOL_TOOL_HPP
#define VIRT_POWER_TOOL_TOOL_HPP

#include "command.hpp"

namespace virt_power {

int run_tool(int argc, const char* const* argv, const SourceFactory& make_source);

}  // namespace virt_power

#endif
