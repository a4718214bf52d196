// SPDX-License-Identifier: LGPL-2.1-or-later
#include "calibration_place.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>

#include "calibration_file.hpp"
#include "own_calibration.hpp"
#include "small_file.hpp"

namespace virt_power {
namespace {

namespace fs = std::filesystem;

/// What stands before and after "://" decides: no authority and no transport but the local socket.
bool is_local(std::string_view uri) {
    size_t end = uri.find("://");
    if (end == std::string_view::npos) return false;
    std::string_view scheme = uri.substr(0, end);
    size_t plus = scheme.find('+');
    bool local_transport = plus == std::string_view::npos || scheme.substr(plus) == "+unix";
    return local_transport && uri.substr(end + 3).starts_with('/');
}

/// One socket, the default one: with another one, the daemon may have its files elsewhere.
bool is_system_daemon(std::string_view uri) {
    return uri == "qemu:///system" || uri == "qemu+unix:///system";
}

Error cannot_write(const fs::path& file, const fs::path& directory, int error_number) {
    return {ErrorKind::Denied, error_number,
            fmt::format("cannot write {}: {}: {}; give another place with --output", file.string(),
                        directory.string(), strerrordesc_np(error_number))};
}

/// libvirt gives the whole name of a host.
bool is_own_name(std::string_view host) {
    std::array<char, 256> name{};
    if (::gethostname(name.data(), name.size() - 1) != 0) return false;
    std::string_view mine = name.data();
    return host == mine || host.starts_with(std::string(mine) + ".");
}

}  // namespace

bool is_this_machine(const Sample& sample) {
    // A socket may be another machine's, forwarded.
    return is_local(sample.uri) && is_own_name(sample.host);
}

bool is_name_of_this_machine(const std::string& host) {
    return is_own_name(host) && !host.starts_with("localhost");
}

Result<CalibrationPlace> calibration_place(const Sample& sample, const std::optional<std::string>& given) {
    if (given)
        return CalibrationPlace{*given, false, fs::path(*given).filename() == calibration_file_name, true};
    std::error_code unreadable;
    const fs::path daemon = VIRT_POWER_DAEMON_CONFIG_DIR;
    if (::geteuid() == 0 && is_system_daemon(sample.uri) && is_this_machine(sample) &&
        fs::is_directory(daemon, unreadable))
        return CalibrationPlace{daemon / calibration_file_name, false, true, false};
    fs::path own = own_calibration_file(sample.host);
    if (!own.empty()) return CalibrationPlace{own, true, false, false};
    return Error{
        ErrorKind::Denied, 0,
        fmt::format("there is no place for a calibration of {}: give one with --output", sample.host)};
}

Status check_place(const CalibrationPlace& place) {
    struct stat status {};
    if (::stat(place.file.c_str(), &status) == 0 && !S_ISREG(status.st_mode))
        return Error{ErrorKind::Malformed, 0,
                     fmt::format("cannot write {}: it is not a file", place.file.string())};
    fs::path directory = place.file.has_parent_path() ? place.file.parent_path() : ".";
    std::error_code unreadable;
    while (place.make_directories && !fs::exists(directory, unreadable) && directory.has_relative_path())
        directory = directory.parent_path();
    if (::stat(directory.c_str(), &status) != 0) return cannot_write(place.file, directory, errno);
    if (!S_ISDIR(status.st_mode)) return cannot_write(place.file, directory, ENOTDIR);
    if (::faccessat(AT_FDCWD, directory.c_str(), W_OK | X_OK, AT_EACCESS) != 0)
        return cannot_write(place.file, directory, errno);
    return ok();
}

Status write_calibration(const CalibrationPlace& place, const std::string& text) {
    std::error_code error;
    if (place.make_directories) fs::create_directories(place.file.parent_path(), error);
    if (error) return cannot_write(place.file, place.file.parent_path(), error.value());
    return replace_file(place.file, text);
}

}  // namespace virt_power
