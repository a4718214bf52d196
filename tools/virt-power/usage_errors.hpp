// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// What CLI11 says of a command line, in the words of the other messages.
#ifndef VIRT_POWER_TOOL_USAGE_ERRORS_HPP
#define VIRT_POWER_TOOL_USAGE_ERRORS_HPP

#include <string>

namespace CLI {
class App;
class ParseError;
}  // namespace CLI

namespace virt_power {

/// `app` is what parsed.
std::string in_our_words(const CLI::ParseError& error, const CLI::App& app);

/// Flags of the app and its subcommands take no value: --json=no is an error.
void refuse_flag_values(CLI::App& app);

}  // namespace virt_power

#endif
