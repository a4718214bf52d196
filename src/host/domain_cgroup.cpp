// SPDX-License-Identifier: LGPL-2.1-or-later
#include "domain_cgroup.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "kernel_file.hpp"

namespace virt_power {
namespace {

constexpr size_t procs_limit = 1 << 20;

/// Inode of the initial cgroup namespace (include/uapi/linux/nsfs.h).
constexpr ino_t initial_cgroup_namespace = 0xEFFFFFFB;

std::string_view take_until(std::string_view& rest, char end) {
    std::string_view word = rest.substr(0, rest.find(end));
    rest.remove_prefix(std::min(rest.size(), word.size() + 1));
    return word;
}

std::string_view next_line(std::string_view& rest) { return take_until(rest, '\n'); }

/// Device, directory, type and options.
std::array<std::string_view, 4> mount_fields(std::string_view line) {
    std::array<std::string_view, 4> fields;
    for (std::string_view& field : fields) field = take_until(line, ' ');
    return fields;
}

bool has_item(std::string_view list, std::string_view wanted) {
    while (!list.empty())
        if (take_until(list, ',') == wanted) return true;
    return false;
}

bool has_own_namespace(const std::filesystem::path& root) {
    struct stat space {};
    return ::stat((root / "proc/self/ns/cgroup").c_str(), &space) == 0 &&
           space.st_ino != initial_cgroup_namespace;
}

}  // namespace

std::string parse_proc_cgroup(std::string_view text) {
    while (!text.empty()) {
        std::string_view line = next_line(text);
        if (line.starts_with("0::/")) return std::string(line.substr(3));
    }
    return {};
}

std::pair<std::string, std::string> parse_proc_cgroup1(std::string_view text) {
    while (!text.empty()) {
        std::string_view path = next_line(text);
        std::string_view hierarchy = take_until(path, ':');
        std::string_view controllers = take_until(path, ':');
        std::string_view controller = take_until(controllers, ',');
        if (hierarchy == "0" || controller.empty() || controller.starts_with("name=")) continue;
        if (!domain_part(path).empty()) return {std::string(controller), std::string(path)};
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
        auto [device, directory, type, options] = mount_fields(next_line(mounts));
        if (type == "cgroup2") return std::string(directory);
    }
    return {};
}

std::string parse_cgroup1_mount(std::string_view mounts, std::string_view controller) {
    while (!mounts.empty()) {
        auto [device, directory, type, options] = mount_fields(next_line(mounts));
        if (type == "cgroup" && has_item(options, controller)) return std::string(directory);
    }
    return {};
}

DomainCgroups::DomainCgroups(std::filesystem::path root)
    : root_(std::move(root)), own_namespace_(has_own_namespace(root_)), mounts_(root_) {}

Result<std::string> DomainCgroups::text_of(pid_t pid) const {
    return read_kernel_file(root_ / "proc" / std::to_string(pid) / "cgroup");
}

DomainPlace DomainCgroups::find(pid_t pid) {
    Result<std::string> text = text_of(pid);
    if (!text) return {text.error(), text.error()};
    DomainPlace place{find_cgroup(*text), find_others(*text, pid)};
    if (!parse_proc_cgroup1(*text).first.empty()) return place;
    if (place.cgroup)
        place.trace = CgroupTrace{std::move(*text), *place.cgroup};
    else if (domain_part(parse_proc_cgroup(*text)).empty())
        place.trace = CgroupTrace{std::move(*text)};
    return place;
}

bool DomainCgroups::is_as(pid_t pid, const CgroupTrace& trace) const {
    Result<std::string> text = text_of(pid);
    if (!text || *text != trace.text) return false;
    if (!trace.cgroup) return true;
    struct stat status {};
    return ::stat(trace.cgroup->directory.c_str(), &status) == 0 && status.st_ino == trace.cgroup->id;
}

Result<DomainCgroup> DomainCgroups::find_cgroup(std::string_view cgroups) {
    if (own_namespace_)
        return Error{ErrorKind::Unsupported, 0,
                     "this daemon is in a cgroup namespace of its own, where depths are not the kernel's"};
    std::string part = domain_part(parse_proc_cgroup(cgroups));
    if (part.empty())
        return Error{ErrorKind::Unsupported, 0, "the process has no domain's cgroup of version 2"};
    Result<std::string_view> mounts = mounts_.read();
    if (!mounts) return mounts.error();
    std::string mount = parse_cgroup2_mount(*mounts);
    if (mount.empty()) return Error{ErrorKind::Unsupported, 0, "no cgroup hierarchy of version 2 is mounted"};
    std::filesystem::path directory = root_ / std::filesystem::path(mount + part).relative_path();
    struct stat status {};
    if (::stat(directory.c_str(), &status) != 0) return system_error(errno, "find", directory);
    // The inode of a cgroup's directory is its id where inodes have 64 bits.
    return DomainCgroup{status.st_ino, static_cast<int>(std::count(part.begin(), part.end(), '/')),
                        directory};
}

Result<std::vector<Process>> DomainCgroups::find_others(std::string_view cgroups, pid_t pid) {
    auto [controller, path] = parse_proc_cgroup1(cgroups);
    Error none{ErrorKind::Unsupported, 0, "the process has no domain's cgroup of version 1"};
    if (controller.empty()) return none;
    Result<std::string_view> mounts = mounts_.read();
    if (!mounts) return mounts.error();
    std::string mount = parse_cgroup1_mount(*mounts, controller);
    if (mount.empty()) return none;
    std::filesystem::path file = root_ / std::filesystem::path(mount + path).relative_path() / "cgroup.procs";
    Result<std::string> list = read_kernel_file(file, procs_limit);
    if (!list) return list.error();
    std::vector<Process> processes;
    for (std::string_view rest = *list; !rest.empty();) {
        Result<uint64_t> number = parse_u64(next_line(rest));
        if (!number || *number > INT32_MAX) continue;  // 0: of another PID namespace
        if (static_cast<pid_t>(*number) == pid) continue;
        // One that has ended meanwhile works for nobody.
        Result<Process> process = find_process(root_, static_cast<pid_t>(*number));
        if (process) processes.push_back(*process);
    }
    return processes;
}

}  // namespace virt_power
