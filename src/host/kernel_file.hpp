// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// Bounded reads of the kernel's small text files, writes of one, and the number formats in them.
#ifndef VIRT_POWER_HOST_KERNEL_FILE_HPP
#define VIRT_POWER_HOST_KERNEL_FILE_HPP

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "file_descriptor.hpp"
#include "numbers.hpp"
#include "virt-power/result.hpp"

namespace virt_power {

/// One bounded read: at most `limit` bytes, in one call unless the limit is more
/// than a page. A file that holds more is
/// Malformed. May block for as long as the kernel's driver does.
Result<std::string> read_kernel_file(const std::filesystem::path& path, size_t limit = 4096);

/// As read_kernel_file, again and again: the file stays open, which is most of what a reading costs. One that
/// was taken away and is there again is opened anew.
class RepeatedFile {
public:
    explicit RepeatedFile(std::filesystem::path path) : path_(std::move(path)) {}
    Result<std::string> read();

private:
    std::filesystem::path path_;
    FileDescriptor file_;
};

/// Writes a value to a file that is there, in one call, since the kernel takes each
/// call for a whole value. The error_number is the kernel's. Never makes a file, and the
/// file itself is no link (its directories may be). The path is ours, never a client's.
Status write_kernel_file(const std::filesystem::path& path, std::string_view value);

/// May this process write there? The error is what a write would end in.
Status check_writable(const std::filesystem::path& path);

/// read_kernel_file and parse_u64; errors name the path.
Result<uint64_t> read_u64(const std::filesystem::path& path);

/// strerror(3) without a locale; drivers give numbers, too, that it does not know (524).
std::string error_text(int error_number);

/// Error for a failed call on a path, its kind from errno.
Error system_error(int error_number, std::string_view operation, const std::filesystem::path& path);

/// Names in a directory, sorted; empty if it cannot be read.
std::vector<std::string> list_directory(const std::filesystem::path& path);

}  // namespace virt_power

#endif
