// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// Text in recordings. Lines are ASCII, so that showing one does nothing to a terminal.
#ifndef VIRT_POWER_RECORDING_TEXT_HPP
#define VIRT_POWER_RECORDING_TEXT_HPP

#include <optional>
#include <string>
#include <string_view>

namespace virt_power {

/// A JSON string; a text that is not UTF-8 as {"hex":"..."}.
void append_text(std::string& out, std::string_view text);

/// Pairs of hexadecimal digits as bytes; nothing if it is no such text.
std::optional<std::string> bytes_of_hex(std::string_view hex);

}  // namespace virt_power

#endif
