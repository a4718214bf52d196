// SPDX-License-Identifier: LGPL-2.1-or-later
#include "energy_counter.hpp"

#include <gtest/gtest.h>

namespace virt_power {
namespace {

constexpr uint64_t s = 1'000'000'000;
constexpr uint64_t watt_uw = 1'000'000;

TEST(EnergyCounter, counts_from_its_first_value) {
    EnergyCounter counter(1'000'000'000, 100 * watt_uw);
    counter.add(500, 1 * s);
    EXPECT_EQ(counter.energy_uj(), 0U);
    EXPECT_FALSE(counter.moved());
    counter.add(1500, 2 * s);
    EXPECT_EQ(counter.energy_uj(), 1000U);
    EXPECT_TRUE(counter.moved());
}

TEST(EnergyCounter, grows_evenly_between_its_last_two_values) {
    EnergyCounter counter(std::nullopt, watt_uw);
    counter.add(100, 1 * s);
    counter.add(200, 2 * s);
    counter.add(600, 4 * s);
    EXPECT_EQ(counter.energy_uj_at(1 * s), 100U);
    EXPECT_EQ(counter.energy_uj_at(2 * s), 100U);
    EXPECT_EQ(counter.energy_uj_at(3 * s), 300U);
    EXPECT_EQ(counter.energy_uj_at(4 * s), 500U);
    EXPECT_EQ(counter.energy_uj_at(5 * s), 500U);
}

TEST(EnergyCounter, does_not_grow_over_a_gap) {
    EnergyCounter counter(std::nullopt, watt_uw);
    counter.add(100, 1 * s);
    counter.add(200, 2 * s);
    counter.add(50, 3 * s);
    EXPECT_EQ(counter.energy_uj_at(5 * s / 2), 100U);
    EXPECT_EQ(counter.gaps(), 1U);
}

TEST(EnergyCounter, has_not_moved_while_it_stands_still) {
    EnergyCounter counter(std::nullopt, watt_uw);
    for (uint64_t n = 0; n < 5; n++) counter.add(0, n * s);
    EXPECT_FALSE(counter.moved());
    EXPECT_EQ(counter.gaps(), 0U);
}

TEST(EnergyCounter, infers_one_wrap) {
    EnergyCounter counter(65'000'000, 100 * watt_uw);
    counter.add(64'000'000, 0);
    counter.add(2'000'000, s / 10);
    EXPECT_EQ(counter.energy_uj(), 3'000'000U);
    EXPECT_EQ(counter.gaps(), 0U);
}

TEST(EnergyCounter, after_a_time_in_which_it_could_wrap_the_energy_is_not_known) {
    EnergyCounter counter(65'000'000, 100 * watt_uw);
    EXPECT_EQ(counter.wrap_ns(), 650'000'000U);
    counter.add(10, 0);
    counter.add(20, 650'000'000);
    EXPECT_EQ(counter.energy_uj(), 0U);
    EXPECT_EQ(counter.gaps(), 1U);
    counter.add(30, 700'000'000);
    EXPECT_EQ(counter.energy_uj(), 10U);
    EXPECT_EQ(counter.gaps(), 1U);
}

TEST(EnergyCounter, takes_a_reset_for_no_wrap) {
    EnergyCounter counter(262'143'328'850, 400 * watt_uw);
    counter.add(1'000'000'000, 0);
    counter.add(5, 1 * s);
    EXPECT_EQ(counter.energy_uj(), 0U);
    EXPECT_EQ(counter.gaps(), 1U);
}

TEST(EnergyCounter, a_step_that_the_zone_cannot_draw_is_a_gap) {
    for (std::optional<uint64_t> range_uj :
         {std::optional<uint64_t>(262'143'328'850), std::optional<uint64_t>()}) {
        EnergyCounter counter(range_uj, 400 * watt_uw);
        counter.add(1000, 0);
        counter.add(100'000'001'000, 1 * s);
        counter.add(100'000'001'500, 2 * s);
        EXPECT_EQ(counter.energy_uj(), 500U);
        EXPECT_EQ(counter.gaps(), 1U);
    }
}

TEST(EnergyCounter, its_sum_never_overflows) {
    EnergyCounter counter(std::nullopt, UINT64_MAX);
    counter.add(0, 0);
    counter.add(UINT64_MAX - 1, 1 * s);
    counter.add(3, 2 * s);
    counter.add(UINT64_MAX - 1, 3 * s);
    EXPECT_EQ(counter.energy_uj(), UINT64_MAX - 1);
    EXPECT_EQ(counter.gaps(), 2U);
}

TEST(EnergyCounter, without_a_range_each_step_back_is_a_gap) {
    EnergyCounter counter(std::nullopt, 400 * watt_uw);
    EXPECT_EQ(counter.wrap_ns(), std::nullopt);
    counter.add(1000, 0);
    counter.add(10, 1 * s);
    counter.add(60, 2 * s);
    EXPECT_EQ(counter.energy_uj(), 50U);
    EXPECT_EQ(counter.gaps(), 1U);
}

TEST(EnergyCounter, a_value_above_its_range_then_a_step_back_is_a_gap) {
    EnergyCounter counter(1000, 100);
    counter.add(5000, 0);
    counter.add(10, 1);
    EXPECT_EQ(counter.energy_uj(), 0U);
    EXPECT_EQ(counter.gaps(), 1U);
}

TEST(EnergyCounter, an_interruption_is_a_gap_even_if_the_counter_went_on) {
    EnergyCounter counter(1'000'000'000, 100 * watt_uw);
    counter.add(100, 0);
    counter.interrupt();
    counter.add(500, 1 * s);
    counter.add(700, 2 * s);
    EXPECT_EQ(counter.energy_uj(), 200U);
    EXPECT_EQ(counter.gaps(), 1U);
}

TEST(EnergyCounter, before_its_first_value_nothing_is_lost) {
    EnergyCounter counter(1'000'000'000, 100 * watt_uw);
    counter.interrupt();
    counter.add(100, 1 * s);
    EXPECT_EQ(counter.gaps(), 0U);
}

TEST(EnergyCounter, sums_beyond_its_range) {
    constexpr uint64_t range_uj = 65'000'000;
    EnergyCounter counter(range_uj, 100 * watt_uw);
    uint64_t raw_uj = 0;
    for (uint64_t n = 0; n <= 1000; n++) {
        counter.add(raw_uj, n * s / 2);
        raw_uj = (raw_uj + 15'000'000) % range_uj;  // 30 W
    }
    EXPECT_EQ(counter.energy_uj(), 15'000'000'000U);
    EXPECT_EQ(counter.gaps(), 0U);
}

TEST(EnergyCounter, goes_on_from_where_another_one_stood) {
    EnergyCounter first(1'000'000'000, 100'000'000);
    first.add(100, 1 * s);
    first.add(500, 2 * s);
    EnergyCounter second(1'000'000'000, 100'000'000);
    second.resume(first.state());
    EXPECT_EQ(second.energy_uj(), 400U);
    EXPECT_TRUE(second.moved());
    second.add(1500, 4 * s);
    EXPECT_EQ(second.energy_uj(), 1400U);
    EXPECT_EQ(second.gaps(), 0U);
}

TEST(EnergyCounter, one_wrap_between_two_daemons_is_inferred) {
    EnergyCounter first(1'000'000'000, 100'000'000);
    first.add(900'000'000, 1 * s);
    EnergyCounter second(1'000'000'000, 100'000'000);
    second.resume(first.state());
    second.add(100, 3 * s);
    EXPECT_EQ(second.energy_uj(), 100'000'100U);
    EXPECT_EQ(second.gaps(), 0U);
}

TEST(EnergyCounter, too_long_a_time_between_two_daemons_is_a_gap) {
    EnergyCounter first(1'000'000'000, 100'000'000);
    first.add(100, 1 * s);
    first.add(500, 2 * s);
    EnergyCounter second(1'000'000'000, 100'000'000);
    second.resume(first.state());
    second.add(600, 12 * s);
    EXPECT_EQ(second.energy_uj(), 400U);
    EXPECT_EQ(second.gaps(), 1U);
}

TEST(EnergyCounter, one_that_did_not_go_on_meanwhile_has_a_gap) {
    EnergyCounter second(1'000'000'000, 100'000'000);
    second.resume({std::nullopt, 0, 400, 3, true});
    second.add(7, 3 * s);
    second.add(9, 4 * s);
    EXPECT_EQ(second.energy_uj(), 402U);
    EXPECT_EQ(second.gaps(), 4U);
}

}  // namespace
}  // namespace virt_power
