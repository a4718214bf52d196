// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// Small files that others may put in our way: read without a hang, written whole or not at all.
#ifndef VIRT_POWER_UTIL_SMALL_FILE_HPP
#define VIRT_POWER_UTIL_SMALL_FILE_HPP

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <string_view>

#include "virt-power/result.hpp"

namespace virt_power {

/// A regular file of at most `limit` bytes. Gone: there is none. Malformed: it
/// is longer, or is no regular file. Never blocks on a FIFO.
Result<std::string> read_small_file(const std::filesystem::path& path, size_t limit);

/// Puts a file with this text and mode in the place of what was there: by a new
/// file beside it, which is on the disk before it gets the name. On failure
/// nothing has changed.
Status replace_file(const std::filesystem::path& path, std::string_view text, mode_t mode = 0644);

/// The machine's identity below `root`: machine-id(5), or D-Bus's where systemd is not installed; empty if it
/// has none.
std::string read_machine_id(const std::filesystem::path& root);

}  // namespace virt_power

#endif
