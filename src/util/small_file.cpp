// SPDX-License-Identifier: LGPL-2.1-or-later
#include "small_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "file_descriptor.hpp"

namespace virt_power {
namespace {

Error failed(int error_number, std::string_view operation, const std::filesystem::path& path) {
    ErrorKind kind = ErrorKind::Transient;
    if (error_number == EACCES || error_number == EPERM || error_number == EROFS) kind = ErrorKind::Denied;
    if (error_number == ENOENT || error_number == ENOTDIR) kind = ErrorKind::Gone;
    if (error_number == ELOOP) kind = ErrorKind::Malformed;
    return {kind, error_number,
            fmt::format("cannot {} {}: {}", operation, path.string(), strerrordesc_np(error_number))};
}

bool write_all(int descriptor, std::string_view text) {
    while (!text.empty()) {
        ssize_t size = ::write(descriptor, text.data(), text.size());
        if (size < 0 && errno == EINTR) continue;
        if (size < 0) return false;
        text.remove_prefix(static_cast<size_t>(size));
    }
    return true;
}

/// The name is on the disk only when its directory is. Not every file system can do this.
void sync_directory(const std::filesystem::path& directory) {
    FileDescriptor opened(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (opened) (void)::fsync(opened.get());
}

bool is_machine_id(std::string_view text) {
    return text.size() == 32 && std::all_of(text.begin(), text.end(), [](char c) {
               return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
           });
}

}  // namespace

Result<std::string> read_small_file(const std::filesystem::path& path, size_t limit) {
    FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
    if (!file) return failed(errno, "open", path);
    struct stat status {};
    if (::fstat(file.get(), &status) != 0) return failed(errno, "read", path);
    if (!S_ISREG(status.st_mode))
        return Error{ErrorKind::Malformed, 0, fmt::format("{} is not a file", path.string())};
    std::string text(limit + 1, '\0');
    size_t filled = 0;
    while (filled < text.size()) {
        ssize_t size = ::read(file.get(), text.data() + filled, text.size() - filled);
        if (size < 0 && errno == EINTR) continue;
        if (size < 0) return failed(errno, "read", path);
        if (size == 0) break;
        filled += static_cast<size_t>(size);
    }
    if (filled > limit)
        return Error{ErrorKind::Malformed, 0,
                     fmt::format("{} is longer than {} bytes", path.string(), limit)};
    text.resize(filled);
    return text;
}

Status replace_file(const std::filesystem::path& path, std::string_view text, mode_t mode) {
    std::filesystem::path directory = path.has_parent_path() ? path.parent_path() : ".";
    std::string name = (directory / ("." + path.filename().string() + ".XXXXXX")).string();
    FileDescriptor file(::mkostemp(name.data(), O_CLOEXEC));
    if (!file) return failed(errno, "write", path);
    bool done = write_all(file.get(), text) && ::fchmod(file.get(), mode) == 0 && ::fsync(file.get()) == 0 &&
                ::rename(name.c_str(), path.c_str()) == 0;
    if (!done) {
        int error_number = errno;
        ::unlink(name.c_str());
        return failed(error_number, "write", path);
    }
    sync_directory(directory);
    return ok();
}

std::string read_machine_id(const std::filesystem::path& root) {
    for (const char* path : {"etc/machine-id", "var/lib/dbus/machine-id"}) {
        Result<std::string> text = read_small_file(root / path, 64);
        if (!text) continue;
        while (!text->empty() && text->back() == '\n') text->pop_back();
        if (is_machine_id(*text)) return *text;
    }
    return {};
}

}  // namespace virt_power
