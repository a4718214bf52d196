// SPDX-License-Identifier: LGPL-2.1-or-later
#ifndef VIRT_POWER_TESTS_BPF_BPF_USAGE_HPP
#define VIRT_POWER_TESTS_BPF_BPF_USAGE_HPP

#include <gtest/gtest.h>
#include <linux/perf_event.h>

#include <memory>
#include <vector>

#include "clock.hpp"
#include "kernel_file.hpp"
#include "spinner.hpp"
#include "usage_counter_bpf.hpp"
#include "usage_counter_proc.hpp"
#include "used_by.hpp"

namespace virt_power {

inline constexpr uint64_t ms = 1'000'000;

class BpfUsage : public testing::Test {
protected:
    void SetUp() override {
        ASSERT_TRUE(topology_.refresh());
        BpfOptions options;
        // A clock that ticks in nanoseconds stands in for cycles: the same code with a known truth.
        options.cycles = PerfEvent{PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_CLOCK, true};
        auto made = make_bpf_usage_counter(topology_, options);
        if (!made) GTEST_SKIP() << made.error().message;
        counter_ = std::move(made->counter);
    }

    UsageReading read() { return *counter_->read(); }
    static Usage sum(const std::vector<Usage>& packages) {
        Usage sum{0, 0, 0};
        for (const Usage& package : packages) {
            sum.time_ns += package.time_ns;
            *sum.cycles += package.cycles.value_or(0);
            *sum.weight += package.weight.value_or(0);
        }
        return sum;
    }
    Usage owner(OwnerId id) { return sum(used_by(read(), id).packages); }
    static uint64_t busy_ns() {
        Result<std::string> text = read_kernel_file("/proc/stat", 1 << 20);
        auto busy = parse_proc_stat(*text);
        uint64_t sum = 0;
        for (auto [cpu, ns] : *busy) sum += ns;
        return sum;
    }

    /// What is counted of an owner, and the kernel's figure just before and just after:
    /// this process may be kept waiting in between.
    struct Look {
        uint64_t kernel_before_ns, counted_ns, kernel_after_ns, stolen_ns;
    };
    Look look(const Spinner& spinner, OwnerId id = 1) {
        Look look{};
        look.kernel_before_ns = spinner.cpu_ns();
        look.counted_ns = owner(id).time_ns;
        look.kernel_after_ns = spinner.cpu_ns();
        look.stolen_ns = stolen_ns();
        return look;
    }
    static void expect_agreement(const Look& before, const Look& after) {
        uint64_t counted_ns = after.counted_ns - before.counted_ns;
        uint64_t slack_ns = counted_ns / 100 + 5 * ms + after.stolen_ns - before.stolen_ns;
        EXPECT_LE(after.kernel_before_ns - before.kernel_after_ns, counted_ns + slack_ns);
        EXPECT_LE(counted_ns, after.kernel_after_ns - before.kernel_before_ns + slack_ns);
    }

    CpuTopology topology_{"/"};
    std::unique_ptr<UsageCounter> counter_;
};

}  // namespace virt_power

#endif
