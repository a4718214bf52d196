// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// Energy of a host without counters, computed from its CPU use.
#ifndef VIRT_POWER_HOST_MODELLED_ENERGY_HPP
#define VIRT_POWER_HOST_MODELLED_ENERGY_HPP

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "virt-power/reading.hpp"
#include "zone_memory.hpp"

namespace virt_power {

struct EnergyModel {
    uint64_t idle_uw = 0;      ///< of each package, always
    uint64_t busy_cpu_uw = 0;  ///< of each busy CPU, added
};

/// A zone "package-N" for each package: idle watts x time + watts per busy CPU x busy time. Monotone, as both
/// times are. Labelled `modelled`. A model that is not that of the daemon before counts from where that one
/// stopped. Threads: one at a time.
class ModelledEnergy {
public:
    /// \param start_ns since when time and CPU use are counted
    /// \param memory null: nothing is kept
    ModelledEnergy(const EnergyModel& model, uint64_t start_ns, std::shared_ptr<ZoneMemory> memory);

    [[nodiscard]] std::vector<ZoneReading> zones(uint64_t now_ns,
                                                 const std::vector<PackageReading>& packages);

private:
    /// From where this model counts.
    struct Base {
        uint64_t time_ns = 0, busy_ns = 0, energy_uj = 0, gaps = 0;
    };
    Base& base_of(const std::string& name, uint64_t now_ns, uint64_t busy_ns);

    EnergyModel model_;
    uint64_t start_ns_;
    std::shared_ptr<ZoneMemory> memory_;
    std::map<std::string, Base> bases_;
};

}  // namespace virt_power

#endif
