// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// Values of options, from text.
#ifndef VIRT_POWER_TOOL_VALUES_HPP
#define VIRT_POWER_TOOL_VALUES_HPP

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "virt-power/result.hpp"

namespace virt_power {

/// Decimal watts as microwatts, exactly: at most six decimals, at most a million watts.
Result<uint64_t> parse_watts(std::string_view text);

/// `W` or `ZONE=W[,ZONE=W]...`; `W` alone gets the key "".
Result<std::map<std::string, uint64_t, std::less<>>> parse_static_watts(std::string_view text);

/// Decimal seconds from `least` to `most`; the error names option and range.
Result<std::chrono::milliseconds> parse_seconds(std::string_view option, std::string_view text, double least,
                                                double most);

/// Decimal percent from `least` to `most`; the error names option and range.
Result<double> parse_percent(std::string_view option, std::string_view text, double least, double most);

/// A whole number from 1 to `most`.
Result<uint64_t> parse_count(std::string_view option, std::string_view text, uint64_t most);

}  // namespace virt_power

#endif
