// SPDX-License-Identifier: LGPL-2.1-or-later
#include "mount_table.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>

#include "kernel_file.hpp"

namespace virt_power {
namespace {

constexpr size_t least = 1 << 14;
constexpr size_t most = 1 << 24;  // hosts with containers have thousands of mounts

}  // namespace

bool MountTable::is_known() const {
    if (!file_ || !whole_) return false;
    pollfd change{file_.get(), POLLPRI, 0};
    return ::poll(&change, 1, 0) >= 0 && (change.revents & (POLLPRI | POLLERR)) == 0;
}

/// What is mounted while it is read is told afterwards.
Status MountTable::read_whole() {
    whole_ = false;
    if (!file_) file_ = FileDescriptor(::open(path_.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file_) return system_error(errno, "open", path_);
    std::string text(std::max(least, text_.size() + 1), '\0');
    size_t filled = 0;
    while (true) {
        if (filled == most)
            return Error{ErrorKind::Malformed, 0,
                         fmt::format("{} holds more than {} bytes", path_.string(), most)};
        if (filled == text.size()) text.resize(std::min(most, 2 * filled));
        ssize_t size =
            ::pread(file_.get(), text.data() + filled, text.size() - filled, static_cast<off_t>(filled));
        if (size < 0 && errno == EINTR) continue;
        if (size < 0) return system_error(errno, "read", path_);
        if (size == 0) break;
        filled += static_cast<size_t>(size);
    }
    text.resize(filled);
    text_ = std::move(text);
    whole_ = true;
    return ok();
}

Result<std::string_view> MountTable::read() {
    if (is_known()) return std::string_view(text_);
    if (Status read = read_whole(); !read) {
        file_ = FileDescriptor();
        return read.error();
    }
    return std::string_view(text_);
}

}  // namespace virt_power
