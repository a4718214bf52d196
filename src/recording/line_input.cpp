// SPDX-License-Identifier: LGPL-2.1-or-later
#include "line_input.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "line.hpp"

namespace virt_power {
namespace {

constexpr size_t chunk = size_t{256} << 10;

}  // namespace

Error file_error(const std::string& name, const char* action, int number) {
    ErrorKind kind = number == EACCES || number == EPERM ? ErrorKind::Denied : ErrorKind::Transient;
    return {kind, number, fmt::format("{}: cannot {}: {}", name, action, std::strerror(number))};
}

LineInput::LineInput(int fd, int stop_fd, std::string name)
    : fd_(fd), stop_fd_(stop_fd), name_(std::move(name)) {
    struct stat about {};
    must_wait_ = fstat(fd_, &about) != 0 || !S_ISREG(about.st_mode);
}

LineInput::LineInput(LineInput&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      stop_fd_(other.stop_fd_),
      must_wait_(other.must_wait_),
      name_(std::move(other.name_)),
      buffer_(std::move(other.buffer_)),
      begin_(other.begin_),
      end_(other.end_),
      number_(other.number_),
      at_end_(other.at_end_),
      cut_off_(other.cut_off_) {}

LineInput::~LineInput() {
    if (fd_ >= 0 && fd_ != STDIN_FILENO) close(fd_);
}

Result<LineInput> LineInput::open(const std::string& path, int stop_fd) {
    if (path == "-") return LineInput(STDIN_FILENO, stop_fd, "standard input");
    // A pipe without a writer is waited for below, not here.
    int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);  // NOLINT: has no mode
    if (fd < 0) return file_error(path, "open", errno);
    return LineInput(fd, stop_fd, path);
}

/// More bytes behind those that are there. False at the end of the file.
Result<bool> LineInput::fill() {
    if (begin_ != 0) {
        std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
        end_ -= begin_;
        begin_ = 0;
    }
    if (buffer_.size() < end_ + chunk) buffer_.resize(end_ + chunk);
    while (true) {
        std::array<pollfd, 2> fds{{{stop_fd_, POLLIN, 0}, {fd_, POLLIN, 0}}};
        if (must_wait_) {
            if (poll(fds.data(), fds.size(), -1) < 0 && errno != EINTR)
                return file_error(name_, "read", errno);
            if (fds[0].revents != 0) return file_error(name_, "read", EINTR);
            if (fds[1].revents == 0) continue;
        }
        ssize_t got = read(fd_, buffer_.data() + end_, chunk);
        if (got >= 0) {
            end_ += static_cast<size_t>(got);
            return got != 0;
        }
        if (errno != EINTR && errno != EAGAIN) return file_error(name_, "read", errno);
    }
}

Result<std::optional<std::string_view>> LineInput::next() {
    size_t searched = 0;
    while (true) {
        const char* start = buffer_.data() + begin_;
        size_t have = end_ - begin_;
        const void* found = have > searched ? std::memchr(start + searched, '\n', have - searched) : nullptr;
        size_t length = found ? static_cast<size_t>(static_cast<const char*>(found) - start) : have;
        if (length > longest_line) {
            ++number_;
            return Error{ErrorKind::Malformed, 0,
                         fmt::format("{}: line {}: longer than {} MiB", name_, number_, longest_line >> 20)};
        }
        if (found || (at_end_ && have != 0)) {
            ++number_;
            cut_off_ = !found;
            begin_ += found ? length + 1 : length;
            return std::optional(std::string_view(start, length));
        }
        if (at_end_) return std::optional<std::string_view>();
        searched = have;
        Result<bool> more = fill();
        if (!more) return more.error();
        at_end_ = !*more;
    }
}

}  // namespace virt_power
