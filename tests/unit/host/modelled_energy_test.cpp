// SPDX-License-Identifier: LGPL-2.1-or-later
#include "modelled_energy.hpp"

#include <gtest/gtest.h>

#include "fake_memory.hpp"

namespace virt_power {
namespace {

constexpr uint64_t s = 1'000'000'000;

std::vector<PackageReading> busy(uint64_t ns) {
    std::vector<PackageReading> packages(1);
    packages[0].id = 3;
    packages[0].host.time_ns = ns;
    return packages;
}

TEST(ModelledEnergy, is_idle_watts_and_watts_of_busy_cpus) {
    ModelledEnergy modelled({10'000'000, 5'000'000}, 100 * s, nullptr);
    std::vector<ZoneReading> zones = modelled.zones(104 * s, busy(6 * s));
    ASSERT_EQ(zones.size(), 1U);
    EXPECT_EQ(zones[0].name, "package-3");
    EXPECT_EQ(zones[0].source, "modelled");
    EXPECT_TRUE(zones[0].counted);
    EXPECT_EQ(zones[0].energy_uj, 70'000'000U);
    EXPECT_EQ(modelled.zones(105 * s, busy(6 * s))[0].energy_uj, 80'000'000U);
}

TEST(ModelledEnergy, another_model_counts_from_where_the_one_before_stopped) {
    auto memory = std::make_shared<FakeMemory>();
    (void)ModelledEnergy({10'000'000, 5'000'000}, 0, memory).zones(1000 * s, busy(2000 * s));
    ModelledEnergy dearer({20'000'000, 6'000'000}, 0, memory);
    ZoneReading zone = dearer.zones(1001 * s, busy(2002 * s))[0];
    EXPECT_EQ(zone.energy_uj, 20'000'000'000U + 20'000'000U + 12'000'000U);
    EXPECT_EQ(zone.gaps, 0U);
    ModelledEnergy cheaper({1'000'000, 1'000'000}, 0, memory);
    EXPECT_EQ(cheaper.zones(1002 * s, busy(2003 * s))[0].energy_uj, *zone.energy_uj + 2'000'000U);
}

TEST(ModelledEnergy, what_was_being_written_as_the_daemon_ended_is_a_gap) {
    auto memory = std::make_shared<FakeMemory>();
    memory->kept[{"package-3", "modelled"}] = {std::nullopt, 0, 500, 2, true};
    ModelledEnergy modelled({10'000'000, 5'000'000}, 0, memory);
    ZoneReading zone = modelled.zones(1000 * s, busy(2000 * s))[0];
    EXPECT_EQ(zone.energy_uj, 500U);
    EXPECT_EQ(zone.gaps, 3U);
    zone = modelled.zones(1001 * s, busy(2000 * s))[0];
    EXPECT_EQ(zone.energy_uj, 10'000'500U);
    EXPECT_EQ(zone.gaps, 3U);
}

}  // namespace
}  // namespace virt_power
