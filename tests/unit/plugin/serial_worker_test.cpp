// SPDX-License-Identifier: LGPL-2.1-or-later
#include "serial_worker.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace virt_power {
namespace {

using std::chrono::milliseconds;
using Outcome = SerialWorker::Outcome;

constexpr milliseconds long_enough{60'000};
constexpr milliseconds short_time{20};

class Worker : public testing::Test {
protected:
    /// Holds a worker until release(). On a busy machine its thread may begin late.
    void hold(SerialWorker& worker) {
        while (worker.run([gate = gate_] { gate.wait(); }, short_time) != Outcome::Unfinished) continue;
    }
    void hold() { hold(worker_); }
    void release() { opened_.set_value(); }

    std::promise<void> opened_;
    std::shared_future<void> gate_ = opened_.get_future().share();
    SerialWorker worker_;
};

TEST_F(Worker, a_job_is_done_when_the_call_returns) {
    int value = 0;
    EXPECT_EQ(worker_.run([&] { value = 7; }, long_enough), Outcome::Done);
    EXPECT_EQ(value, 7);
}

TEST_F(Worker, jobs_of_many_threads_come_one_after_the_other) {
    std::atomic<int> inside = 0;
    std::atomic<int> most = 0;
    int done = 0;
    std::vector<std::thread> callers;
    for (int n = 0; n < 8; n++)
        callers.emplace_back([&] {
            EXPECT_EQ(worker_.run(
                          [&] {
                              most = std::max(most.load(), ++inside);
                              std::this_thread::sleep_for(milliseconds(1));
                              done++;
                              --inside;
                          },
                          long_enough),
                      Outcome::Done);
        });
    for (std::thread& caller : callers) caller.join();
    EXPECT_EQ(most, 1);
    EXPECT_EQ(done, 8);
}

TEST_F(Worker, a_job_that_hangs_holds_nobody_and_ends_some_time) {
    hold();
    bool ran = false;
    EXPECT_EQ(worker_.run([&] { ran = true; }, short_time), Outcome::NotStarted);
    release();
    EXPECT_EQ(worker_.run([] {}, long_enough), Outcome::Done);
    EXPECT_FALSE(ran) << "what was given up is not done later";
}

TEST_F(Worker, few_wait_behind_a_job_that_hangs_and_the_others_are_told_soon) {
    hold();
    std::atomic<int> told = 0;
    std::vector<std::thread> callers;
    for (int n = 0; n < 12; n++)
        callers.emplace_back([&] {
            if (worker_.run([] {}, long_enough) == Outcome::NotStarted) told++;
        });
    for (int tries = 0; told < 9 && tries < 1000; tries++) std::this_thread::sleep_for(milliseconds(10));
    EXPECT_EQ(told, 9) << "before their patience is over; the other three wait";
    release();
    for (std::thread& caller : callers) caller.join();
    EXPECT_EQ(told, 9);
}

TEST_F(Worker, the_urgent_goes_before_what_waits) {
    hold();
    std::vector<std::string> order;
    std::vector<std::thread> callers;
    using Urgency = SerialWorker::Urgency;
    for (auto [name, urgency] : {std::pair("low", Urgency::Low), std::pair("normal", Urgency::Normal),
                                 std::pair("high", Urgency::High)}) {
        callers.emplace_back([this, &order, name = std::string(name), urgency = urgency] {
            (void)worker_.run([&] { order.push_back(name); }, long_enough, urgency);
        });
        std::this_thread::sleep_for(milliseconds(100));
    }
    release();
    for (std::thread& caller : callers) caller.join();
    EXPECT_THAT(order, testing::ElementsAre("high", "normal", "low"));
}

TEST_F(Worker, its_end_does_not_wait_for_a_job_that_hangs) {
    auto begin = std::chrono::steady_clock::now();
    {
        SerialWorker other;
        hold(other);
    }
    EXPECT_LT(std::chrono::steady_clock::now() - begin, long_enough);
    release();
}

}  // namespace
}  // namespace virt_power
