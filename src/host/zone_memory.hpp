// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// Where energy counters stand, for a daemon that comes after this one.
#ifndef VIRT_POWER_HOST_ZONE_MEMORY_HPP
#define VIRT_POWER_HOST_ZONE_MEMORY_HPP

#include <optional>
#include <string_view>

#include "energy_counter.hpp"

namespace virt_power {

/// Threads: one that reads zones at a time.
class ZoneMemory {
public:
    virtual ~ZoneMemory() = default;

    /// Nothing for a zone that was never kept.
    [[nodiscard]] virtual std::optional<EnergyCounter::State> find(std::string_view name,
                                                                   std::string_view source) = 0;
    /// Keeps it, if there is room.
    virtual void keep(std::string_view name, std::string_view source, const EnergyCounter::State& state) = 0;
};

}  // namespace virt_power

#endif
