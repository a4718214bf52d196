// SPDX-License-Identifier: LGPL-2.1-or-later
#include "usage_counter_proc.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fake_root.hpp"

namespace virt_power {
namespace {

constexpr uint64_t s = 1'000'000'000;

/// A host whose clocks stand where the test puts them.
class ProcUsage : public testing::Test {
protected:
    void host(const std::vector<int>& packages) {
        root_.cpus(fmt::format("0-{}", packages.size() - 1), packages);
        ASSERT_TRUE(topology_.refresh());
        counter_ = std::make_unique<ProcUsageCounter>(root_.path(), topology_,
                                                      [this](pid_t pid) -> Result<uint64_t> {
                                                          if (!clocks_.contains(pid))
                                                              return Error{ErrorKind::Gone, 0, "gone"};
                                                          return clocks_[pid];
                                                      });
    }
    void busy(const std::vector<uint64_t>& ticks) {
        std::string text;
        for (size_t cpu = 0; cpu < ticks.size(); cpu++)
            text += fmt::format("cpu{} {} 0 0 9 0 0 0\n", cpu, ticks[cpu]);
        root_.file("proc/stat", text);
    }
    static std::string stat(uint64_t ticks, uint64_t start, uint32_t processor) {
        return fmt::format(
            "1 (q) S 1 1 1 0 0 0 0 0 0 0 {} 0 0 0 20 0 1 0 {} 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 17 {} 0\n", ticks,
            start, processor);
    }
    void process(pid_t pid, uint64_t clock_ns, uint64_t start = 100) {
        clocks_[pid] = clock_ns;
        root_.file(fmt::format("proc/{}/stat", pid), stat(0, start, 0));
    }
    void thread(pid_t pid, int tid, uint64_t ticks, uint32_t processor) {
        root_.file(fmt::format("proc/{}/task/{}/stat", pid, tid), stat(ticks, 100, processor));
    }
    void end(pid_t pid) {
        clocks_.erase(pid);
        root_.remove(fmt::format("proc/{}", pid));
    }

    FakeRoot root_;
    CpuTopology topology_{root_.path()};
    std::map<pid_t, uint64_t> clocks_;
    std::unique_ptr<ProcUsageCounter> counter_;
};

TEST_F(ProcUsage, counts_from_add_on) {
    host({0, 0});
    busy({100, 100});
    process(7, 50 * s);
    ASSERT_TRUE(counter_->add(1, {7, 100}, ""));
    ASSERT_TRUE(counter_->read());
    process(7, 51 * s);
    busy({300, 100});
    Result<UsageReading> reading = counter_->read();
    ASSERT_TRUE(reading);
    EXPECT_EQ(reading->owners.packages_of(0)[0].time_ns, 1 * s);
    EXPECT_EQ(reading->owners.packages_of(0)[0].cycles, std::nullopt);
    EXPECT_EQ(reading->rest[0].time_ns, 1 * s);
    EXPECT_EQ(reading->cycles_gaps, std::nullopt);
}

TEST_F(ProcUsage, the_rest_is_never_negative_and_never_goes_back) {
    host({0});
    busy({0});
    process(7, 0);
    ASSERT_TRUE(counter_->add(1, {7, 100}, ""));
    ASSERT_TRUE(counter_->read());
    busy({100});
    EXPECT_EQ(counter_->read()->rest[0].time_ns, 1 * s);
    process(7, 3 * s);  // more than /proc/stat has seen
    EXPECT_EQ(counter_->read()->rest[0].time_ns, 1 * s);
    busy({500});
    EXPECT_EQ(counter_->read()->rest[0].time_ns, 2 * s);
}

TEST_F(ProcUsage, refuses_a_process_that_is_another_one) {
    host({0});
    process(7, 0, 200);
    EXPECT_EQ(counter_->add(1, {7, 100}, "").error().kind, ErrorKind::Gone);
    EXPECT_EQ(counter_->add(1, {8, 100}, "").error().kind, ErrorKind::Gone);
}

TEST_F(ProcUsage, a_process_that_ended_keeps_what_it_had_until_it_is_removed_and_stays_out_of_the_rest) {
    host({0});
    busy({0});
    process(7, 0);
    ASSERT_TRUE(counter_->add(1, {7, 100}, ""));
    ASSERT_TRUE(counter_->read());
    process(7, 2 * s);
    busy({200});
    ASSERT_TRUE(counter_->read());
    end(7);
    EXPECT_EQ(counter_->read()->owners.packages_of(0)[0].time_ns, 2 * s);
    EXPECT_EQ(counter_->end(1, 0)->packages[0].time_ns, 2 * s);
    EXPECT_FALSE(counter_->end(1, 0));
    EXPECT_EQ(counter_->read()->rest[0].time_ns, 0U);
}

TEST_F(ProcUsage, a_later_process_with_the_same_pid_adds_nothing) {
    host({0});
    busy({0});
    process(7, 0, 100);
    ASSERT_TRUE(counter_->add(1, {7, 100}, ""));
    process(7, 9 * s, 300);
    EXPECT_EQ(counter_->read()->owners.packages_of(0)[0].time_ns, 0U);
}

TEST_F(ProcUsage, divides_by_where_the_threads_ran) {
    host({0, 1});
    busy({0, 0});
    process(7, 0);
    thread(7, 7, 0, 0);
    thread(7, 8, 10, 1);
    ASSERT_TRUE(counter_->add(1, {7, 100}, ""));
    process(7, 4 * s);
    thread(7, 7, 100, 0);
    thread(7, 8, 310, 1);
    Result<UsageReading> reading = counter_->read();
    ASSERT_TRUE(reading);
    EXPECT_EQ(reading->owners.packages_of(0)[0].time_ns, 1 * s);
    EXPECT_EQ(reading->owners.packages_of(0)[1].time_ns, 3 * s);
}

TEST_F(ProcUsage, a_cpu_that_goes_offline_keeps_what_it_did) {
    host({0, 0});
    busy({0, 0});
    ASSERT_TRUE(counter_->read());
    busy({100, 1000});
    EXPECT_EQ(counter_->read()->rest[0].time_ns, 11 * s);
    busy({200});
    EXPECT_EQ(counter_->read()->rest[0].time_ns, 12 * s);
    busy({300, 1000});
    EXPECT_EQ(counter_->read()->rest[0].time_ns, 13 * s);
}

TEST_F(ProcUsage, says_when_the_host_cannot_be_read) {
    host({0});
    EXPECT_EQ(counter_->read().error().kind, ErrorKind::Gone);
    root_.file("proc/stat", "garbage\n");
    EXPECT_EQ(counter_->read().error().kind, ErrorKind::Malformed);
}

}  // namespace
}  // namespace virt_power
