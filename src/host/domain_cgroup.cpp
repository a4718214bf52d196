// SPDX-License-Identifier: LGPL-2.1-or-later
#include "domain_cgroup.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

#include "kernel_file.hpp"

namespace virt_power {
namespace {

constexpr size_t mounts_limit = 1 << 20;

std::string_view next_line(std::string_view& rest) {
    std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    return line;
}

}  // namespace

std::string parse_proc_cgroup(std::string_view text) {
    while (!text.empty()) {
        std::string_view line = next_line(text);
        if (line.starts_with("0::/")) return std::string(line.substr(3));
    }
    return {};
}

std::string domain_part(std::string_view path) {
    for (size_t start = 1; start < path.size();) {
        size_t end = std::min(path.find('/', start), path.size());
        std::string_view part = path.substr(start, end - start);
        bool scope = part.starts_with("machine-qemu") && part.ends_with(".scope");
        bool plain = part.starts_with("qemu-") && part.ends_with(".libvirt-qemu");
        if (scope || plain) return std::string(path.substr(0, end));
        start = end + 1;
    }
    return {};
}

std::string parse_cgroup2_mount(std::string_view mounts) {
    while (!mounts.empty()) {
        std::string_view line = next_line(mounts);
        size_t from = line.find(' ');
        if (from == std::string_view::npos) continue;
        size_t to = line.find(' ', from + 1);
        if (to == std::string_view::npos || !line.substr(to + 1).starts_with("cgroup2 ")) continue;
        return std::string(line.substr(from + 1, to - from - 1));
    }
    return {};
}

Result<DomainCgroup> find_domain_cgroup(const std::filesystem::path& root, pid_t pid) {
    Result<std::string> text = read_kernel_file(root / "proc" / std::to_string(pid) / "cgroup");
    if (!text) return text.error();
    std::string part = domain_part(parse_proc_cgroup(*text));
    if (part.empty())
        return Error{ErrorKind::Unsupported, 0, "the process has no domain's cgroup of version 2"};
    Result<std::string> mounts = read_kernel_file(root / "proc/self/mounts", mounts_limit);
    if (!mounts) return mounts.error();
    std::string mount = parse_cgroup2_mount(*mounts);
    if (mount.empty()) return Error{ErrorKind::Unsupported, 0, "no cgroup hierarchy of version 2 is mounted"};
    std::filesystem::path directory = root / std::filesystem::path(mount + part).relative_path();
    struct stat status {};
    if (::stat(directory.c_str(), &status) != 0) return system_error(errno, "find", directory);
    // The inode of a cgroup's directory is its id where inodes have 64 bits.
    return DomainCgroup{status.st_ino, static_cast<int>(std::count(part.begin(), part.end(), '/'))};
}

}  // namespace virt_power
