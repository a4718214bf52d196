// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// Numbers and lists of CPUs as the kernel writes them.
#ifndef VIRT_POWER_UTIL_NUMBERS_HPP
#define VIRT_POWER_UTIL_NUMBERS_HPP

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "virt-power/result.hpp"

namespace virt_power {

/// The text without white space at its ends.
std::string_view trim(std::string_view text);

/// A number in decimal and nothing else (white space around it is allowed).
Result<uint64_t> parse_u64(std::string_view text);

/// A list as in /sys/devices/system/cpu/online: "0-3,8". Empty text, no CPU.
Result<std::vector<uint32_t>> parse_cpu_list(std::string_view text);

/// "0-3,8" of a sorted list; empty for none.
std::string format_cpu_list(const std::vector<uint32_t>& cpus);

}  // namespace virt_power

#endif
