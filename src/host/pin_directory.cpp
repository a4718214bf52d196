// SPDX-License-Identifier: LGPL-2.1-or-later
#include "pin_directory.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cctype>
#include <cerrno>
#include <iterator>

#include "kernel_file.hpp"

namespace virt_power {
namespace {

/// One that is ours alone. Made where it is not there.
Result<FileDescriptor> enter(const std::filesystem::path& path) {
    if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) return system_error(errno, "make", path);
    FileDescriptor directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!directory) return system_error(errno, "open", path);
    struct stat status {};
    if (::fstat(directory.get(), &status) != 0) return system_error(errno, "read", path);
    if (status.st_uid != ::geteuid())
        return Error{
            ErrorKind::Denied, 0,
            fmt::format("{} belongs to user {}, not to this daemon's", path.string(), status.st_uid)};
    if ((status.st_mode & 077) != 0)
        return Error{ErrorKind::Denied, 0,
                     fmt::format("{} is open to others (mode {:o})", path.string(), status.st_mode & 07777)};
    return directory;
}

bool is_same(const FileDescriptor& directory, const std::filesystem::path& path) {
    struct stat held {};
    struct stat there {};
    return ::fstat(directory.get(), &held) == 0 && ::lstat(path.c_str(), &there) == 0 &&
           held.st_dev == there.st_dev && held.st_ino == there.st_ino;
}

}  // namespace

Result<PinDirectory> PinDirectory::open(const std::filesystem::path& file_system, const std::string& name) {
    struct statfs status {};
    if (::statfs(file_system.c_str(), &status) != 0) return system_error(errno, "find", file_system);
    if (status.f_type != BPF_FS_MAGIC)
        return Error{ErrorKind::Unsupported, 0,
                     fmt::format("no BPF file system is mounted at {}", file_system.string())};
    std::filesystem::path ours = file_system / "virt-power";
    if (Result<FileDescriptor> entered = enter(ours); !entered) return entered.error();
    std::filesystem::path directory = ours / name;
    Result<FileDescriptor> lock = enter(directory);
    if (!lock) return lock.error();
    if (::flock(lock->get(), LOCK_EX | LOCK_NB) != 0)
        return errno == EWOULDBLOCK ? Error{ErrorKind::Transient, EWOULDBLOCK,
                                            fmt::format("another daemon holds {}", directory.string())}
                                    : system_error(errno, "lock", directory);
    if (!is_same(*lock, directory))
        return Error{ErrorKind::Transient, 0, fmt::format("{} was replaced meanwhile", directory.string())};
    return PinDirectory(std::move(directory), std::move(*lock));
}

bool PinDirectory::exists(const std::filesystem::path& file_system, const std::string& name) {
    return !file_system.empty() && ::access((file_system / "virt-power" / name).c_str(), F_OK) == 0;
}

Status PinDirectory::remove(const std::filesystem::path& file_system, const std::string& name) {
    if (!exists(file_system, name)) return ok();
    std::filesystem::path directory = file_system / "virt-power" / name;
    Result<PinDirectory> held = open(file_system, name);
    if (!held) return held.error();
    if (Status cleared = held->clear(); !cleared) return cleared;
    if (::rmdir(directory.c_str()) != 0) return system_error(errno, "remove", directory);
    (void)::rmdir((file_system / "virt-power").c_str());  // unless another daemon has pins
    return ok();
}

/// No dot in it: a BPF file system takes none.
std::string PinDirectory::name_of(const std::filesystem::path& state_dir) {
    std::string name;
    for (char c : state_dir.relative_path().string()) {
        auto byte = static_cast<unsigned char>(c);
        if (std::isalnum(byte) != 0)
            name += c;
        else if (c == '/')
            name += '-';
        else
            fmt::format_to(std::back_inserter(name), "_{:02x}", byte);
    }
    constexpr size_t longest = 200;
    if (name.size() > longest)
        name = fmt::format("{}_{:x}", name.substr(0, longest), std::hash<std::string>{}(name));
    return name.empty() ? "_" : name;
}

Result<std::vector<std::string>> PinDirectory::pins() const {
    std::vector<std::string> names;
    std::error_code error;
    for (std::filesystem::directory_iterator entry(directory_, error), end; !error && entry != end;
         entry.increment(error))
        names.push_back(entry->path().filename());
    if (error) return system_error(error.value(), "list", directory_);
    return names;
}

Status PinDirectory::clear() const {
    Result<std::vector<std::string>> there = pins();
    if (!there) return there.error();
    Status all = ok();
    for (const std::string& pin : *there)
        if (::unlink(path(pin).c_str()) != 0 && all) all = system_error(errno, "remove", path(pin));
    return all;
}

}  // namespace virt_power
