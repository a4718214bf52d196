// SPDX-License-Identifier: LGPL-2.1-or-later
// Weighed use: when weights are what energy is divided by, and that all else stays.
#include <gtest/gtest.h>

#include <functional>

#include "samples.hpp"

namespace virt_power::test {
namespace {

constexpr uint64_t giga = 1'000'000'000;

class Weights : public ::testing::Test {
protected:
    /// Each second: the host 2 s, 6 G cycles, weight 4 G; a 1 s, 3 G, weight 1 G; b 0.5 s, 2 G, weight 2 G.
    static Sample at(uint64_t s) {
        SampleBuilder builder(s * second);
        builder.package({2 * s * second, 6 * s * giga, 4 * s * giga},
                        {3 * s * second / 2, 5 * s * giga, 3 * s * giga});
        builder.zone("package-0", s * 12'000'000);
        builder.running(domain("a", 1, {{s * second, 3 * s * giga, s * giga}}));
        builder.running(domain("b", 2, {{s * second / 2, 2 * s * giga, 2 * s * giga}}));
        builder.sample.reading->cycles_gaps = 0;
        builder.sample.reading->weighing = Weighing{700, 500, 100, true};
        return builder;
    }

    /// Where no PMU counts, weights are of time.
    static Sample of_time(uint64_t s) {
        Sample sample = at(s);
        sample.reading->cycles_gaps.reset();
        for (Usage* usage :
             {&sample.reading->packages[0].host, &sample.reading->packages[0].vms,
              sample.domains[0].usage.packages.data(), sample.domains[1].usage.packages.data()})
            usage->cycles.reset();
        return sample;
    }

    static Interval between(const Sample& first, const Sample& then) {
        Attributor attributor(AttributionOptions{});
        EXPECT_FALSE(attributor.add(first).interval);
        std::optional<Interval> interval = attributor.add(then).interval;
        EXPECT_TRUE(interval);
        return interval.value_or(Interval{});
    }
};

TEST_F(Weights, AreToldFromDefaultOnesWhereThereIsSomethingToWeigh) {
    auto told = [](bool measured, bool shares) {
        Sample samples[] = {at(1), at(2)};
        for (Sample& sample : samples) {
            sample.reading->weighing->measured = measured;
            for (PackageReading& package : sample.reading->packages)
                package.shared = shares ? std::optional<uint64_t>(1) : std::nullopt;
        }
        return between(samples[0], samples[1]).weights_measured;
    };
    EXPECT_EQ(told(true, true), true);
    EXPECT_EQ(told(false, true), false);
    EXPECT_EQ(told(true, false), true);
    EXPECT_EQ(told(false, false), std::nullopt);
}

TEST_F(Weights, DivideWhereAllHaveThem) {
    Interval interval = between(at(1), at(2));
    EXPECT_TRUE(interval.weighed);
    EXPECT_EQ(interval.basis, Basis::Cycles);
    EXPECT_EQ(energy(interval, RowKind::Domain, "a"), 3'000'000U);
    EXPECT_EQ(energy(interval, RowKind::Domain, "b"), 6'000'000U);
    EXPECT_EQ(energy(interval, RowKind::Host), 3'000'000U);
    // What was counted is shown as it was counted.
    EXPECT_EQ(find_row(interval, RowKind::Domain, "a")->cycles, 3 * giga);
    EXPECT_EQ(cpu_time(interval, RowKind::Domain, "a"), second);
}

TEST_F(Weights, OfTimeWhereNoCyclesAreCounted) {
    Interval interval = between(of_time(1), of_time(2));
    EXPECT_TRUE(interval.weighed);
    EXPECT_EQ(interval.basis, Basis::Time);
    EXPECT_EQ(energy(interval, RowKind::Domain, "b"), 6'000'000U);
}

TEST_F(Weights, AreNotTakenWhereOneIsAbsentOrCannotBeCompared) {
    const std::pair<const char*, std::function<void(Sample&)>> spoilers[] = {
        {"the host's", [](Sample& s) { s.reading->packages[0].host.weight.reset(); }},
        {"all domains'", [](Sample& s) { s.reading->packages[0].vms.weight.reset(); }},
        {"one domain's", [](Sample& s) { s.domains[1].usage.packages[0].weight.reset(); }},
        {"other weights", [](Sample& s) { s.reading->weighing->shared_permille = 800; }},
        {"no weights said", [](Sample& s) { s.reading->weighing.reset(); }},
        {"the host's went back", [](Sample& s) { s.reading->packages[0].host.weight = 1; }},
    };
    for (const auto& [what, spoil] : spoilers) {
        Sample first = at(1), then = at(2);
        // The one way and the other: absent at the end, absent at the beginning.
        for (Sample* sample : {&then, &first}) {
            Sample spoilt = *sample;
            spoil(spoilt);
            if (sample == &first && spoilt.reading->packages[0].host.weight == 1U) continue;
            Interval interval = sample == &then ? between(first, spoilt) : between(spoilt, then);
            EXPECT_FALSE(interval.weighed) << what;
            EXPECT_EQ(interval.basis, Basis::Cycles) << what;
            EXPECT_EQ(energy(interval, RowKind::Domain, "a"), 6'000'000U) << what;
        }
    }
}

TEST_F(Weights, HaveTheGapsOfTheirCycles) {
    Sample then = at(2);
    then.reading->cycles_gaps = 1;
    Interval interval = between(at(1), then);
    EXPECT_FALSE(interval.weighed);
    EXPECT_EQ(interval.basis, Basis::Time);
}

TEST_F(Weights, OfCyclesAndOfTimeAreNotMixed) {
    // A domain's own counter begins to count cycles: its weights before were nanoseconds.
    Sample first = at(1), then = at(2);
    first.domains[0].usage.packages[0].cycles.reset();
    EXPECT_FALSE(between(first, then).weighed);
    // It never has any, unlike the host.
    then.domains[0].usage.packages[0].cycles.reset();
    EXPECT_FALSE(between(first, then).weighed);
    // Likewise the host.
    first = at(1);
    first.reading->packages[0].vms.cycles.reset();
    then = at(2);
    then.reading->packages[0].vms.cycles.reset();
    EXPECT_FALSE(between(first, then).weighed);
}

TEST_F(Weights, OfADomainThatGoBackLeaveItOut) {
    Sample then = at(2);
    then.domains[0].usage.packages[0].weight = 5;
    Interval interval = between(at(1), then);
    EXPECT_TRUE(interval.weighed);
    EXPECT_FALSE(energy(interval, RowKind::Domain, "a"));
    EXPECT_EQ(energy(interval, RowKind::Domain, "b"), 6'000'000U);
    EXPECT_EQ(energy(interval, RowKind::Other), 3'000'000U);
    EXPECT_EQ(energy(interval, RowKind::Host), 3'000'000U);
}

TEST_F(Weights, OfOthersThatMayNotBeSeenAreOther) {
    Sample first = at(1), then = at(2);
    first.domains.pop_back();
    then.domains.pop_back();
    Interval interval = between(first, then);
    EXPECT_TRUE(interval.weighed);
    EXPECT_EQ(energy(interval, RowKind::Other), 6'000'000U);
    EXPECT_EQ(energy(interval, RowKind::Host), 3'000'000U);
}

TEST_F(Weights, OfADomainThatStartsCountFromZeroAndOneThatEndsKeepsItsOwn) {
    Sample first = at(1), then = at(2);
    first.domains.pop_back();
    then.domains[1].usage = domain("b", 3, {{second / 4, giga, giga / 2}});
    then.reading->departed.push_back(first.domains[0].usage);
    then.reading->departed[0].packages[0] = {2 * second, 4 * giga, 3 * giga / 2};
    then.domains.erase(then.domains.begin());
    Interval interval = between(first, then);
    EXPECT_TRUE(interval.weighed);
    EXPECT_EQ(energy(interval, RowKind::Domain, "b"), 1'500'000U);
    EXPECT_EQ(energy(interval, RowKind::Departed, "a"), 1'500'000U);
    EXPECT_EQ(energy(interval, RowKind::Other), 6'000'000U);
}

TEST_F(Weights, VmShareDividesByThemToo) {
    Attributor attributor({Model::VmShare, StaticPolicy::Separate, {}});
    (void)attributor.add(at(1));
    Interval interval = *attributor.add(at(2)).interval;
    EXPECT_EQ(energy(interval, RowKind::Domain, "a"), 4'000'000U);
    EXPECT_EQ(energy(interval, RowKind::Domain, "b"), 8'000'000U);
}

}  // namespace
}  // namespace virt_power::test
