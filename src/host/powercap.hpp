// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// /sys/class/powercap, Documentation/power/powercap/powercap.rst: zones of
/// intel_rapl, which also drives AMD's.
#ifndef VIRT_POWER_HOST_POWERCAP_HPP
#define VIRT_POWER_HOST_POWERCAP_HPP

#include <filesystem>
#include <string_view>

#include "energy_sensor.hpp"

namespace virt_power {

/// Every zone with a readable energy counter. A zone is its sysfs directory: one
/// that is linked under two names comes once. One bad zone costs that zone and
/// a warning.
Sensors discover_powercap(const std::filesystem::path& root, const Warn& warn);

/// "package-0" and "package-0-die-1"; nothing for other names.
struct PackageName {
    int64_t package_id = 0;
    std::optional<int64_t> die_id;
};
std::optional<PackageName> parse_package_name(std::string_view name);

}  // namespace virt_power

#endif
