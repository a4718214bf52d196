// SPDX-License-Identifier: LGPL-2.1-or-later
#include "session.hpp"

#include <gtest/gtest.h>

#include "fake_daemon.hpp"
#include "sample_maker.hpp"

namespace virt_power::test {
namespace {

using Calls = std::vector<std::string>;
constexpr int64_t second_ns = 1'000'000'000;

class SessionTest : public ::testing::Test {
protected:
    /// The calls since the last look.
    Calls calls() { return std::exchange(daemon_.calls, {}); }

    FakeDaemon daemon_;
};

TEST_F(SessionTest, OneCallPerSampleOverAReadOnlyConnection) {
    Session session = session_to(daemon_);
    Result<Sample> sample = session.sample();
    ASSERT_TRUE(sample);
    EXPECT_EQ(calls(), (Calls{"open ro", "energy"}));
    ASSERT_TRUE(session.sample());
    EXPECT_EQ(calls(), Calls{"energy"});
    EXPECT_EQ(sample->host, "fakehost");
    EXPECT_EQ(sample->uri, "qemu:///fake");
    EXPECT_EQ(sample->host_cpus, 8U);
    EXPECT_EQ(sample->status, EnergyStatus::Ok);
    EXPECT_EQ(sample->wall_ns, daemon_.now_ns + 5);
    EXPECT_EQ(sample->monotonic_ns, daemon_.now_ns);
    ASSERT_TRUE(sample->reading);
    EXPECT_EQ(sample->reading->epoch, 3U);
    ASSERT_EQ(sample->domains.size(), 2U);
    EXPECT_EQ(sample->domains[1].usage.name, "beta");
    EXPECT_EQ(sample->domains[1].usage.uuid, "uuid-beta");
    EXPECT_EQ(sample->domains[1].usage.instance, 5U);
    EXPECT_EQ(sample->domains[1].usage.packages[0].time_ns, 50U);
}

TEST_F(SessionTest, DeniedReadOnlyTriesReadWrite) {
    daemon_.status_read_only = "denied";
    Session session = session_to(daemon_);
    Result<Sample> sample = session.sample();
    ASSERT_TRUE(sample);
    EXPECT_EQ(sample->status, EnergyStatus::Ok);
    EXPECT_TRUE(sample->notices.empty());
    EXPECT_EQ(calls(), (Calls{"open ro", "energy", "open rw", "close", "energy"}));
    ASSERT_TRUE(session.sample());
    EXPECT_EQ(calls(), Calls{"energy"});
}

TEST_F(SessionTest, CoarseReadingsTryReadWrite) {
    daemon_.coarse_ns = 10 * second_ns;
    Session session = session_to(daemon_);
    Result<Sample> sample = session.sample();
    ASSERT_TRUE(sample);
    EXPECT_FALSE(sample->reading->interval_ns);
    EXPECT_EQ(calls(), (Calls{"open ro", "energy", "open rw", "close", "energy"}));
}

TEST_F(SessionTest, RefusedReadWriteStaysReadOnlyAndSaysSoOnce) {
    daemon_.status_read_only = "denied";
    daemon_.refuses_read_write = Error{ErrorKind::Denied, 0, "polkit says no"};
    Session session = session_to(daemon_);
    Result<Sample> sample = session.sample();
    ASSERT_TRUE(sample);
    EXPECT_EQ(sample->status, EnergyStatus::Denied);
    ASSERT_EQ(sample->notices.size(), 1U);
    EXPECT_NE(sample->notices[0].find("polkit says no"), std::string::npos);
    EXPECT_EQ(calls(), (Calls{"open ro", "energy", "open rw", "energy+cpu"}));
    sample = session.sample();
    EXPECT_TRUE(sample->notices.empty());
    EXPECT_EQ(calls(), Calls{"energy+cpu"});
    // A new connection asks again, without another notice.
    daemon_.stats_error = Error{ErrorKind::Gone, 0, "gone"};
    EXPECT_FALSE(session.sample());
    daemon_.stats_error.reset();
    daemon_.now_ns += 2 * second_ns;
    sample = session.sample();
    ASSERT_TRUE(sample);
    EXPECT_TRUE(sample->notices.empty());
    EXPECT_EQ(calls(), (Calls{"energy+cpu", "close", "open ro", "energy+cpu", "open rw"}));
}

TEST_F(SessionTest, ReadOnlyWhenAskedForNeverTriesMore) {
    daemon_.status_read_only = "denied";
    Session session = session_to(daemon_, true);
    ASSERT_TRUE(session.sample());
    EXPECT_EQ(calls(), (Calls{"open ro", "energy", "energy+cpu"}));
}

TEST_F(SessionTest, CpuTimeIsAskedForOnlyWhereEnergyIsNotToBeHad) {
    const std::pair<std::string, EnergyStatus> cases[] = {{"no-plugin", EnergyStatus::NoPlugin},
                                                          {"no-source", EnergyStatus::NoSource},
                                                          {"error", EnergyStatus::Error},
                                                          {"", EnergyStatus::NoGroup}};
    for (const auto& [word, status] : cases) {
        daemon_.status_read_only = word;
        daemon_.calls.clear();
        Session session = session_to(daemon_);
        Result<Sample> sample = session.sample();
        ASSERT_TRUE(sample);
        EXPECT_EQ(sample->status, status) << word;
        EXPECT_FALSE(sample->status_reason.empty()) << word;
        EXPECT_EQ(sample->domains[0].cpu_time_ns, 77U) << word;
        EXPECT_EQ(calls(), (Calls{"open ro", "energy", "energy+cpu"})) << word;
        ASSERT_TRUE(session.sample());
        EXPECT_EQ(calls(), Calls{"energy+cpu"}) << word;
        daemon_.status_read_only = "ok";
        sample = session.sample();
        EXPECT_EQ(sample->status, EnergyStatus::Ok) << word;
        EXPECT_TRUE(sample->status_reason.empty()) << word;
        EXPECT_EQ(calls(), Calls{"energy+cpu"}) << word;
        ASSERT_TRUE(session.sample());
        EXPECT_EQ(calls(), Calls{"energy"}) << word;
    }
}

TEST_F(SessionTest, AnUnknownStatusIsAnErrorThatNamesIt) {
    daemon_.status_read_only = "novel";
    Result<Sample> sample = session_to(daemon_).sample();
    ASSERT_TRUE(sample);
    EXPECT_EQ(sample->status, EnergyStatus::Error);
    EXPECT_NE(sample->status_reason.find("novel"), std::string::npos);
}

TEST_F(SessionTest, WithoutDomainsTheSampleIsEmptyAndKeepsTheStatus) {
    daemon_.has_domains = false;
    Session session = session_to(daemon_);
    Result<Sample> sample = session.sample();
    ASSERT_TRUE(sample);
    EXPECT_TRUE(sample->domains.empty());
    EXPECT_FALSE(sample->reading);
    EXPECT_EQ(sample->status, EnergyStatus::Ok);
    daemon_.has_domains = true;
    daemon_.status_read_only = "no-plugin";
    ASSERT_TRUE(session.sample());
    daemon_.has_domains = false;
    EXPECT_EQ(session.sample()->status, EnergyStatus::NoPlugin);
}

TEST(TakeRecords, TheFirstRecordWithAStatusTellsIt) {
    std::vector<DomainRecord> records = {{"ended", "uuid-1", {}}, {"runs", "uuid-2", {}}};
    auto& params = records[1].params;
    params.push_back({"energy.status", std::string("ok")});
    HostReading host;
    host.epoch = 3;
    encode_host(host, [&](std::string_view name, const ParamValue& value) {
        params.push_back({std::string(name), value});
        return true;
    });
    Sample sample;
    take_records(sample, records);
    EXPECT_EQ(sample.status, EnergyStatus::Ok);
    ASSERT_TRUE(sample.reading);
    EXPECT_EQ(sample.reading->epoch, 3U);
    EXPECT_EQ(sample.domains.size(), 2U);
}

TEST_F(SessionTest, ARecordThatCannotBeReadIsSaidAndCostsItselfOnly) {
    daemon_.spoil_first_record = true;
    Result<Sample> sample = session_to(daemon_).sample();
    ASSERT_TRUE(sample);
    EXPECT_EQ(sample->status, EnergyStatus::Error);
    EXPECT_NE(sample->status_reason.find("energy.host.epoch"), std::string::npos);
    EXPECT_FALSE(sample->reading);
    EXPECT_EQ(sample->domains[1].usage.packages.size(), 1U);
    ASSERT_FALSE(sample->notices.empty());
    EXPECT_NE(sample->notices[0].find("alpha"), std::string::npos);
}

TEST_F(SessionTest, ALostDaemonIsTriedAgainEverMoreRarely) {
    Session session = session_to(daemon_);
    ASSERT_TRUE(session.sample());
    daemon_.stats_error = Error{ErrorKind::Gone, 0, "connection reset"};
    daemon_.refuses_read_only = Error{ErrorKind::Gone, 0, "no socket"};
    Result<Sample> lost = session.sample();
    ASSERT_FALSE(lost);
    EXPECT_EQ(lost.error().message, "connection reset");
    calls();
    std::vector<int64_t> tries;
    int64_t start = daemon_.now_ns;
    for (int step = 0; step < 1500; ++step) {
        daemon_.now_ns += second_ns / 10;
        EXPECT_FALSE(session.sample());
        if (!calls().empty()) tries.push_back((daemon_.now_ns - start) / second_ns);
    }
    EXPECT_EQ(tries, (std::vector<int64_t>{1, 3, 7, 15, 31, 61, 91, 121}));
    daemon_.refuses_read_only.reset();
    daemon_.stats_error.reset();
    daemon_.now_ns += 31 * second_ns;
    EXPECT_TRUE(session.sample());
    EXPECT_EQ(calls(), (Calls{"open ro", "energy"}));
    // After success the first wait is short again.
    daemon_.stats_error = Error{ErrorKind::Gone, 0, "connection reset"};
    EXPECT_FALSE(session.sample());
    daemon_.stats_error.reset();
    daemon_.now_ns += second_ns;
    EXPECT_TRUE(session.sample());
}

TEST_F(SessionTest, AfterALossItAsksForWhatItHadBefore) {
    daemon_.status_read_only = "denied";
    Session session = session_to(daemon_);
    ASSERT_TRUE(session.sample());
    daemon_.stats_error = Error{ErrorKind::Gone, 0, "gone"};
    EXPECT_FALSE(session.sample());
    daemon_.stats_error.reset();
    daemon_.now_ns += second_ns;
    calls();
    ASSERT_TRUE(session.sample());
    EXPECT_EQ(calls(), (Calls{"open rw", "energy"}));
}

TEST_F(SessionTest, AnErrorOnALivingConnectionKeepsIt) {
    Session session = session_to(daemon_);
    ASSERT_TRUE(session.sample());
    daemon_.stats_error = Error{ErrorKind::Denied, 0, "not you"};
    Result<Sample> refused = session.sample();
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().kind, ErrorKind::Denied);
    daemon_.stats_error.reset();
    calls();
    EXPECT_TRUE(session.sample());
    EXPECT_EQ(calls(), Calls{"energy"});
}

TEST_F(SessionTest, ARefusedFirstConnectionSaysWhy) {
    daemon_.refuses_read_only = Error{ErrorKind::Malformed, 0, "no such URI"};
    Result<Sample> sample = session_to(daemon_).sample();
    ASSERT_FALSE(sample);
    EXPECT_EQ(sample.error().kind, ErrorKind::Malformed);
    EXPECT_EQ(sample.error().message, "no such URI");
}

}  // namespace
}  // namespace virt_power::test
