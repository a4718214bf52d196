// SPDX-License-Identifier: LGPL-2.1-or-later
#include "recording_file.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <utility>

#include "line_input.hpp"

namespace virt_power {

RecordingFile::RecordingFile(std::string path, int stop_fd)
    : path_(std::move(path)), name_(path_ == "-" ? "standard output" : path_), stop_fd_(stop_fd) {}

RecordingFile::RecordingFile(RecordingFile&& other) noexcept
    : path_(std::move(other.path_)),
      name_(std::move(other.name_)),
      fd_(std::exchange(other.fd_, -1)),
      stop_fd_(other.stop_fd_),
      regular_(other.regular_),
      replaces_(other.replaces_),
      begun_(other.begun_) {}

RecordingFile::~RecordingFile() {
    if (fd_ < 0 || path_ == "-") return;
    if (!begun_ && !is_removed()) unlink(path_.c_str());
    ::close(fd_);
}

bool RecordingFile::is_removed() const {
    struct stat about {};
    return regular_ && path_ != "-" && fstat(fd_, &about) == 0 && about.st_nlink == 0;
}

Status RecordingFile::open_new() {
    fd_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOCTTY, 0600);
    return fd_ < 0 ? Status(file_error(name_, "create", errno)) : ok();
}

Result<RecordingFile> RecordingFile::create(const std::string& path, const RecorderOptions& options) {
    RecordingFile file(path, options.stop_fd);
    struct stat about {};
    if (path == "-") {
        file.fd_ = STDOUT_FILENO;
        file.regular_ = fstat(STDOUT_FILENO, &about) == 0 && S_ISREG(about.st_mode);
        return file;
    }
    Status opened = file.open_new();
    if (opened) return file;
    if (opened.error().error_number != EEXIST) return opened.error();
    if (lstat(path.c_str(), &about) != 0) return file_error(path, "look at it", errno);
    if (!S_ISREG(about.st_mode))
        return Error{ErrorKind::Malformed, 0,
                     path + ": exists and is no regular file; a recording needs a file of its own"};
    if (!options.overwrite)
        return Error{ErrorKind::Malformed, EEXIST, path + ": the file exists, and would be replaced"};
    file.replaces_ = true;
    return file;
}

/// The old file is not written to: who reads it goes on with it, and its mode and its other
/// names are not taken over.
Status RecordingFile::begin() {
    begun_ = true;
    if (!replaces_) return ok();
    if (unlink(path_.c_str()) != 0 && errno != ENOENT) return file_error(name_, "replace it", errno);
    return open_new();
}

Result<size_t> RecordingFile::write_some(std::string_view text) const {
    while (true) {
        // A pipe that is ready takes this much without blocking.
        size_t size = text.size();
        if (!regular_) {
            size = std::min<size_t>(size, PIPE_BUF);
            std::array<pollfd, 2> fds{{{fd_, POLLOUT, 0}, {stop_fd_, POLLIN, 0}}};
            if (poll(fds.data(), fds.size(), -1) < 0 && errno != EINTR)
                return file_error(name_, "write", errno);
            if (fds[0].revents == 0 && fds[1].revents != 0) return file_error(name_, "write", EINTR);
            if (fds[0].revents == 0) continue;
        }
        ssize_t done = ::write(fd_, text.data(), size);
        if (done > 0) return static_cast<size_t>(done);
        if (done == 0) return file_error(name_, "write", ENOSPC);
        if (errno != EINTR && errno != EAGAIN) return file_error(name_, "write", errno);
    }
}

Status RecordingFile::write(std::string_view text) {
    if (is_removed())
        return Error{ErrorKind::Gone, 0, name_ + ": the file was removed or replaced by another program"};
    size_t written = 0;
    while (written < text.size()) {
        Result<size_t> done = write_some(text.substr(written));
        if (!done) {
            // Whole lines alone; where that cannot be had, a reader finds the part.
            off_t at = regular_ ? lseek(fd_, 0, SEEK_CUR) : -1;
            if (written != 0 && at >= 0) {
                [[maybe_unused]] int cut = ftruncate(fd_, at - static_cast<off_t>(written));
            }
            return done.error();
        }
        written += *done;
    }
    return ok();
}

Status RecordingFile::close() {
    if (path_ == "-") return ok();
    int failed = fsync(fd_) != 0 ? errno : 0;
    if (::close(std::exchange(fd_, -1)) != 0 && failed == 0) failed = errno;
    return failed == 0 ? ok() : Status(file_error(name_, "write it to the disk", failed));
}

}  // namespace virt_power
