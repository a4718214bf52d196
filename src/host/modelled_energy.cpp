// SPDX-License-Identifier: LGPL-2.1-or-later
#include "modelled_energy.hpp"

#include <fmt/format.h>

namespace virt_power {
namespace {

__extension__ using Wide = unsigned __int128;

uint64_t energy_uj(uint64_t power_uw, uint64_t time_ns) {
    constexpr uint64_t ns_per_s = 1'000'000'000;
    return static_cast<uint64_t>(Wide{power_uw} * time_ns / ns_per_s);
}

}  // namespace

std::vector<ZoneReading> modelled_zones(const EnergyModel& model, uint64_t elapsed_ns,
                                        const std::vector<PackageReading>& packages) {
    std::vector<ZoneReading> zones;
    for (size_t n = 0; n < packages.size(); n++) {
        ZoneReading zone;
        zone.name = fmt::format("package-{}", packages[n].id);
        zone.type = "package";
        zone.package = static_cast<uint32_t>(n);
        zone.source = "modelled";
        zone.counted = true;
        zone.energy_uj =
            energy_uj(model.idle_uw, elapsed_ns) + energy_uj(model.busy_cpu_uw, packages[n].host.time_ns);
        zones.push_back(std::move(zone));
    }
    return zones;
}

}  // namespace virt_power
