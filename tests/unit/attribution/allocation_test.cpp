// SPDX-License-Identifier: LGPL-2.1-or-later
// Static power by what the domains were given.
#include <gtest/gtest.h>

#include "samples.hpp"

namespace virt_power::test {
namespace {

class ByAllocation : public ::testing::Test {
protected:
    /// Nothing but static power: 8 J of the package and 3 J of its memory each second.
    /// a has 1 vCPU and 2 GiB, b 3 and 1.
    static SampleBuilder at(uint64_t s) {
        SampleBuilder builder(s * second);
        builder.package(s * second, s * second);
        builder.zone("package-0", s * 8'000'000).zone(zone("package-0/dram", s * 3'000'000, "dram"));
        builder.running(domain("a", 1, s * second / 2)).running(domain("b", 2, s * second / 2));
        builder.count(2);
        give(builder.sample, "a", 1, 2 << 20);
        give(builder.sample, "b", 3, 1 << 20);
        return builder;
    }

    static void give(Sample& sample, const std::string& name, std::optional<uint32_t> vcpus,
                     std::optional<uint64_t> memory_kib) {
        for (DomainSample& each : sample.domains) {
            if (each.usage.name != name) continue;
            each.vcpus = vcpus;
            each.memory_kib = memory_kib;
        }
    }

    Interval add(const Sample& sample) {
        Attributed result = attributor_.add(sample);
        notices_ = result.notices;
        return result.interval.value_or(Interval{});
    }

    static std::vector<uint64_t> by_zone(const Interval& interval, RowKind kind,
                                         const std::string& name = "") {
        std::vector<uint64_t> result;
        if (const Row* row = find_row(interval, kind, name))
            for (const ZoneEnergy& zone : row->zones) result.push_back(zone.energy_uj);
        return result;
    }

    Attributor attributor_{{Model::HostShare,
                            StaticPolicy::Allocation,
                            {{"package-0", 8'000'000}, {"package-0/dram", 3'000'000}}}};
    std::vector<std::string> notices_;
};

using Energies = std::vector<uint64_t>;

TEST_F(ByAllocation, PackagesGoByVcpusAndMemoryByMemory) {
    (void)add(at(1));
    Interval interval = add(at(2));
    EXPECT_EQ(by_zone(interval, RowKind::Domain, "a"), (Energies{2'000'000, 2'000'000}));
    EXPECT_EQ(by_zone(interval, RowKind::Domain, "b"), (Energies{6'000'000, 1'000'000}));
    EXPECT_EQ(by_zone(interval, RowKind::Host), (Energies{0, 0}));
    EXPECT_FALSE(find_row(interval, RowKind::Static));
    EXPECT_TRUE(notices_.empty());
}

TEST_F(ByAllocation, FollowsAChange) {
    (void)add(at(1));
    Sample more = at(2);
    give(more, "a", 5, 1 << 20);
    Interval interval = add(more);
    EXPECT_EQ(by_zone(interval, RowKind::Domain, "a"), (Energies{5'000'000, 1'500'000}));
}

TEST_F(ByAllocation, WhoDoesNotSeeAllCannotDivideAndSaysSoOnce) {
    (void)add(at(1).count(3));
    Interval interval = add(at(2).count(3));
    EXPECT_EQ(by_zone(interval, RowKind::Static), (Energies{8'000'000, 3'000'000}));
    EXPECT_EQ(by_zone(interval, RowKind::Domain, "a"), (Energies{0, 0}));
    ASSERT_EQ(notices_.size(), 1U);
    EXPECT_EQ(notices_[0],
              "static power is not divided by allocation but a row of its own: 1 of the domains cannot be "
              "seen by this client");
    EXPECT_TRUE(find_row(add(at(3).count(3)), RowKind::Static));
    EXPECT_TRUE(notices_.empty());
    EXPECT_FALSE(find_row(add(at(4).count(2)), RowKind::Static));
}

TEST_F(ByAllocation, WhatIsNotKnownOfARunningOneIsNotDividedAndSaidOnce) {
    (void)add(at(1));
    Sample sample = at(2);
    give(sample, "b", 3, std::nullopt);
    Interval interval = add(sample);
    // What is known goes on.
    EXPECT_EQ(by_zone(interval, RowKind::Domain, "a"), (Energies{2'000'000, 0}));
    EXPECT_EQ(by_zone(interval, RowKind::Static), (Energies{0, 3'000'000}));
    ASSERT_EQ(notices_.size(), 1U);
    EXPECT_EQ(notices_[0],
              "static power is not divided by allocation but a row of its own: it is not known how much "
              "memory domain b was given");
    sample = at(3);
    give(sample, "a", std::nullopt, std::nullopt);
    EXPECT_EQ(by_zone(add(sample), RowKind::Static), (Energies{8'000'000, 3'000'000}));
    EXPECT_TRUE(notices_.empty());
}

TEST_F(ByAllocation, NothingIsSaidWhereNoStaticPowerIsKnown) {
    attributor_ = Attributor({Model::HostShare, StaticPolicy::Allocation, {}});
    (void)add(at(1).count(3));
    Interval interval = add(at(2).count(3));
    EXPECT_FALSE(find_row(interval, RowKind::Static));
    EXPECT_TRUE(interval.idle_included);
    EXPECT_TRUE(notices_.empty());
}

TEST_F(ByAllocation, ADepartedOneCountsWithWhatWasLastKnownOfIt) {
    (void)add(at(1));
    Sample sample = at(2);
    sample.reading->departed.push_back(sample.domains[1].usage);
    sample.domains.pop_back();
    sample.reading->vm_count = 1;
    Interval interval = add(sample);
    EXPECT_EQ(by_zone(interval, RowKind::Departed, "b"), (Energies{6'000'000, 1'000'000}));
    EXPECT_EQ(by_zone(interval, RowKind::Domain, "a"), (Energies{2'000'000, 2'000'000}));
}

TEST_F(ByAllocation, ADepartedOneOfWhichNothingWasKnownHasNone) {
    Sample first = at(1), then = at(2);
    give(first, "b", std::nullopt, std::nullopt);
    (void)add(first);
    then.reading->departed.push_back(then.domains[1].usage);
    then.domains.pop_back();
    then.reading->vm_count = 1;
    Interval interval = add(then);
    EXPECT_EQ(by_zone(interval, RowKind::Departed, "b"), (Energies{0, 0}));
    EXPECT_EQ(by_zone(interval, RowKind::Domain, "a"), (Energies{8'000'000, 3'000'000}));
    EXPECT_TRUE(notices_.empty());
}

TEST_F(ByAllocation, ADomainWhoseUseIsNotKnownHasItsPart) {
    Sample first = at(1), then = at(2);
    first.domains[1].usage.packages.clear();
    then.domains[1].usage.packages.clear();
    (void)add(first);
    Interval interval = add(then);
    EXPECT_EQ(by_zone(interval, RowKind::Domain, "b"), (Energies{6'000'000, 1'000'000}));
}

TEST_F(ByAllocation, WithoutADomainItIsARow) {
    (void)add(at(1));
    Sample sample = at(2);
    sample.domains.clear();
    sample.reading->vm_count = 0;
    Interval interval = add(sample);
    EXPECT_EQ(by_zone(interval, RowKind::Static), (Energies{8'000'000, 3'000'000}));
}

}  // namespace
}  // namespace virt_power::test
