// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// Energy of a host without counters, computed from its CPU use. Arithmetic only.
#ifndef VIRT_POWER_HOST_MODELLED_ENERGY_HPP
#define VIRT_POWER_HOST_MODELLED_ENERGY_HPP

#include <cstdint>
#include <vector>

#include "virt-power/reading.hpp"

namespace virt_power {

struct EnergyModel {
    uint64_t idle_uw = 0;      ///< of each package, always
    uint64_t busy_cpu_uw = 0;  ///< of each busy CPU, added
};

/// A zone "package-N" for each package: idle watts x time + watts per busy CPU x
/// busy time. Monotone, as both times are. Labelled `modelled`.
std::vector<ZoneReading> modelled_zones(const EnergyModel& model, uint64_t elapsed_ns,
                                        const std::vector<PackageReading>& packages);

}  // namespace virt_power

#endif
