// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// A directory in a BPF file system, of one owner at a time. bpf(2), flock(2)
#ifndef VIRT_POWER_HOST_PIN_DIRECTORY_HPP
#define VIRT_POWER_HOST_PIN_DIRECTORY_HPP

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "file_descriptor.hpp"
#include "virt-power/result.hpp"

namespace virt_power {

class PinDirectory {
public:
    /// Makes FILE_SYSTEM/virt-power/NAME where it is not there, each of mode 0700, and locks it.
    /// Unsupported: that is no BPF file system; Denied: it is another user's, or others may enter it;
    /// Transient: another process holds it.
    static Result<PinDirectory> open(const std::filesystem::path& file_system, const std::string& name);

    [[nodiscard]] static bool exists(const std::filesystem::path& file_system, const std::string& name);
    /// Removes that directory with its pins, if it is there. Transient: another process holds it.
    static Status remove(const std::filesystem::path& file_system, const std::string& name);

    /// NAME of what belongs to a daemon's state directory.
    static std::string name_of(const std::filesystem::path& state_dir);

    [[nodiscard]] std::filesystem::path path(std::string_view pin) const { return directory_ / pin; }
    [[nodiscard]] const std::filesystem::path& directory() const { return directory_; }
    [[nodiscard]] Result<std::vector<std::string>> pins() const;
    /// Removes all pins that it can: what nobody else holds ends. The error is the first one.
    Status clear() const;

private:
    PinDirectory(std::filesystem::path directory, FileDescriptor lock)
        : directory_(std::move(directory)), lock_(std::move(lock)) {}

    std::filesystem::path directory_;
    FileDescriptor lock_;
};

}  // namespace virt_power

#endif
