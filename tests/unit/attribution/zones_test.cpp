// SPDX-License-Identifier: LGPL-2.1-or-later
// Zones that come, go, cannot be read or go back; packages; static power.
#include <gtest/gtest.h>

#include "samples.hpp"

namespace virt_power::test {
namespace {

uint64_t sum_of_rows(const Interval& interval) {
    uint64_t sum = 0;
    for (const Row& row : interval.rows) sum += row.energy_uj.value_or(0);
    return sum;
}

class Zones : public ::testing::Test {
protected:
    std::optional<Interval> add(const Sample& sample) {
        Attributed result = attributor_.add(sample);
        notices_ = result.notices;
        return result.interval;
    }

    /// Each second the host uses 2 s and the one domain 1 s.
    static SampleBuilder at(uint64_t s) {
        SampleBuilder builder(s * second);
        builder.package(2 * s * second, s * second).running(domain("a", 1, s * second));
        return builder;
    }

    Attributor attributor_{AttributionOptions{}};
    std::vector<std::string> notices_;
};

TEST_F(Zones, OnlyCountedOnesAreDivided) {
    ZoneReading core = zone("package-0/core", 5'000'000, "core");
    core.counted = false;
    (void)add(at(1).zone("package-0", 10'000'000).zone(core));
    core.energy_uj = 8'000'000;
    std::optional<Interval> interval = add(at(2).zone("package-0", 20'000'000).zone(core));
    ASSERT_TRUE(interval);
    EXPECT_EQ(interval->zones[1].energy_uj, 3'000'000U);
    EXPECT_FALSE(interval->zones[1].counted);
    EXPECT_EQ(sum_of_rows(*interval), 10'000'000U);
    EXPECT_EQ(energy(*interval, RowKind::Domain, "a"), 5'000'000U);
    EXPECT_EQ(find_row(*interval, RowKind::Domain, "a")->zones.size(), 1U);
}

TEST_F(Zones, OneThatCannotBeReadIsLeftOutAndSaidOnce) {
    (void)add(at(1).zone("package-0", 10).zone("package-1", 10));
    std::optional<Interval> interval = add(at(2).zone("package-0", 30).zone("package-1", {}));
    ASSERT_TRUE(interval);
    EXPECT_FALSE(interval->zones[1].energy_uj);
    EXPECT_FALSE(interval->zones[1].counted);
    EXPECT_EQ(sum_of_rows(*interval), 20U);
    ASSERT_EQ(notices_.size(), 1U);
    EXPECT_EQ(notices_[0], "zone package-1 cannot be read: its energy is not in this interval");
    (void)add(at(3).zone("package-0", 40).zone("package-1", {}));
    EXPECT_TRUE(notices_.empty());
    // Absent in the sample before: not a rise from nothing.
    interval = add(at(4).zone("package-0", 50).zone("package-1", 1000));
    ASSERT_TRUE(interval);
    EXPECT_EQ(sum_of_rows(*interval), 10U);
    interval = add(at(5).zone("package-0", 60).zone("package-1", 1007));
    ASSERT_TRUE(interval);
    EXPECT_EQ(sum_of_rows(*interval), 17U);
}

TEST_F(Zones, OneThatGoesBackGivesNoEnergy) {
    (void)add(at(1).zone("package-0", 1000).zone("package-1", 1000));
    std::optional<Interval> interval = add(at(2).zone("package-0", 1100).zone("package-1", 900));
    ASSERT_TRUE(interval);
    EXPECT_EQ(sum_of_rows(*interval), 100U);
    EXPECT_EQ(notices_.size(), 1U);
    interval = add(at(3).zone("package-0", 1200).zone("package-1", 950));
    ASSERT_TRUE(interval);
    EXPECT_EQ(sum_of_rows(*interval), 150U);
}

TEST_F(Zones, AGapGivesNoEnergy) {
    ZoneReading other = zone("package-1", 1000);
    (void)add(at(1).zone("package-0", 1000).zone(other));
    other.energy_uj = 5000;
    other.gaps = 1;
    std::optional<Interval> interval = add(at(2).zone("package-0", 1100).zone(other));
    ASSERT_TRUE(interval);
    EXPECT_EQ(sum_of_rows(*interval), 100U);
    EXPECT_FALSE(interval->zones[1].energy_uj);
    ASSERT_EQ(notices_.size(), 1U);
    EXPECT_NE(notices_[0].find("has a gap"), std::string::npos);
}

TEST_F(Zones, OneThatVanishesAndComesBack) {
    (void)add(at(1).zone("package-0", 10).zone("package-1", 10));
    std::optional<Interval> interval = add(at(2).zone("package-0", 20));
    ASSERT_TRUE(interval);
    EXPECT_EQ(interval->zones.size(), 1U);
    EXPECT_EQ(notices_,
              std::vector<std::string>{"zone package-1 is gone: its energy is not in this interval"});
    interval = add(at(3).zone("package-0", 30).zone("package-1", 5000));
    ASSERT_TRUE(interval);
    EXPECT_EQ(sum_of_rows(*interval), 10U);
    EXPECT_EQ(notices_.size(), 1U);
}

TEST_F(Zones, OneThatBeginsToCountCountsFromTheNextInterval) {
    ZoneReading still = zone("package-1", 500);
    still.counted = false;
    (void)add(at(1).zone("package-0", 10).zone(still));
    still.counted = true;
    still.energy_uj = 900;
    std::optional<Interval> interval = add(at(2).zone("package-0", 20).zone(still));
    ASSERT_TRUE(interval);
    EXPECT_EQ(sum_of_rows(*interval), 10U);
    still.energy_uj = 1000;
    interval = add(at(3).zone("package-0", 30).zone(still));
    ASSERT_TRUE(interval);
    EXPECT_EQ(sum_of_rows(*interval), 110U);
}

TEST_F(Zones, WhereTheOnlyOneBeginsToCountNoIntervalCloses) {
    ZoneReading still = zone("package-0", 0);
    still.counted = false;
    (void)add(at(1).zone(still));
    EXPECT_FALSE(add(at(2).zone("package-0", 50)));
    EXPECT_EQ(notices_.size(), 1U);
    std::optional<Interval> interval = add(at(3).zone("package-0", 60));
    ASSERT_TRUE(interval);
    EXPECT_EQ(sum_of_rows(*interval), 10U);
    EXPECT_EQ(interval->duration_ns, second);
}

TEST_F(Zones, TheSameNameTwiceCountsOnce) {
    (void)add(at(1).zone("package-0", 10).zone("package-0", 10));
    std::optional<Interval> interval = add(at(2).zone("package-0", 20).zone("package-0", 20));
    ASSERT_TRUE(interval);
    EXPECT_EQ(sum_of_rows(*interval), 10U);
}

TEST_F(Zones, EachIsDividedByTheUseOfItsOwnPackage) {
    auto sample = [](uint64_t s, Usage a0, Usage a1) {
        SampleBuilder builder(s * second);
        builder.package(4 * s * second, 2 * s * second).package(4 * s * second, 2 * s * second);
        builder.zone(zone("package-0", s * 100, "package", 0))
            .zone(zone("package-1", s * 1000, "package", 1));
        builder.zone(zone("board", s * 40, "package", std::nullopt));
        builder.running(domain("a", 1, {a0, a1}));
        return builder.sample;
    };
    (void)add(sample(1, {0, {}}, {0, {}}));
    std::optional<Interval> interval = add(sample(2, {1 * second, {}}, {2 * second, {}}));
    ASSERT_TRUE(interval);
    const Row* a = find_row(*interval, RowKind::Domain, "a");
    ASSERT_NE(a, nullptr);
    EXPECT_EQ(a->zones[0].energy_uj, 25U);   // 1 s of 4 s
    EXPECT_EQ(a->zones[1].energy_uj, 500U);  // 2 s of 4 s
    EXPECT_EQ(a->zones[2].energy_uj, 15U);   // 3 s of 8 s
    EXPECT_EQ(sum_of_rows(*interval), 1140U);
}

TEST_F(Zones, WithoutAnyUseTheHostHasItAll) {
    auto sample = [](uint64_t s) {
        SampleBuilder builder(s * second);
        builder.package(second, second).zone("package-0", s * 10).running(domain("a", 1, second));
        return builder.sample;
    };
    for (Model model : {Model::HostShare, Model::VmShare}) {
        attributor_ = Attributor(AttributionOptions{model, StaticPolicy::Separate, {}});
        (void)add(sample(1));
        std::optional<Interval> interval = add(sample(2));
        ASSERT_TRUE(interval);
        EXPECT_EQ(energy(*interval, RowKind::Host), 10U);
        EXPECT_EQ(energy(*interval, RowKind::Domain, "a"), 0U);
    }
}

TEST_F(Zones, StaticPowerIsNeverMoreThanWasMeasured) {
    attributor_ =
        Attributor(AttributionOptions{Model::HostShare, StaticPolicy::Separate, {{"", 50'000'000}}});
    (void)add(at(1).zone("package-0", 0));
    std::optional<Interval> interval = add(at(2).zone("package-0", 10'000'000));
    ASSERT_TRUE(interval);
    EXPECT_EQ(energy(*interval, RowKind::Static), 10'000'000U);
    EXPECT_EQ(energy(*interval, RowKind::Domain, "a"), 0U);
    EXPECT_FALSE(interval->idle_included);
}

TEST_F(Zones, IdleIsIncludedUnlessStaticPowerIsKnownForEachPackage) {
    auto run = [this](std::map<std::string, uint64_t, std::less<>> static_uw) {
        attributor_ =
            Attributor(AttributionOptions{Model::HostShare, StaticPolicy::Separate, std::move(static_uw)});
        (void)add(at(1).zone("p0", 0).zone("p1", 0).zone(zone("p0/dram", 0, "dram")));
        return add(at(2).zone("p0", 10).zone("p1", 10).zone(zone("p0/dram", 5, "dram")))->idle_included;
    };
    EXPECT_TRUE(run({}));
    EXPECT_TRUE(run({{"p0", 1}}));
    EXPECT_TRUE(run({{"p0/dram", 1}}));
    EXPECT_FALSE(run({{"p0", 1}, {"p1", 0}}));
    EXPECT_FALSE(run({{"", 1}}));
}

TEST_F(Zones, WhatTheReadingHoldsServesUnlessOtherwiseGiven) {
    auto run = [this](std::map<std::string, uint64_t, std::less<>> given, bool use_measured,
                      std::optional<uint64_t> p1_uw) {
        attributor_ = Attributor(
            AttributionOptions{Model::HostShare, StaticPolicy::Separate, std::move(given), use_measured});
        auto sample = [&](uint64_t s) {
            ZoneReading p0 = zone("p0", s * 10), p1 = zone("p1", s * 10);
            ZoneReading dram = zone("p0/dram", s * 10, "dram");
            p0.static_uw = 2;
            p1.static_uw = p1_uw;
            dram.static_uw = 1;
            return at(s).zone(p0).zone(p1).zone(dram).sample;
        };
        (void)add(sample(1));
        return add(sample(2));
    };
    auto static_of = [](const std::optional<Interval>& interval) {
        const Row* row = find_row(*interval, RowKind::Static);
        return row ? row->zones : std::vector<ZoneEnergy>{};
    };
    std::optional<Interval> interval = run({}, true, 3);
    EXPECT_FALSE(interval->idle_included);
    EXPECT_EQ(static_of(interval), (std::vector<ZoneEnergy>{{0, 2}, {1, 3}, {2, 1}}));
    interval = run({}, true, {});
    EXPECT_TRUE(interval->idle_included);
    EXPECT_EQ(static_of(interval), (std::vector<ZoneEnergy>{{0, 2}, {1, 0}, {2, 1}}));
    interval = run({{"p1", 5}}, true, 3);
    EXPECT_EQ(static_of(interval), (std::vector<ZoneEnergy>{{0, 2}, {1, 5}, {2, 1}}));
    interval = run({{"", 4}}, true, 3);
    EXPECT_EQ(static_of(interval), (std::vector<ZoneEnergy>{{0, 4}, {1, 4}, {2, 1}}));
    interval = run({}, false, 3);
    EXPECT_TRUE(interval->idle_included);
    EXPECT_TRUE(static_of(interval).empty());
}

TEST_F(Zones, AZoneOfItsOwnGoesBeforeTheDefault) {
    attributor_ =
        Attributor(AttributionOptions{Model::HostShare, StaticPolicy::Separate, {{"", 2}, {"p1", 5}}});
    (void)add(at(1).zone("p0", 0).zone("p1", 0));
    std::optional<Interval> interval = add(at(2).zone("p0", 10).zone("p1", 10));
    ASSERT_TRUE(interval);
    const Row* row = find_row(*interval, RowKind::Static);
    ASSERT_NE(row, nullptr);
    EXPECT_EQ(row->zones, (std::vector<ZoneEnergy>{{0, 2}, {1, 5}}));
    EXPECT_FALSE(row->cpu_time_ns);
}

TEST_F(Zones, AnUnknownNameOfStaticPowerIsSaidOnce) {
    attributor_ = Attributor(AttributionOptions{Model::HostShare, StaticPolicy::Separate, {{"nope", 2}}});
    (void)add(at(1).zone("p0", 0));
    (void)add(at(2).zone("p0", 10));
    EXPECT_EQ(notices_.size(), 1U);
    (void)add(at(3).zone("p0", 20));
    EXPECT_TRUE(notices_.empty());
}

TEST_F(Zones, MoreStaticPowerThanWasMeasuredIsSaidOncePerZone) {
    attributor_ = Attributor(AttributionOptions{
        Model::HostShare, StaticPolicy::Separate, {{"p0", 50'000'000}, {"p1", 10'000'000}}});
    auto sample = [](uint64_t s, uint64_t p1_uj) {
        return at(s).zone("p0", s * 20'000'000).zone("p1", p1_uj).sample;
    };
    (void)add(sample(1, 0));
    (void)add(sample(2, 10'000'000));  // p1 draws just its static power
    EXPECT_EQ(notices_,
              std::vector<std::string>{"zone p0 drew 20.00 W, less than the 50.00 W given as its static "
                                       "power: nothing of it is left for domains"});
    (void)add(sample(3, 19'999'999));
    ASSERT_EQ(notices_.size(), 1U);
    EXPECT_NE(notices_[0].find("zone p1 "), std::string::npos);
    (void)add(sample(4, 20'000'000));
    EXPECT_TRUE(notices_.empty());
}

TEST_F(Zones, StaticPowerWithoutADomainIsARow) {
    for (StaticPolicy policy : {StaticPolicy::Even, StaticPolicy::Proportional}) {
        attributor_ = Attributor(AttributionOptions{Model::HostShare, policy, {{"", 4'000'000}}});
        auto sample = [](uint64_t s) {
            SampleBuilder builder(s * second);
            builder.package(s * second, 0).zone("package-0", s * 10'000'000);
            return builder.sample;
        };
        (void)add(sample(1));
        std::optional<Interval> interval = add(sample(2));
        ASSERT_TRUE(interval);
        EXPECT_EQ(energy(*interval, RowKind::Static), 4'000'000U);
        EXPECT_EQ(energy(*interval, RowKind::Host), 6'000'000U);
    }
}

/// They are no counters: of a zone that does not count too, and whatever they were before.
TEST_F(Zones, LimitAndFrequencyAreThoseAtTheEnd) {
    auto with = [](uint64_t s, std::optional<uint64_t> limit_uw, std::optional<uint64_t> frequency_khz) {
        ZoneReading package = zone("package-0", s * 10), psys = zone("psys", s, "psys", std::nullopt);
        package.limit_uw = limit_uw;
        psys.limit_uw = 7;
        psys.counted = false;
        SampleBuilder builder = at(s).zone(package).zone(psys);
        builder.sample.reading->packages[0].id = 3;
        builder.sample.reading->packages[0].frequency_khz = frequency_khz;
        return builder.sample;
    };
    (void)add(with(1, 65'000'000, 2'400'000));
    std::optional<Interval> interval = add(with(2, 18'000'000, 1'200'000));
    ASSERT_TRUE(interval);
    EXPECT_EQ(interval->zones[0].limit_uw, 18'000'000U);
    EXPECT_EQ(interval->zones[1].limit_uw, 7U);
    EXPECT_EQ(interval->packages, (std::vector<PackageInterval>{{3, 1'200'000}}));
    interval = add(with(3, std::nullopt, std::nullopt));
    ASSERT_TRUE(interval);
    EXPECT_FALSE(interval->zones[0].limit_uw);
    EXPECT_EQ(interval->packages, (std::vector<PackageInterval>{{3, std::nullopt}}));
    EXPECT_TRUE(notices_.empty());
}

}  // namespace
}  // namespace virt_power::test
