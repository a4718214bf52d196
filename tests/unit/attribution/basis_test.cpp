// SPDX-License-Identifier: LGPL-2.1-or-later
// When cycles decide, when readings may be compared, and intervals without energy.
#include <gtest/gtest.h>

#include "samples.hpp"

namespace virt_power::test {
namespace {

class BasisTest : public ::testing::Test {
protected:
    std::optional<Interval> add(const Sample& sample) {
        Attributed result = attributor_.add(sample);
        notices_ = result.notices;
        return result.interval;
    }

    /// Each second: host 2 s and 6 G cycles, domain 1 s and 1 G cycles.
    static SampleBuilder at(uint64_t s, uint64_t epoch = 1) {
        constexpr uint64_t giga = 1'000'000'000;
        SampleBuilder builder(s * second, epoch);
        builder.package({2 * s * second, 6 * s * giga}, {s * second, s * giga});
        builder.zone("package-0", s * 6'000'000);
        builder.running(domain("a", 1, {{s * second, s * giga}}));
        builder.sample.reading->cycles_gaps = 0;
        return builder;
    }

    Attributor attributor_{AttributionOptions{}};
    std::vector<std::string> notices_;
};

TEST_F(BasisTest, CyclesWhereAllHaveThem) {
    (void)add(at(1));
    std::optional<Interval> interval = add(at(2));
    ASSERT_TRUE(interval);
    EXPECT_EQ(interval->basis, Basis::Cycles);
    EXPECT_EQ(energy(*interval, RowKind::Domain, "a"), 1'000'000U);
    EXPECT_EQ(find_row(*interval, RowKind::Domain, "a")->cycles, 1'000'000'000U);
    EXPECT_EQ(find_row(*interval, RowKind::Host)->cycles, 5'000'000'000U);
}

TEST_F(BasisTest, TimeWhereOneDomainHasNoCycles) {
    Sample second_sample = at(2);
    second_sample.domains[0].usage.packages[0].cycles.reset();
    (void)add(at(1));
    std::optional<Interval> interval = add(second_sample);
    ASSERT_TRUE(interval);
    EXPECT_EQ(interval->basis, Basis::Time);
    EXPECT_EQ(energy(*interval, RowKind::Domain, "a"), 3'000'000U);
    EXPECT_FALSE(find_row(*interval, RowKind::Host)->cycles);
}

TEST_F(BasisTest, TimeWhereTheHostHasNoCyclesOrTheyHaveAGap) {
    std::vector<std::function<void(HostReading&)>> spoilers = {
        [](HostReading& reading) { reading.cycles_gaps = 1; },
        [](HostReading& reading) { reading.cycles_gaps.reset(); },
        [](HostReading& reading) { reading.packages[0].host.cycles.reset(); },
        [](HostReading& reading) { reading.packages[0].vms.cycles.reset(); },
        [](HostReading& reading) { reading.packages[0].host.cycles = 1; },
    };
    for (const auto& spoil : spoilers) {
        attributor_ = Attributor(AttributionOptions{});
        (void)add(at(1));
        Sample sample = at(2);
        spoil(*sample.reading);
        std::optional<Interval> interval = add(sample);
        ASSERT_TRUE(interval);
        EXPECT_EQ(interval->basis, Basis::Time);
        EXPECT_EQ(energy(*interval, RowKind::Domain, "a"), 3'000'000U);
    }
}

TEST_F(BasisTest, TheFallbackIsNamed) {
    Sample first = at(1), then = at(2);
    for (Sample* sample : {&first, &then}) {
        sample->reading->usage_source = UsageSource::Proc;
        sample->reading->packages[0].host.cycles.reset();
    }
    (void)add(first);
    EXPECT_EQ(add(then)->basis, Basis::ProcTime);
}

TEST_F(BasisTest, ANewEpochGivesNoIntervalAndOneLine) {
    (void)add(at(100, 1));
    EXPECT_FALSE(add(at(5, 2)));
    ASSERT_EQ(notices_.size(), 1U);
    EXPECT_EQ(notices_[0], "the host's counters restarted: no figures for this interval");
    std::optional<Interval> interval = add(at(6, 2));
    ASSERT_TRUE(interval);
    EXPECT_EQ(interval->duration_ns, second);
    EXPECT_EQ(cpu_time(*interval, RowKind::Domain, "a"), second);
}

TEST_F(BasisTest, ANewEpochForgetsInstancesOfTheOldOne) {
    (void)add(at(100, 1));
    Sample without = at(5, 2);
    without.domains.clear();
    (void)add(without);
    // Not seen in this epoch yet: from zero, though the old epoch knew 100 s.
    Sample with = at(6, 2);
    with.domains[0].usage.packages[0] = {second / 2, 500'000'000};
    std::optional<Interval> interval = add(with);
    ASSERT_TRUE(interval);
    EXPECT_EQ(cpu_time(*interval, RowKind::Domain, "a"), second / 2);
}

TEST_F(BasisTest, TheSameReadingAgainClosesNothing) {
    (void)add(at(1));
    EXPECT_FALSE(add(at(1)));
    EXPECT_TRUE(notices_.empty());
    std::optional<Interval> interval = add(at(3));
    ASSERT_TRUE(interval);
    EXPECT_EQ(interval->duration_ns, 2 * second);
}

TEST_F(BasisTest, TheSameReadingAgainIsWaitedForWhereReadingsAreCoarse) {
    Attributor attributor({});
    Sample coarse = at(1);
    coarse.reading->interval_ns = 10 * second;
    EXPECT_FALSE(attributor.add(coarse).waiting);
    EXPECT_TRUE(attributor.add(coarse).waiting);
    Attributor full({});
    (void)full.add(at(1));
    EXPECT_FALSE(full.add(at(1)).waiting);
}

TEST_F(BasisTest, ReadingsThatCannotBeComparedMakeANewBase) {
    std::vector<std::function<void(HostReading&)>> spoilers = {
        [](HostReading& reading) { reading.time_ns = 5; },
        [](HostReading& reading) { reading.packages[0].host.time_ns = 1; },
        [](HostReading& reading) { reading.packages[0].vms.time_ns = 1; },
        [](HostReading& reading) { reading.packages.push_back(reading.packages[0]); },
        [](HostReading& reading) { reading.usage_source = UsageSource::Proc; },
    };
    for (const auto& spoil : spoilers) {
        attributor_ = Attributor(AttributionOptions{});
        (void)add(at(1));
        Sample sample = at(2);
        spoil(*sample.reading);
        EXPECT_FALSE(add(sample));
        EXPECT_EQ(notices_.size(), 1U);
    }
}

TEST_F(BasisTest, NoSourceShowsCpuSharesOfTheReading) {
    Sample first = at(1), then = at(2);
    for (Sample* sample : {&first, &then}) {
        sample->status = EnergyStatus::NoSource;
        sample->reading->zones.clear();
    }
    (void)add(first);
    std::optional<Interval> interval = add(then);
    ASSERT_TRUE(interval);
    EXPECT_EQ(interval->status, EnergyStatus::NoSource);
    EXPECT_FALSE(interval->reason.empty());
    EXPECT_EQ(cpu_time(*interval, RowKind::Domain, "a"), second);
    EXPECT_EQ(cpu_time(*interval, RowKind::Host), second);
    for (const Row& row : interval->rows) EXPECT_FALSE(row.energy_uj);
}

class WithoutGroup : public BasisTest {
protected:
    static Sample sample(uint64_t s, std::optional<uint64_t> cpu_time_ns) {
        Sample result = SampleBuilder(s * second);
        result.reading.reset();
        result.status = EnergyStatus::Denied;
        result.status_reason = "no";
        result.domains.push_back({domain("a", 0, std::vector<Usage>{}), cpu_time_ns});
        return result;
    }
};

TEST_F(WithoutGroup, CpuSharesByTheClientsClock) {
    EXPECT_FALSE(add(sample(1, 10 * second)));
    std::optional<Interval> interval = add(sample(3, 12 * second));
    ASSERT_TRUE(interval);
    EXPECT_EQ(interval->status, EnergyStatus::Denied);
    EXPECT_EQ(interval->reason, "no");
    EXPECT_FALSE(interval->basis);
    EXPECT_EQ(interval->duration_ns, 2 * second);
    ASSERT_EQ(interval->rows.size(), 1U);
    EXPECT_EQ(interval->rows[0].cpu_time_ns, 2 * second);
    EXPECT_DOUBLE_EQ(*interval->rows[0].cpu_share, 0.25);
    EXPECT_FALSE(interval->rows[0].energy_uj);
}

TEST_F(WithoutGroup, ARestartedDomainCountsWhatItUsedSince) {
    (void)add(sample(1, 100 * second));
    EXPECT_EQ(add(sample(3, 1 * second))->rows[0].cpu_time_ns, 1 * second);
}

TEST_F(WithoutGroup, ACounterThatSlipsBackIsNoSpike) {
    (void)add(sample(1, 100 * second));
    EXPECT_FALSE(add(sample(3, 99 * second))->rows[0].cpu_time_ns);
}

TEST_F(WithoutGroup, WithoutCpuTimeTheDomainIsStillThere) {
    (void)add(sample(1, {}));
    std::optional<Interval> interval = add(sample(3, {}));
    ASSERT_TRUE(interval);
    EXPECT_EQ(interval->rows[0].name, "a");
    EXPECT_FALSE(interval->rows[0].cpu_time_ns);
}

TEST_F(WithoutGroup, EnergyAfterItIsOfEnergySamplesOnly) {
    (void)add(at(1));
    (void)add(sample(2, 10 * second));
    ASSERT_TRUE(add(sample(3, 11 * second)));
    std::optional<Interval> interval = add(at(4));
    ASSERT_TRUE(interval);
    EXPECT_EQ(interval->duration_ns, 3 * second);
    EXPECT_EQ(interval->zones[0].energy_uj, 18'000'000U);
}

}  // namespace
}  // namespace virt_power::test
