// SPDX-License-Identifier: LGPL-2.1-or-later
#ifndef VIRT_POWER_UTIL_FILE_DESCRIPTOR_HPP
#define VIRT_POWER_UTIL_FILE_DESCRIPTOR_HPP

#include <unistd.h>

#include <utility>

namespace virt_power {

/// Owns a descriptor and closes it.
class FileDescriptor {
public:
    FileDescriptor() = default;
    explicit FileDescriptor(int descriptor) : descriptor_(descriptor) {}
    FileDescriptor(FileDescriptor&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
    FileDescriptor& operator=(FileDescriptor&& other) noexcept {
        std::swap(descriptor_, other.descriptor_);
        return *this;
    }
    ~FileDescriptor() {
        if (descriptor_ >= 0) ::close(descriptor_);
    }

    [[nodiscard]] int get() const { return descriptor_; }
    explicit operator bool() const { return descriptor_ >= 0; }

private:
    int descriptor_ = -1;
};

}  // namespace virt_power

#endif
