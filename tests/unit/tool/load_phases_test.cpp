// SPDX-License-Identifier: LGPL-2.1-or-later
#include "load_phases.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "calibration/loaded_host.hpp"
#include "fitted.hpp"

namespace virt_power {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;

/// A host of four cores whose counters follow the load that is put on it; time passes when it is waited for.
class Phases : public testing::Test {
protected:
    Phases() {
        tools_.put = [this](const std::vector<uint32_t>& cpus) -> Result<std::shared_ptr<void>> {
            if (put_.size() == fail_at_) return Error{ErrorKind::Transient, 0, "no CPU"};
            put_.push_back(cpus);
            busy_ = cpus.size();
            return std::shared_ptr<void>(this, [this](void*) { busy_ = 0; });
        };
        tools_.wait = [this](milliseconds time) {
            if (stop_after_ && waits_++ == *stop_after_) return false;
            host_.pass(static_cast<double>(time.count()) / 1000, static_cast<double>(busy_) / 8,
                       busy_ > 4 ? 1 : 0);
            return true;
        };
        tools_.ask = [this]() -> std::optional<Result<Sample>> { return Result<Sample>(host_.sample); };
    }
    void idle() {
        windows_.add(host_.sample);
        for (int n = 0; n < 20; n++) {
            host_.pass(1, 0.001);
            windows_.add(host_.sample);
        }
    }

    LoadedHost host_;
    LoadPlan plan_{{{0, 4}, {1, 5}, {2, 6}, {3, 7}}, milliseconds(5000)};
    LoadWindows windows_{50'000'000};
    LoadTools tools_;
    std::vector<std::vector<uint32_t>> put_;
    size_t busy_ = 0, fail_at_ = 99;
    int waits_ = 0;
    std::optional<int> stop_after_;
};

TEST_F(Phases, one_hyperthread_of_each_core_and_all_by_turns) {
    std::optional<Status> ended = run_load(plan_, windows_, tools_);
    ASSERT_TRUE(ended && *ended);
    const std::vector<uint32_t> one{0, 1, 2, 3}, all{0, 1, 2, 3, 4, 5, 6, 7};
    EXPECT_THAT(put_, ElementsAre(one, all, one, all));
    EXPECT_EQ(busy_, 0U);
    EXPECT_EQ(cpus_of(plan_), all);
    // No window spans a change of load.
    EXPECT_EQ(windows_.windows(), 16U);
    for (const LoadWindow& window : windows_.zones()[0].windows)
        EXPECT_TRUE(std::abs(window.use - 8e9) < 1 || std::abs(window.use - 16e9) < 1) << window.use;
}

TEST_F(Phases, the_weight_comes_out) {
    host_.shared = 0.55;
    idle();
    std::optional<Status> ended = run_load(plan_, windows_, tools_);
    ASSERT_TRUE(ended && *ended);
    Result<Weights> weights = fit_shared_weight(windows_, "kvm1");
    ASSERT_TRUE(weights) << weights.error().message;
    EXPECT_EQ(weights->shared_permille, 550U);
}

TEST_F(Phases, short_phases_have_as_many_windows) {
    plan_.phase = milliseconds(2000);
    std::optional<Status> ended = run_load(plan_, windows_, tools_);
    ASSERT_TRUE(ended && *ended);
    EXPECT_EQ(windows_.windows(), 16U);
}

TEST_F(Phases, a_stop_takes_the_load_away_at_once) {
    for (int after = 0; after < 8; after++) {
        waits_ = 0;
        put_.clear();
        stop_after_ = after;
        EXPECT_FALSE(run_load(plan_, windows_, tools_)) << after;
        EXPECT_EQ(busy_, 0U);
    }
}

TEST_F(Phases, a_load_that_cannot_be_put_is_an_error) {
    fail_at_ = 1;
    std::optional<Status> ended = run_load(plan_, windows_, tools_);
    ASSERT_TRUE(ended);
    ASSERT_FALSE(*ended);
    EXPECT_EQ(ended->error().message, "no CPU");
    EXPECT_EQ(busy_, 0U);
}

}  // namespace
}  // namespace virt_power
