// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// UUIDs as people write them.
#ifndef VIRT_POWER_OUTPUT_UUID_HPP
#define VIRT_POWER_OUTPUT_UUID_HPP

#include <optional>
#include <string>
#include <string_view>

namespace virt_power {

/// Lower-case, with dashes at their places. Takes capitals, and dashes between any two bytes or
/// none; nothing for what is no UUID.
std::optional<std::string> canonical_uuid(std::string_view text);

}  // namespace virt_power

#endif
