// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// Bounded reads of the kernel's small text files, and the number formats in them.
#ifndef VIRT_POWER_HOST_KERNEL_FILE_HPP
#define VIRT_POWER_HOST_KERNEL_FILE_HPP

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "virt-power/result.hpp"

namespace virt_power {

/// One bounded read: at most `limit` bytes, in one call unless the limit is more
/// than a page. A file that holds more is
/// Malformed. May block for as long as the kernel's driver does.
Result<std::string> read_kernel_file(const std::filesystem::path& path, size_t limit = 4096);

/// The text without white space at its ends.
std::string_view trim(std::string_view text);

/// A number in decimal and nothing else (white space around it is allowed).
Result<uint64_t> parse_u64(std::string_view text);

/// A list as in /sys/devices/system/cpu/online: "0-3,8". Empty text, no CPU.
Result<std::vector<uint32_t>> parse_cpu_list(std::string_view text);

/// read_kernel_file and parse_u64; errors name the path.
Result<uint64_t> read_u64(const std::filesystem::path& path);

/// Error for a failed call on a path, its kind from errno.
Error system_error(int error_number, std::string_view operation, const std::filesystem::path& path);

/// Names in a directory, sorted; empty if it cannot be read.
std::vector<std::string> list_directory(const std::filesystem::path& path);

}  // namespace virt_power

#endif
