// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// The cgroup that libvirt made for a domain, and what it put there.
/// /proc/PID/cgroup, Documentation/admin-guide/cgroup-v2.rst, cgroup-v1/cgroups.rst
#ifndef VIRT_POWER_HOST_DOMAIN_CGROUP_HPP
#define VIRT_POWER_HOST_DOMAIN_CGROUP_HPP

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "mount_table.hpp"
#include "process.hpp"
#include "virt-power/result.hpp"

namespace virt_power {

struct DomainCgroup {
    uint64_t id = 0;  ///< as bpf_get_current_ancestor_cgroup_id() gives it
    int level = 0;    ///< depth below the root
    std::filesystem::path directory = {};
};

/// What a domain's cgroup was found by.
struct CgroupTrace {
    std::string text;                         ///< /proc/PID/cgroup
    std::optional<DomainCgroup> cgroup = {};  ///< absent: by that text there is none
};

/// What a process's cgroup says about its domain.
struct DomainPlace {
    /// The domain's, helpers' and vCPUs' cgroups being below it. Unsupported: version 1, a cgroup that is not
    /// a domain's own, or a cgroup namespace of this process's own, where depths are not the kernel's.
    Result<DomainCgroup> cgroup;
    /// Version 1: all other processes in the same domain's cgroup, which no id leads to. Unsupported: there
    /// is none.
    Result<std::vector<Process>> others;
    /// Where no other file had a part in it.
    std::optional<CgroupTrace> trace = {};
};

/// Threads: one call at a time.
class DomainCgroups {
public:
    explicit DomainCgroups(std::filesystem::path root);

    DomainPlace find(pid_t pid);
    /// It would find the same: at a fraction of the cost.
    [[nodiscard]] bool is_as(pid_t pid, const CgroupTrace& trace) const;

private:
    [[nodiscard]] Result<std::string> text_of(pid_t pid) const;
    Result<DomainCgroup> find_cgroup(std::string_view cgroups);
    Result<std::vector<Process>> find_others(std::string_view cgroups, pid_t pid);

    std::filesystem::path root_;
    bool own_namespace_;
    MountTable mounts_;
};

/// The path after "0::", version 2's. Empty if there is none.
std::string parse_proc_cgroup(std::string_view text);

/// Version 1's first controller (as "cpu") and path of a domain's; empty if there are none.
std::pair<std::string, std::string> parse_proc_cgroup1(std::string_view text);

/// A cgroup's path up to the domain's own part, as "/machine/qemu-1-a.libvirt-qemu"
/// or "/machine.slice/machine-qemu...scope"; empty if it is none of libvirt's.
std::string domain_part(std::string_view path);

/// Where the hierarchy of version 2 is mounted, by /proc/self/mounts; empty if nowhere.
std::string parse_cgroup2_mount(std::string_view mounts);

/// Likewise where a controller of version 1 is.
std::string parse_cgroup1_mount(std::string_view mounts, std::string_view controller);

}  // namespace virt_power

#endif
