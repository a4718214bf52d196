// SPDX-License-Identifier: LGPL-2.1-or-later
#include "arithmetic.hpp"

#include <gtest/gtest.h>

#include <limits>

namespace virt_power {
namespace {

constexpr uint64_t most = std::numeric_limits<uint64_t>::max();

TEST(Divider, DealsOutAllOfItByTheFixedRule) {
    Divider divider(100, 3);
    EXPECT_EQ(divider.next(1), 33U);
    EXPECT_EQ(divider.next(1), 33U);
    EXPECT_EQ(divider.next(1), 34U);
}

TEST(Divider, HoldsForTheLargestNumbers) {
    Divider divider(most, most);
    EXPECT_EQ(divider.next(most - 1), most - 1);
    EXPECT_EQ(divider.next(1), 1U);
}

TEST(Divider, NeverDealsOutMoreThanThereIs) {
    Divider divider(10, 4);
    EXPECT_EQ(divider.next(3), 7U);
    EXPECT_EQ(divider.next(most), 3U);
    EXPECT_EQ(divider.next(1), 0U);
}

TEST(Divider, GivesNothingWithoutWeights) {
    Divider divider(10, 0);
    EXPECT_EQ(divider.next(0), 0U);
}

TEST(Arithmetic, EnergyOfPowerAndTime) {
    EXPECT_EQ(energy_of(12'000'000, 3'000'000'000), 36'000'000U);
    EXPECT_EQ(energy_of(1, 999'999'999), 0U);
    EXPECT_EQ(energy_of(most, most), most);
}

TEST(Arithmetic, SumsAndDifferencesStayInRange) {
    EXPECT_EQ(add_capped(most, 1), most);
    EXPECT_EQ(subtract_clamped(1, 2), 0U);
    EXPECT_EQ(subtract_clamped(2, 1), 1U);
}

}  // namespace
}  // namespace virt_power
