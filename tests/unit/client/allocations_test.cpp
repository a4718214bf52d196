// SPDX-License-Identifier: LGPL-2.1-or-later
// What domains were given: when it is asked for, and what of it is told.
#include <gtest/gtest.h>

#include "fake_daemon.hpp"
#include "session.hpp"

namespace virt_power::test {
namespace {

using Calls = std::vector<std::string>;
constexpr int64_t second_ns = 1'000'000'000;

class AllocationsTest : public ::testing::Test {
protected:
    /// The calls since the last look.
    Calls calls() { return std::exchange(daemon_.calls, {}); }

    DomainSample alpha() {
        Result<Sample> sample = session_.sample();
        EXPECT_TRUE(sample);
        notices_ = sample ? sample->notices : Calls{};
        return sample ? sample->domains.at(0) : DomainSample{};
    }

    FakeDaemon daemon_;
    Session session_ = session_to(daemon_, false, true);
    std::vector<std::string> notices_;
};

TEST_F(AllocationsTest, AreNotAskedForUnlessWanted) {
    Session session = session_to(daemon_);
    Result<Sample> sample = session.sample();
    ASSERT_TRUE(sample);
    EXPECT_FALSE(sample->domains[0].vcpus);
    EXPECT_EQ(calls(), (Calls{"open ro", "energy"}));
}

TEST_F(AllocationsTest, AreAskedForOnceAndFilledInEachSample) {
    for (const Calls& expected : {Calls{"open ro", "energy", "allocation"}, Calls{"energy"}}) {
        Result<Sample> sample = session_.sample();
        ASSERT_TRUE(sample);
        EXPECT_EQ(calls(), expected);
        EXPECT_EQ(sample->domains[0].vcpus, 2U);
        EXPECT_EQ(sample->domains[0].memory_kib, uint64_t{1 << 20});
        // Nothing was told about it, and asking again at once would not help.
        EXPECT_FALSE(sample->domains[1].vcpus);
        EXPECT_FALSE(sample->domains[1].memory_kib);
    }
}

TEST_F(AllocationsTest, AreAskedForAgainAfterAMinute) {
    (void)alpha();
    daemon_.alpha_given = {{"vcpu.current", uint32_t{4}}};
    daemon_.now_ns += 59 * second_ns;
    EXPECT_EQ(alpha().vcpus, 2U);
    calls();
    daemon_.now_ns += second_ns;
    DomainSample now = alpha();
    EXPECT_EQ(calls(), (Calls{"energy", "allocation"}));
    EXPECT_EQ(now.vcpus, 4U);
    // Told before, of the same life, and not contradicted.
    EXPECT_EQ(now.memory_kib, uint64_t{1 << 20});
}

TEST_F(AllocationsTest, AreAskedForWhenADomainIsNew) {
    (void)alpha();
    calls();
    daemon_.instance = 6;
    daemon_.alpha_given = {{"vcpu.current", uint32_t{8}}};
    DomainSample now = alpha();
    EXPECT_EQ(calls(), (Calls{"energy", "allocation"}));
    EXPECT_EQ(now.vcpus, 8U);
    EXPECT_FALSE(now.memory_kib);  // that was the life before
    (void)alpha();
    EXPECT_EQ(calls(), Calls{"energy"});
}

TEST_F(AllocationsTest, AFailureIsSaidOnceAndCostsNothingElse) {
    daemon_.allocation_error = Error{ErrorKind::Unsupported, 0, "no such stats"};
    DomainSample now = alpha();
    EXPECT_EQ(now.usage.packages.size(), 1U);
    EXPECT_FALSE(now.vcpus);
    EXPECT_EQ(notices_, Calls{"what the domains were given (vCPUs, memory) is not known: no such stats"});
    calls();
    daemon_.now_ns += 61 * second_ns;
    (void)alpha();
    EXPECT_EQ(calls(), (Calls{"energy", "allocation"}));
    EXPECT_TRUE(notices_.empty());
    daemon_.allocation_error.reset();
    daemon_.now_ns += 61 * second_ns;
    EXPECT_EQ(alpha().vcpus, 2U);
}

TEST_F(AllocationsTest, AreAskedForOnEachConnectionAnew) {
    (void)alpha();
    daemon_.stats_error = Error{ErrorKind::Gone, 0, "gone"};
    EXPECT_FALSE(session_.sample());
    daemon_.stats_error.reset();
    daemon_.now_ns += 2 * second_ns;
    calls();
    EXPECT_EQ(alpha().vcpus, 2U);
    EXPECT_EQ(calls(), (Calls{"open ro", "energy", "allocation"}));
}

TEST_F(AllocationsTest, AreNotAskedForWithoutEnergy) {
    daemon_.status_read_only = "no-plugin";
    EXPECT_FALSE(alpha().vcpus);
    EXPECT_EQ(calls(), (Calls{"open ro", "energy", "energy+cpu"}));
}

TEST_F(AllocationsTest, WhatIsOutOfRangeOrOfAnotherTypeIsNotKnown) {
    daemon_.alpha_given = {{"vcpu.current", uint64_t{1} << 32}, {"balloon.current", std::string("much")}};
    DomainSample now = alpha();
    EXPECT_FALSE(now.vcpus);
    EXPECT_FALSE(now.memory_kib);
}

}  // namespace
}  // namespace virt_power::test
