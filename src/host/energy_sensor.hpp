// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// A counter of energy, whatever kernel interface it is behind.
#ifndef VIRT_POWER_HOST_ENERGY_SENSOR_HPP
#define VIRT_POWER_HOST_ENERGY_SENSOR_HPP

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "virt-power/result.hpp"

namespace virt_power {

struct SensorInfo {
    std::string name;                   ///< unique among the sensors of a host
    std::string type;                   ///< package, dram, core, uncore or psys
    std::string source;                 ///< powercap or perf
    std::optional<int64_t> package_id;  ///< physical_package_id
    std::optional<int64_t> die_id;      ///< where a package has a counter for each die
    int preference = 0;                 ///< of those that count the same, the lowest serves
    std::optional<uint64_t> range_uj;   ///< see EnergyCounter
    uint64_t max_power_uw = 0;
    bool outlives_us = true;  ///< the counter goes on while this process is away
};

class EnergySensor {
public:
    virtual ~EnergySensor() = default;

    [[nodiscard]] virtual const SensorInfo& info() const = 0;
    /// The raw counter in microjoules. May block for as long as the driver does.
    [[nodiscard]] virtual Result<uint64_t> read_uj() = 0;
};

using Sensors = std::vector<std::shared_ptr<EnergySensor>>;
using Warn = std::function<void(std::string_view)>;

/// Where a driver tells no limit: more than a package of today can draw.
inline constexpr uint64_t default_max_power_uw = 2'000'000'000;

}  // namespace virt_power

#endif
