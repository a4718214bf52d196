// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// Which CPU is in which package.
/// /sys/devices/system/cpu, Documentation/admin-guide/cputopology.rst
#ifndef VIRT_POWER_HOST_CPU_TOPOLOGY_HPP
#define VIRT_POWER_HOST_CPU_TOPOLOGY_HPP

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "kernel_file.hpp"
#include "virt-power/result.hpp"

namespace virt_power {

/// What is known of a CPU from before.
struct KnownCpu {
    uint32_t cpu = 0;
    uint32_t package = 0;  ///< index
    int64_t package_id = 0;
};

/// Packages get a dense index when they are first seen, in the order of their
/// ids, and keep it; a CPU that goes offline keeps its package.
class CpuTopology {
public:
    explicit CpuTopology(std::filesystem::path root)
        : root_(std::move(root)), online_file_(root_ / "sys/devices/system/cpu/online") {}

    /// Reads the online mask and, where it changed, the packages. True if it
    /// changed. On an error what was known before stays, and the next call tries again.
    Result<bool> refresh();

    /// Packages have the indices that they had before, and CPUs that are offline now their packages. Changes
    /// indices, so it comes before all that uses them.
    void resume(const std::vector<KnownCpu>& known);

    [[nodiscard]] const std::vector<uint32_t>& online_cpus() const { return online_; }
    /// physical_package_id by index.
    [[nodiscard]] const std::vector<int64_t>& package_ids() const { return package_ids_; }
    /// Index of a CPU's package, if it was ever seen online.
    [[nodiscard]] std::optional<uint32_t> package_of_cpu(uint32_t cpu) const;
    /// The other hyperthread of a CPU's core, if both are online; none where a core has more than two.
    [[nodiscard]] std::optional<uint32_t> sibling_of(uint32_t cpu) const;
    [[nodiscard]] std::optional<uint32_t> package_of_id(int64_t physical_id) const;

private:
    [[nodiscard]] Result<int64_t> read_package_id(uint32_t cpu) const;
    [[nodiscard]] Result<std::map<uint32_t, uint32_t>> read_siblings(const std::vector<uint32_t>& cpus) const;

    std::filesystem::path root_;
    RepeatedFile online_file_;
    std::string online_text_;
    std::vector<uint32_t> online_;
    std::vector<int64_t> package_ids_;
    std::map<uint32_t, uint32_t> package_of_cpu_;
    std::map<uint32_t, uint32_t> siblings_;
};

}  // namespace virt_power

#endif
