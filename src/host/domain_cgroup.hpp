// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// The cgroup (version 2) that libvirt made for a domain.
/// /proc/PID/cgroup, Documentation/admin-guide/cgroup-v2.rst
#ifndef VIRT_POWER_HOST_DOMAIN_CGROUP_HPP
#define VIRT_POWER_HOST_DOMAIN_CGROUP_HPP

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "virt-power/result.hpp"

namespace virt_power {

struct DomainCgroup {
    uint64_t id = 0;  ///< as bpf_get_current_ancestor_cgroup_id() gives it
    int level = 0;    ///< depth below the root
};

/// Of the domain that a process belongs to, helpers' and vCPUs' cgroups being
/// below it. Unsupported: version 1, or a cgroup that is not a domain's own.
Result<DomainCgroup> find_domain_cgroup(const std::filesystem::path& root, pid_t pid);

/// The path after "0::", version 2's. Empty if there is none.
std::string parse_proc_cgroup(std::string_view text);

/// A cgroup's path up to the domain's own part, as "/machine/qemu-1-a.libvirt-qemu"
/// or "/machine.slice/machine-qemu...scope"; empty if it is none of libvirt's.
std::string domain_part(std::string_view path);

/// Where the hierarchy of version 2 is mounted, by /proc/self/mounts; empty if nowhere.
std::string parse_cgroup2_mount(std::string_view mounts);

}  // namespace virt_power

#endif
