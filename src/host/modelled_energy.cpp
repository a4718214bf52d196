// SPDX-License-Identifier: LGPL-2.1-or-later
#include "modelled_energy.hpp"

#include <fmt/format.h>

#include <optional>
#include <utility>

namespace virt_power {
namespace {

constexpr const char* source_modelled = "modelled";

__extension__ using Wide = unsigned __int128;

uint64_t energy_uj(uint64_t power_uw, uint64_t time_ns) {
    constexpr uint64_t ns_per_s = 1'000'000'000;
    return static_cast<uint64_t>(Wide{power_uw} * time_ns / ns_per_s);
}

}  // namespace

ModelledEnergy::ModelledEnergy(const EnergyModel& model, uint64_t start_ns,
                               std::shared_ptr<ZoneMemory> memory)
    : model_(model), start_ns_(start_ns), memory_(std::move(memory)) {}

/// In the place of a counter's raw value the memory holds the busy time.
ModelledEnergy::Base& ModelledEnergy::base_of(const std::string& name, uint64_t now_ns, uint64_t busy_ns) {
    auto [place, fresh] = bases_.try_emplace(name, Base{start_ns_, 0, 0, 0});
    Base& base = place->second;
    if (!fresh || !memory_) return base;
    std::optional<EnergyCounter::State> kept = memory_->find(name, source_modelled);
    if (!kept) return base;
    if (kept->raw_uj && *kept->raw_uj <= busy_ns && kept->raw_ns <= now_ns)
        base = {kept->raw_ns, *kept->raw_uj, kept->energy_uj, kept->gaps};
    else
        base = {now_ns, busy_ns, kept->energy_uj, kept->gaps + 1};
    return base;
}

std::vector<ZoneReading> ModelledEnergy::zones(uint64_t now_ns, const std::vector<PackageReading>& packages) {
    std::vector<ZoneReading> zones;
    for (size_t n = 0; n < packages.size(); n++) {
        uint64_t busy_ns = packages[n].host.time_ns;
        ZoneReading zone;
        zone.name = fmt::format("package-{}", packages[n].id);
        zone.type = "package";
        zone.package = static_cast<uint32_t>(n);
        zone.source = source_modelled;
        zone.counted = true;
        const Base& base = base_of(zone.name, now_ns, busy_ns);
        zone.gaps = base.gaps;
        uint64_t uj = base.energy_uj + energy_uj(model_.idle_uw, now_ns - base.time_ns) +
                      energy_uj(model_.busy_cpu_uw, busy_ns - base.busy_ns);
        zone.energy_uj = uj;
        if (memory_) memory_->keep(zone.name, source_modelled, {busy_ns, now_ns, uj, zone.gaps, true});
        zones.push_back(std::move(zone));
    }
    return zones;
}

}  // namespace virt_power
