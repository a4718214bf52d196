// SPDX-License-Identifier: LGPL-2.1-or-later
#include "kernel_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>

#include "file_descriptor.hpp"

namespace virt_power {
namespace {

constexpr uint32_t max_cpu = 65535;
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
    FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
    if (!file) return system_error(errno, "open", path);
    std::string text(limit + 1, '\0');
    size_t filled = 0;
    while (filled < text.size()) {
        ssize_t size = ::read(file.get(), text.data() + filled, text.size() - filled);
        if (size < 0 && errno == EINTR) continue;
        if (size < 0) return system_error(errno, "read", path);
        filled += static_cast<size_t>(size);
        // A sysfs attribute comes in one piece; long files of /proc come by the page.
        if (size == 0 || limit <= one_page) break;
    }
    if (filled > limit) return malformed(fmt::format("{} is longer than {} bytes", path.string(), limit));
    text.resize(filled);
    return text;
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

std::string_view trim(std::string_view text) {
    constexpr std::string_view space = " \t\r\n";
    size_t first = text.find_first_not_of(space);
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(space) - first + 1);
}

Result<uint64_t> parse_u64(std::string_view text) {
    std::string_view digits = trim(text);
    uint64_t value = 0;
    const char* end = digits.data() + digits.size();
    auto [stop, error] = std::from_chars(digits.data(), end, value);
    if (digits.empty() || error != std::errc{} || stop != end)
        return malformed(fmt::format("'{}' is not a number", digits.substr(0, 40)));
    return value;
}

Result<std::vector<uint32_t>> parse_cpu_list(std::string_view text) {
    std::vector<uint32_t> cpus;
    std::string_view rest = trim(text);
    while (!rest.empty()) {
        size_t comma = rest.find(',');
        std::string_view item = rest.substr(0, comma);
        rest = comma == std::string_view::npos ? std::string_view{} : rest.substr(comma + 1);
        size_t dash = item.find('-');
        Result<uint64_t> first = parse_u64(item.substr(0, dash));
        Result<uint64_t> last = dash == std::string_view::npos ? first : parse_u64(item.substr(dash + 1));
        if (!first || !last || *first > *last || *last > max_cpu)
            return malformed(fmt::format("'{}' is not a list of CPUs", trim(text).substr(0, 40)));
        for (uint64_t cpu = *first; cpu <= *last; cpu++) cpus.push_back(static_cast<uint32_t>(cpu));
    }
    std::sort(cpus.begin(), cpus.end());
    cpus.erase(std::unique(cpus.begin(), cpus.end()), cpus.end());
    return cpus;
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
