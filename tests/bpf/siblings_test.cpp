// SPDX-License-Identifier: LGPL-2.1-or-later
// Two CPUs that are told to be hyperthreads of one core: what is counted does not depend on whether they are.
#include <gtest/gtest.h>

#include <array>
#include <fstream>
#include <functional>
#include <numeric>
#include <string>
#include <utility>

#include "fake_root.hpp"
#include "spinner.hpp"
#include "usage_counter_bpf.hpp"
#include "used_by.hpp"

namespace virt_power {
namespace {

class Siblings : public testing::Test {
protected:
    void SetUp() override {
        root_.cpus("0-1", {0, 0});
        for (const char* cpu : {"cpu0", "cpu1"})
            root_.file(std::string("sys/devices/system/cpu/") + cpu + "/topology/thread_siblings_list",
                       "0-1");
        topology_.emplace(root_.path());
        ASSERT_TRUE(topology_->refresh());
        if (::sysconf(_SC_NPROCESSORS_ONLN) < 2) GTEST_SKIP() << "this machine has one CPU";
        BpfOptions options;
        options.cycles.reset();
        auto made = make_bpf_usage_counter(*topology_, options);
        if (!made) GTEST_SKIP() << made.error().message;
        counter_ = std::move(made->counter);
        counter_->weigh({600, 1000, 0, true});
    }

    struct Figures {
        double time_ns, weight;          ///< of the spinner
        double all_time_ns, all_weight;  ///< of everything that ran
        double shared_ns;
        double busy_ticks, idle_ticks;  ///< of the other CPU, by the kernel's own account
        double read_ns;  ///< how long this took: slices that ended meanwhile may be in a part of it
    };
    /// Busy and idle. Not against a clock: a virtual machine that is kept waiting loses ticks of either. What
    /// was stolen is time from switch to switch.
    static std::pair<double, double> ticks_of_cpu1() {
        std::ifstream file("/proc/stat");
        std::string word;
        while (file >> word && word != "cpu1") continue;
        std::array<double, 8> ticks{};  // user nice system idle iowait irq softirq steal
        for (double& value : ticks) file >> value;
        double idle = ticks[3] + ticks[4];
        return {std::accumulate(ticks.begin(), ticks.end(), -idle), idle};
    }
    Figures figures() {
        auto begin = std::chrono::steady_clock::now();
        UsageReading reading = *counter_->read();
        std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - begin;
        Usage usage = used_by(reading, 1).packages.at(0);
        const Usage& rest = reading.rest.at(0);
        auto [busy, idle] = ticks_of_cpu1();
        auto d = [](uint64_t value) { return static_cast<double>(value); };
        return {d(usage.time_ns),
                d(*usage.weight),
                d(usage.time_ns + rest.time_ns),
                d(*usage.weight + *rest.weight),
                d(reading.shared.at(0)),
                busy,
                idle,
                took.count()};
    }
    /// Whatever else this machine does meanwhile.
    static void expect_to_add_up(const Figures& before, const Figures& after) {
        double lighter = (after.all_time_ns - before.all_time_ns) - (after.all_weight - before.all_weight);
        double shared = after.shared_ns - before.shared_ns;
        EXPECT_GT(shared, 0);
        EXPECT_NEAR(lighter, 0.4 * shared, 0.001 * shared + 1e5 + before.read_ns + after.read_ns);
    }
    /// The other CPU's busy time is as good as shared, as the spinner's CPU is always busy.
    static void expect_the_share(const Figures& before, const Figures& after) {
        double busy = after.busy_ticks - before.busy_ticks, idle = after.idle_ticks - before.idle_ticks;
        double share = busy / (busy + idle);
        double ratio = (after.weight - before.weight) / (after.time_ns - before.time_ns);
        EXPECT_GT(after.time_ns - before.time_ns, 1e8);
        EXPECT_NEAR(ratio, 1 - 0.4 * share, 0.06);
        expect_to_add_up(before, after);
    }
    void measure(const std::function<void()>& meanwhile) {
        Spinner spinner(1, 0);
        ASSERT_TRUE(counter_->add(1, spinner.process(), ""));
        sleep_ms(100);
        Figures before = figures();
        meanwhile();
        expect_the_share(before, figures());
    }

    FakeRoot root_;
    std::optional<CpuTopology> topology_;
    std::unique_ptr<UsageCounter> counter_;
};

TEST_F(Siblings, time_beside_a_busy_sibling_weighs_what_it_is_told_to) {
    Spinner beside(1, 1);
    measure([] { sleep_ms(1000); });
}

TEST_F(Siblings, time_beside_an_idle_sibling_weighs_all_of_it) {
    measure([] { sleep_ms(1000); });
}

TEST_F(Siblings, a_sibling_that_is_busy_now_and_then_is_seen_within_one_slice) {
    measure([] {
        for (int n = 0; n < 10; n++) {
            Spinner beside(1, 1);
            sleep_ms(50);
            beside.end();
            sleep_ms(50);
        }
    });
}

}  // namespace
}  // namespace virt_power
