// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// /proc/self/mounts, which is long where there are containers. proc_pid_mounts(5)
#ifndef VIRT_POWER_HOST_MOUNT_TABLE_HPP
#define VIRT_POWER_HOST_MOUNT_TABLE_HPP

#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

#include "file_descriptor.hpp"
#include "virt-power/result.hpp"

namespace virt_power {

/// Read again only where something was mounted or unmounted meanwhile, which the kernel tells.
/// Threads: one call at a time.
class MountTable {
public:
    explicit MountTable(const std::filesystem::path& root) : path_(root / "proc/self/mounts") {}

    /// The text is valid until the next call.
    Result<std::string_view> read();

private:
    [[nodiscard]] bool is_known() const;
    Status read_whole();

    std::filesystem::path path_;
    FileDescriptor file_;
    std::string text_;
    bool whole_ = false;  ///< what was mounted until the kernel was asked last is in the text
};

}  // namespace virt_power

#endif
