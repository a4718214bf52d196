// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// Writes whole texts to a descriptor that may block, close or be full.
#ifndef VIRT_POWER_OUTPUT_FD_WRITER_HPP
#define VIRT_POWER_OUTPUT_FD_WRITER_HPP

#include <string_view>

#include "virt-power/result.hpp"

namespace virt_power {

class FdWriter {
public:
    /// Gives up a write that would block once `stop_fd` is readable; -1: never.
    FdWriter(int fd, int stop_fd) : fd_(fd), stop_fd_(stop_fd) {}

    /// Gone if the reader left, else Transient. The caller ignores SIGPIPE.
    Status write(std::string_view text) const;

    /// For a last word: also after a stop, but waits a second at most.
    void write_last(std::string_view text) const;

private:
    /// Success: as much as may be written without blocking, at least one byte.
    [[nodiscard]] Result<size_t> write_some(std::string_view text, int stop_fd, int timeout_ms) const;

    int fd_, stop_fd_;
};

}  // namespace virt_power

#endif
