// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// /sys/class/powercap, Documentation/power/powercap/powercap.rst: zones of
/// intel_rapl, which also drives AMD's.
#ifndef VIRT_POWER_HOST_POWERCAP_HPP
#define VIRT_POWER_HOST_POWERCAP_HPP

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "energy_sensor.hpp"

namespace virt_power {

inline constexpr std::string_view powercap_directory = "sys/class/powercap";

/// Every zone with a readable energy counter. A zone is its sysfs directory: one
/// that is linked under two names comes once. One bad zone costs that zone and
/// a warning.
Sensors discover_powercap(const std::filesystem::path& root, const Warn& warn);

/// A directory of a zone, and what the zone is called.
struct PowercapZone {
    std::string directory;     ///< within /sys/class/powercap: CONTROL:N, CONTROL:N:M for a subzone
    std::string control_type;  ///< intel-rapl; others, as intel-rapl-mmio, are other ways to the same
    std::string parent;        ///< its directory; empty for a zone that is no subzone
    std::string own_name;      ///< what the kernel calls it
    std::string name;          ///< unique: "package-0/dram", "intel-rapl-mmio/package-0"
};

/// Every zone, also those without an energy counter, parents before their subzones.
std::vector<PowercapZone> list_powercap_zones(const std::filesystem::path& root, const Warn& warn);

/// "package-0" and "package-0-die-1"; nothing for other names.
struct PackageName {
    int64_t package_id = 0;
    std::optional<int64_t> die_id;
};
std::optional<PackageName> parse_package_name(std::string_view name);

}  // namespace virt_power

#endif
