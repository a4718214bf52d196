// SPDX-License-Identifier: LGPL-2.1-or-later
// Domains that start, end, hide, or whose counters cannot be believed.
#include <gtest/gtest.h>

#include "samples.hpp"

namespace virt_power::test {
namespace {

class Domains : public ::testing::Test {
protected:
    std::optional<Interval> add(const Sample& sample) {
        Attributed result = attributor_.add(sample);
        notices_ = result.notices;
        return result.interval;
    }

    /// A sample at `s` seconds in which the host used `host` and the domains `vms` seconds,
    /// and the package 10 J per second.
    static SampleBuilder at(uint64_t s, uint64_t host, uint64_t vms) {
        SampleBuilder builder(s * second);
        builder.package(host * second, vms * second).zone("package-0", s * 10'000'000);
        return builder;
    }

    Attributor attributor_{AttributionOptions{}};
    std::vector<std::string> notices_;
};

TEST_F(Domains, TheFirstSampleIsOnlyABase) {
    EXPECT_FALSE(
        add(at(10, 8, 4).running(domain("a", 1, 4 * second)).departed(domain("old", 9, 3 * second))));
    std::optional<Interval> interval =
        add(at(11, 9, 5).running(domain("a", 1, 5 * second)).departed(domain("old", 9, 3 * second)));
    ASSERT_TRUE(interval);
    EXPECT_EQ(energy(*interval, RowKind::Domain, "a"), 10'000'000U);
    EXPECT_EQ(find_row(*interval, RowKind::Departed, "old"), nullptr);
    EXPECT_EQ(energy(*interval, RowKind::Host), 0U);
}

TEST_F(Domains, OneThatStartsCountsFromZero) {
    (void)add(at(10, 8, 4).running(domain("a", 1, 4 * second)));
    std::optional<Interval> interval =
        add(at(14, 12, 7).running(domain("a", 1, 5 * second)).running(domain("b", 2, 2 * second)));
    ASSERT_TRUE(interval);
    EXPECT_EQ(cpu_time(*interval, RowKind::Domain, "b"), 2 * second);
    EXPECT_EQ(energy(*interval, RowKind::Domain, "b"), 20'000'000U);
}

TEST_F(Domains, OneThatEndsGetsItsRestOnce) {
    (void)add(at(10, 8, 4).running(domain("a", 1, 3 * second)).running(domain("b", 2, 1 * second)));
    Sample ended = at(12, 10, 6).running(domain("a", 1, 4 * second)).departed(domain("b", 2, 2 * second));
    std::optional<Interval> interval = add(ended);
    ASSERT_TRUE(interval);
    EXPECT_EQ(cpu_time(*interval, RowKind::Departed, "b"), 1 * second);
    EXPECT_EQ(energy(*interval, RowKind::Departed, "b"), 10'000'000U);
    interval = add(at(14, 12, 8).running(domain("a", 1, 6 * second)).departed(domain("b", 2, 2 * second)));
    ASSERT_TRUE(interval);
    EXPECT_EQ(find_row(*interval, RowKind::Departed, "b"), nullptr);
    EXPECT_EQ(energy(*interval, RowKind::Domain, "a"), 20'000'000U);
}

TEST_F(Domains, OneThatStartedAndEndedBetweenSamplesIsBookedOnce) {
    (void)add(at(10, 8, 4).running(domain("a", 1, 4 * second)));
    std::optional<Interval> interval =
        add(at(20, 18, 9).running(domain("a", 1, 4 * second)).departed(domain("brief", 7, 5 * second)));
    ASSERT_TRUE(interval);
    EXPECT_EQ(cpu_time(*interval, RowKind::Departed, "brief"), 5 * second);
    // Started again: a new instance, from zero.
    interval = add(at(30, 28, 11)
                       .running(domain("a", 1, 4 * second))
                       .running(domain("brief", 8, 2 * second))
                       .departed(domain("brief", 7, 5 * second)));
    ASSERT_TRUE(interval);
    EXPECT_EQ(cpu_time(*interval, RowKind::Domain, "brief"), 2 * second);
    EXPECT_EQ(find_row(*interval, RowKind::Departed, "brief"), nullptr);
}

TEST_F(Domains, ARestartedOneHasARowForEachLife) {
    (void)add(at(10, 8, 4).running(domain("a", 1, 4 * second)));
    std::optional<Interval> interval =
        add(at(20, 18, 10).running(domain("a", 2, 1 * second)).departed(domain("a", 1, 9 * second)));
    ASSERT_TRUE(interval);
    EXPECT_EQ(cpu_time(*interval, RowKind::Domain, "a"), 1 * second);
    EXPECT_EQ(cpu_time(*interval, RowKind::Departed, "a"), 5 * second);
    EXPECT_EQ(find_row(*interval, RowKind::Departed, "a")->instance, 1U);
}

TEST_F(Domains, ListedAsRunningAndDepartedIsTakenOnce) {
    (void)add(at(10, 8, 4).running(domain("a", 1, 4 * second)));
    std::optional<Interval> interval =
        add(at(12, 10, 6).running(domain("a", 1, 6 * second)).departed(domain("a", 1, 6 * second)));
    ASSERT_TRUE(interval);
    EXPECT_EQ(cpu_time(*interval, RowKind::Domain, "a"), 2 * second);
    EXPECT_EQ(find_row(*interval, RowKind::Departed, "a"), nullptr);
}

TEST_F(Domains, WhatIsNotVisibleIsOther) {
    (void)add(at(10, 8, 4).running(domain("a", 1, 2 * second)));
    std::optional<Interval> interval = add(at(12, 10, 6).running(domain("a", 1, 3 * second)));
    ASSERT_TRUE(interval);
    EXPECT_EQ(cpu_time(*interval, RowKind::Other), 1 * second);
    EXPECT_EQ(energy(*interval, RowKind::Other), 10'000'000U);
    interval = add(at(14, 12, 7).running(domain("a", 1, 4 * second)));
    ASSERT_TRUE(interval);
    EXPECT_EQ(find_row(*interval, RowKind::Other), nullptr);
}

TEST_F(Domains, OneThatWasMissingGoesOnFromItsLastSeenValue) {
    (void)add(at(10, 8, 4).running(domain("a", 1, 2 * second)).running(domain("b", 2, 2 * second)));
    std::optional<Interval> interval = add(at(12, 10, 6).running(domain("a", 1, 3 * second)));
    ASSERT_TRUE(interval);
    EXPECT_EQ(find_row(*interval, RowKind::Domain, "b"), nullptr);
    interval = add(at(14, 12, 8).running(domain("a", 1, 4 * second)).running(domain("b", 2, 4 * second)));
    ASSERT_TRUE(interval);
    // Two seconds since it was last seen, not four since zero.
    EXPECT_EQ(cpu_time(*interval, RowKind::Domain, "b"), 2 * second);
}

TEST_F(Domains, OneThatBecomesVisibleLateIsNoSpike) {
    (void)add(at(1000, 800, 400).running(domain("a", 1, 2 * second)));
    std::optional<Interval> interval =
        add(at(1002, 802, 402).running(domain("a", 1, 3 * second)).running(domain("late", 2, 390 * second)));
    ASSERT_TRUE(interval);
    ASSERT_NE(find_row(*interval, RowKind::Domain, "late"), nullptr);
    EXPECT_FALSE(cpu_time(*interval, RowKind::Domain, "late"));
    EXPECT_FALSE(energy(*interval, RowKind::Domain, "late"));
    EXPECT_EQ(cpu_time(*interval, RowKind::Other), 1 * second);
    EXPECT_EQ(notices_.size(), 1U);
    interval =
        add(at(1004, 804, 404).running(domain("a", 1, 4 * second)).running(domain("late", 2, 391 * second)));
    ASSERT_TRUE(interval);
    EXPECT_EQ(cpu_time(*interval, RowKind::Domain, "late"), 1 * second);
}

TEST_F(Domains, ACounterThatGoesBackCountsAsAbsent) {
    (void)add(at(10, 8, 4).running(domain("a", 1, 2 * second)).running(domain("b", 2, 2 * second)));
    std::optional<Interval> interval =
        add(at(12, 10, 6).running(domain("a", 1, 3 * second)).running(domain("b", 2, 1 * second)));
    ASSERT_TRUE(interval);
    ASSERT_EQ(notices_.size(), 1U);
    EXPECT_NE(notices_[0].find("domain b"), std::string::npos);
    EXPECT_FALSE(cpu_time(*interval, RowKind::Domain, "b"));
    EXPECT_FALSE(energy(*interval, RowKind::Domain, "b"));
    EXPECT_EQ(energy(*interval, RowKind::Domain, "a"), 10'000'000U);
    EXPECT_EQ(energy(*interval, RowKind::Other), 10'000'000U);
}

TEST_F(Domains, UnknownUseIsARowWithoutFigures) {
    (void)add(at(10, 8, 4).running(domain("a", 0, std::vector<Usage>{})));
    std::optional<Interval> interval = add(at(12, 10, 6).running(domain("a", 0, std::vector<Usage>{})));
    ASSERT_TRUE(interval);
    const Row* row = find_row(*interval, RowKind::Domain, "a");
    ASSERT_NE(row, nullptr);
    EXPECT_FALSE(row->cpu_time_ns);
    EXPECT_FALSE(row->energy_uj);
    EXPECT_FALSE(row->instance);
    EXPECT_TRUE(row->zones.empty());
}

TEST_F(Domains, ItsEvenPartOfStaticPowerIsKnownThoughItsUseIsNot) {
    attributor_ = Attributor(AttributionOptions{Model::HostShare, StaticPolicy::Even, {{"", 2'000'000}}});
    (void)add(at(10, 8, 4).running(domain("a", 0, std::vector<Usage>{})));
    std::optional<Interval> interval = add(at(12, 10, 6).running(domain("a", 0, std::vector<Usage>{})));
    ASSERT_TRUE(interval);
    EXPECT_EQ(energy(*interval, RowKind::Domain, "a"), 4'000'000U);
}

TEST_F(Domains, MoreThanTheirSumRaisesTheSumAndTheHost) {
    (void)add(at(10, 8, 4).running(domain("a", 1, 2 * second)).running(domain("b", 2, 2 * second)));
    // Together 4 s, though the sum says 2 and the host 3.
    std::optional<Interval> interval =
        add(at(12, 11, 6).running(domain("a", 1, 4 * second)).running(domain("b", 2, 4 * second)));
    ASSERT_TRUE(interval);
    EXPECT_EQ(energy(*interval, RowKind::Domain, "a"), 10'000'000U);
    EXPECT_EQ(energy(*interval, RowKind::Domain, "b"), 10'000'000U);
    EXPECT_EQ(energy(*interval, RowKind::Host), 0U);
    EXPECT_EQ(cpu_time(*interval, RowKind::Host), 0U);
}

TEST_F(Domains, AnotherWayOfCountingStartsAnew) {
    DomainUsage a = domain("a", 1, 2 * second);
    (void)add(at(10, 8, 4).running(a));
    a.packages[0].time_ns = 9 * second;
    a.usage_source = UsageSource::Proc;
    std::optional<Interval> interval = add(at(12, 10, 6).running(a));
    ASSERT_TRUE(interval);
    EXPECT_FALSE(cpu_time(*interval, RowKind::Domain, "a"));
    a.packages[0].time_ns = 10 * second;
    interval = add(at(14, 12, 8).running(a));
    ASSERT_TRUE(interval);
    EXPECT_EQ(cpu_time(*interval, RowKind::Domain, "a"), 1 * second);
    EXPECT_EQ(interval->basis, Basis::ProcTime);
}

TEST_F(Domains, ADepartedOneIsNotBookedAgainAfterALongTime) {
    (void)add(at(10, 8, 4).running(domain("a", 1, 2 * second)).departed(domain("b", 2, 2 * second)));
    for (uint64_t hour = 1; hour < 4; ++hour)
        (void)add(at(10 + hour * 3601, 8, 4)
                      .running(domain("a", 1, 2 * second))
                      .departed(domain("b", 2, 2 * second)));
    std::optional<Interval> interval =
        add(at(20000, 10, 6).running(domain("a", 1, 4 * second)).departed(domain("b", 2, 2 * second)));
    ASSERT_TRUE(interval);
    EXPECT_EQ(find_row(*interval, RowKind::Departed, "b"), nullptr);
}

TEST_F(Domains, HostWithoutAnyIsSaidOnceAndSpanned) {
    (void)add(at(10, 8, 4).running(domain("a", 1, 4 * second)));
    Sample none = at(12, 9, 5);
    none.reading.reset();  // without a domain there is no record
    EXPECT_FALSE(add(none));
    EXPECT_EQ(notices_, std::vector<std::string>{"no domain is running; waiting for one"});
    EXPECT_FALSE(add(none));
    EXPECT_TRUE(notices_.empty());
    std::optional<Interval> interval =
        add(at(20, 14, 8).running(domain("b", 2, 3 * second)).departed(domain("a", 1, 5 * second)));
    ASSERT_TRUE(interval);
    EXPECT_EQ(interval->duration_ns, 10 * second);
    EXPECT_EQ(cpu_time(*interval, RowKind::Departed, "a"), 1 * second);
    EXPECT_EQ(cpu_time(*interval, RowKind::Domain, "b"), 3 * second);
}

}  // namespace
}  // namespace virt_power::test
