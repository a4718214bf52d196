// SPDX-License-Identifier: LGPL-2.1-or-later
#include "kernel_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace virt_power {
namespace {

constexpr size_t one_page = 4096;

ErrorKind kind_of(int error_number) {
    switch (error_number) {
        case EACCES:
        case EPERM:
            return ErrorKind::Denied;
        case ENOENT:
        case ENODEV:
        case ENXIO:
        case ESRCH:
            return ErrorKind::Gone;
        case EOPNOTSUPP:
        case ENOSYS:
            return ErrorKind::Unsupported;
        default:
            return ErrorKind::Transient;
    }
}

Error malformed(std::string message) { return {ErrorKind::Malformed, 0, std::move(message)}; }

Error too_long(const std::filesystem::path& path, size_t limit) {
    return malformed(fmt::format("{} is longer than {} bytes", path.string(), limit));
}

FileDescriptor open_to_read(const std::filesystem::path& path) {
    return FileDescriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
}

}  // namespace

std::string error_text(int error_number) {
    const char* text = strerrordesc_np(error_number);
    return text ? text : fmt::format("error {}", error_number);
}

Error system_error(int error_number, std::string_view operation, const std::filesystem::path& path) {
    return {kind_of(error_number), error_number,
            fmt::format("cannot {} {}: {}", operation, path.string(), error_text(error_number))};
}

Result<std::string> read_kernel_file(const std::filesystem::path& path, size_t limit) {
    FileDescriptor file = open_to_read(path);
    if (!file) return system_error(errno, "open", path);
    std::string text;
    size_t filled = 0;
    while (filled < limit + 1) {
        if (filled == text.size()) text.resize(std::min(limit + 1, 2 * filled + one_page + 1));
        ssize_t size = ::read(file.get(), text.data() + filled, text.size() - filled);
        if (size < 0 && errno == EINTR) continue;
        if (size < 0) return system_error(errno, "read", path);
        filled += static_cast<size_t>(size);
        // A sysfs attribute comes in one piece; long files of /proc come by the page.
        if (size == 0 || limit <= one_page) break;
    }
    if (filled > limit) return too_long(path, limit);
    text.resize(filled);
    return text;
}

Result<std::string> RepeatedFile::read() {
    std::array<char, one_page + 1> text;
    bool fresh = !file_;
    while (true) {
        if (!file_) file_ = open_to_read(path_);
        if (!file_) return system_error(errno, "open", path_);
        ssize_t size = ::pread(file_.get(), text.data(), text.size(), 0);
        if (size < 0 && errno == EINTR) continue;
        if (size > static_cast<ssize_t>(one_page)) return too_long(path_, one_page);
        if (size >= 0) return std::string(text.data(), static_cast<size_t>(size));
        Error error = system_error(errno, "read", path_);
        file_ = FileDescriptor();
        if (std::exchange(fresh, true)) return error;
    }
}

Status write_kernel_file(const std::filesystem::path& path, std::string_view value) {
    FileDescriptor file(::open(path.c_str(), O_WRONLY | O_TRUNC | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW));
    if (!file) return system_error(errno, "open", path);
    ssize_t size = 0;
    do size = ::write(file.get(), value.data(), value.size());
    while (size < 0 && errno == EINTR);
    if (size < 0) return system_error(errno, "write", path);
    // The rest, in a call of its own, would be another value.
    if (static_cast<size_t>(size) != value.size()) return system_error(EIO, "write", path);
    return ok();
}

Status check_writable(const std::filesystem::path& path) {
    if (::access(path.c_str(), W_OK) != 0) return system_error(errno, "write", path);
    return ok();
}

Result<uint64_t> read_u64(const std::filesystem::path& path) {
    Result<std::string> text = read_kernel_file(path);
    if (!text) return text.error();
    Result<uint64_t> value = parse_u64(*text);
    if (!value) return malformed(fmt::format("{}: {}", path.string(), value.error().message));
    return value;
}

std::vector<std::string> list_directory(const std::filesystem::path& path) {
    std::vector<std::string> names;
    std::error_code error;
    for (std::filesystem::directory_iterator it(path, error), end; !error && it != end; it.increment(error))
        names.push_back(it->path().filename().string());
    std::sort(names.begin(), names.end());
    return names;
}

}  // namespace virt_power
