// SPDX-License-Identifier: LGPL-2.1-or-later
// The part of a domain's row that no vCPU used.
#include <gtest/gtest.h>

#include "samples.hpp"

namespace virt_power::test {
namespace {

class Helpers : public ::testing::Test {
protected:
    /// Each second the host 2 s, the domain 1 s of which a quarter is its helpers'; 8 J.
    static Sample at(uint64_t s) {
        DomainUsage usage = domain("a", 1, s * second);
        usage.helpers = {{s * second / 4, {}}};
        return SampleBuilder(s * second)
            .package(2 * s * second, s * second)
            .zone("package-0", s * 8'000'000)
            .running(usage);
    }

    /// With weights: the host 4 G, the domain 3 G of which 1 G is its helpers'.
    static Sample weighed_at(uint64_t s) {
        Sample sample = at(s);
        sample.reading->packages[0].host.weight = 4 * s * second;
        sample.reading->packages[0].vms.weight = 3 * s * second;
        sample.domains[0].usage.packages[0].weight = 3 * s * second;
        sample.domains[0].usage.helpers[0].weight = s * second;
        return sample;
    }

    static Row row_between(const Sample& first, const Sample& then, const AttributionOptions& options = {},
                           RowKind kind = RowKind::Domain) {
        Attributor attributor(options);
        (void)attributor.add(first);
        std::optional<Interval> interval = attributor.add(then).interval;
        const Row* row = interval ? find_row(*interval, kind, "a") : nullptr;
        EXPECT_TRUE(row);
        return row ? *row : Row{};
    }
};

TEST_F(Helpers, PartOfTheRowByTime) {
    Row row = row_between(at(1), at(2));
    EXPECT_EQ(row.energy_uj, 4'000'000U);
    EXPECT_EQ(row.helper_time_ns, second / 4);
    EXPECT_EQ(row.helper_energy_uj, 1'000'000U);
}

TEST_F(Helpers, PartOfTheRowByWeightWhereThatDivides) {
    Row row = row_between(weighed_at(1), weighed_at(2));
    EXPECT_EQ(row.energy_uj, 6'000'000U);
    EXPECT_EQ(row.helper_time_ns, second / 4);
    EXPECT_EQ(row.helper_energy_uj, 2'000'000U);
}

TEST_F(Helpers, EnergyIsAbsentInAWeighedIntervalWithoutTheirWeight) {
    Sample first = weighed_at(1), then = weighed_at(2);
    then.domains[0].usage.helpers[0].weight.reset();
    Row row = row_between(first, then);
    EXPECT_EQ(row.energy_uj, 6'000'000U);
    EXPECT_EQ(row.helper_time_ns, second / 4);
    EXPECT_FALSE(row.helper_energy_uj);
}

TEST_F(Helpers, AbsentWhereTheyAreNotKnown) {
    Sample first = at(1), then = at(2);
    for (Sample* without : {&first, &then}) {
        Sample spoilt = *without;
        spoilt.domains[0].usage.helpers.clear();
        Row row = without == &first ? row_between(spoilt, then) : row_between(first, spoilt);
        EXPECT_EQ(row.energy_uj, 4'000'000U);
        EXPECT_FALSE(row.helper_time_ns);
        EXPECT_FALSE(row.helper_energy_uj);
    }
}

TEST_F(Helpers, ThatGoBackCostOnlyThemselves) {
    Sample then = at(2);
    then.domains[0].usage.helpers[0].time_ns = 5;
    Row row = row_between(at(1), then);
    EXPECT_EQ(row.energy_uj, 4'000'000U);
    EXPECT_FALSE(row.helper_time_ns);
}

TEST_F(Helpers, NoneIsZeroAndNotAbsent) {
    Sample then = at(2);
    then.domains[0].usage.helpers[0].time_ns = second / 4;
    Row row = row_between(at(1), then);
    EXPECT_EQ(row.helper_time_ns, 0U);
    EXPECT_EQ(row.helper_energy_uj, 0U);
}

TEST_F(Helpers, AreNeverMoreThanTheirRow) {
    Sample then = at(2);
    then.domains[0].usage.helpers[0].time_ns = 9 * second;
    Row row = row_between(at(1), then);
    EXPECT_EQ(row.helper_time_ns, second);
    EXPECT_EQ(row.helper_energy_uj, 4'000'000U);
    then = weighed_at(2);
    then.domains[0].usage.helpers[0].weight = 90 * second;
    EXPECT_EQ(row_between(weighed_at(1), then).helper_energy_uj, 6'000'000U);
}

TEST_F(Helpers, HaveNoStaticPower) {
    for (StaticPolicy policy : {StaticPolicy::Even, StaticPolicy::Proportional, StaticPolicy::Allocation}) {
        Sample first = at(1), then = at(2);
        then.domains[0].vcpus = 2;
        AttributionOptions options{Model::HostShare, policy, {{"", 4'000'000}}};
        Row row = row_between(first, then, options);
        EXPECT_EQ(row.energy_uj, 6'000'000U);
        EXPECT_EQ(row.helper_energy_uj, 500'000U);
    }
}

TEST_F(Helpers, OfADomainThatStartsCountFromZero) {
    Sample first = at(1), then = at(2);
    first.domains.clear();
    then.domains[0].usage.instance = 7;
    then.domains[0].usage.packages[0].time_ns = second / 2;
    then.domains[0].usage.helpers[0].time_ns = second / 8;
    Row row = row_between(first, then);
    EXPECT_EQ(row.helper_time_ns, second / 8);
    EXPECT_EQ(row.helper_energy_uj, 500'000U);
}

TEST_F(Helpers, OfADomainThatEndedGoOnFromWhereTheyWere) {
    Sample first = at(1), then = at(2);
    then.reading->departed.push_back(then.domains[0].usage);
    then.domains.clear();
    Row row = row_between(first, then, {}, RowKind::Departed);
    EXPECT_EQ(row.helper_time_ns, second / 4);
    EXPECT_EQ(row.helper_energy_uj, 1'000'000U);
}

TEST_F(Helpers, AreOfTheZonesOwnPackage) {
    auto two = [](uint64_t s) {
        DomainUsage usage = domain("a", 1, {{s * second, {}}, {s * second, {}}});
        usage.helpers = {{0, {}}, {s * second / 2, {}}};
        return SampleBuilder(s * second)
            .package(s * second, s * second)
            .package(s * second, s * second)
            .zone(zone("package-0", s * 1'000'000))
            .zone(zone("package-1", s * 2'000'000, "package", 1))
            .zone(zone("both", s * 4'000'000, "dram", std::nullopt))
            .running(usage);
    };
    Row row = row_between(two(1), two(2));
    EXPECT_EQ(row.energy_uj, 7'000'000U);
    // None of the first, half of the second, a quarter of what is of both.
    EXPECT_EQ(row.helper_energy_uj, 2'000'000U);
}

TEST_F(Helpers, HaveTimeAloneWhereThereIsNoEnergy) {
    Sample first = at(1), then = at(2);
    for (Sample* sample : {&first, &then}) {
        sample->status = EnergyStatus::NoSource;
        sample->reading->zones.clear();
    }
    Row row = row_between(first, then);
    EXPECT_EQ(row.helper_time_ns, second / 4);
    EXPECT_FALSE(row.helper_energy_uj);
}

}  // namespace
}  // namespace virt_power::test
