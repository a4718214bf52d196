// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// The kernel's perf PMU `power`: /sys/bus/event_source/devices/power,
/// Documentation/ABI/testing/sysfs-bus-event_source-devices-events.
#ifndef VIRT_POWER_HOST_POWER_PMU_HPP
#define VIRT_POWER_HOST_POWER_PMU_HPP

#include <filesystem>
#include <string_view>

#include "energy_sensor.hpp"
#include "perf_system.hpp"

namespace virt_power {

/// energy-pkg, energy-ram, energy-cores and energy-gpu, on each CPU of the PMU's
/// cpumask. Never energy-psys: it is no part of the host's sum, and on some
/// machines opening it leaves a kernel warning.
Sensors discover_power_pmu(const std::filesystem::path& root, const PerfSystem& perf, const Warn& warn);

/// "event=0x02" and "event=0x02,umask=0x1".
Result<uint64_t> parse_event_config(std::string_view text);

/// A count in units of `scale` joules, in microjoules, rounded down.
uint64_t scaled_uj(uint64_t count, double scale);

}  // namespace virt_power

#endif
