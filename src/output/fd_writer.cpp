// SPDX-License-Identifier: LGPL-2.1-or-later
#include "fd_writer.hpp"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstring>
#include <string>

namespace virt_power {
namespace {

Error failure(int number) {
    ErrorKind kind = number == EPIPE ? ErrorKind::Gone : ErrorKind::Transient;
    return {kind, number, std::string("cannot write the output: ") + std::strerror(number)};
}

}  // namespace

Result<size_t> FdWriter::write_some(std::string_view text, int stop_fd, int timeout_ms) const {
    while (true) {
        std::array<pollfd, 2> fds{{{fd_, POLLOUT, 0}, {stop_fd, POLLIN, 0}}};
        int ready = poll(fds.data(), fds.size(), timeout_ms);
        if (ready < 0 && errno == EINTR) continue;
        if (ready < 0) return failure(errno);
        if (ready == 0) return failure(ETIMEDOUT);
        // A pipe that is ready takes this much without blocking.
        if (fds[0].revents != 0) {
            ssize_t done = ::write(fd_, text.data(), std::min<size_t>(text.size(), PIPE_BUF));
            if (done > 0) return static_cast<size_t>(done);
            if (done == 0) return failure(ENOSPC);
            if (errno != EINTR && errno != EAGAIN) return failure(errno);
            if (stop_fd < 0) continue;
        }
        if (fds[1].revents != 0) return failure(EINTR);
    }
}

Status FdWriter::write(std::string_view text) const {
    while (!text.empty()) {
        Result<size_t> done = write_some(text, stop_fd_, -1);
        if (!done) return done.error();
        text.remove_prefix(*done);
    }
    return ok();
}

void FdWriter::write_last(std::string_view text) const {
    while (!text.empty()) {
        Result<size_t> done = write_some(text, -1, 1000);
        if (!done) return;
        text.remove_prefix(*done);
    }
}

}  // namespace virt_power
