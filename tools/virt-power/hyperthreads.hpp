// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// Which CPUs are hyperthreads of one core.
/// /sys/devices/system/cpu, Documentation/admin-guide/cputopology.rst
#ifndef VIRT_POWER_TOOL_HYPERTHREADS_HPP
#define VIRT_POWER_TOOL_HYPERTHREADS_HPP

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "virt-power/result.hpp"

namespace virt_power {

/// The CPUs of one core, in order.
using Core = std::vector<uint32_t>;

/// CPUs on which this process may run; empty if that cannot be told.
std::vector<uint32_t> allowed_cpus();

/// Cores below `root` of which two or more hyperthreads are online and in `allowed` (sorted), with these
/// alone; in the order of their first CPU.
Result<std::vector<Core>> read_shared_cores(const std::filesystem::path& root,
                                            const std::vector<uint32_t>& allowed);

}  // namespace virt_power

#endif
