// SPDX-License-Identifier: LGPL-2.1-or-later
#include "usage_counter_bpf.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <linux/perf_event.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <map>

#include "bpf/cpu_usage.h"
#include "bpf_usage.hpp"
#include "clock.hpp"
#include "fake_root.hpp"
#include "kernel_file.hpp"
#include "spinner.hpp"
#include "usage_counter_proc.hpp"
#include "used_by.hpp"

namespace virt_power {
namespace {

void expect_within(uint64_t value, uint64_t wanted, double share, uint64_t slack) {
    double bound = static_cast<double>(wanted) * share + static_cast<double>(slack);
    EXPECT_NEAR(static_cast<double>(value), static_cast<double>(wanted), bound);
}

TEST_F(BpfUsage, agrees_with_the_kernels_own_run_time_of_all_threads) {
    Spinner spinner(3);
    ASSERT_TRUE(counter_->add(1, spinner.process(), ""));
    Look before = look(spinner);
    sleep_ms(1500);
    Look after = look(spinner);
    EXPECT_GT(after.counted_ns - before.counted_ns, 100 * ms);
    expect_agreement(before, after);
}

TEST_F(BpfUsage, a_task_that_spins_alone_is_counted_up_to_the_moment_of_reading) {
    Spinner spinner(1, 0);
    ASSERT_TRUE(counter_->add(1, spinner.process(), ""));
    Look before = look(spinner);
    for (int n = 0; n < 10; n++) {
        sleep_ms(50);
        Look after = look(spinner);
        expect_agreement(before, after);
        before = after;
    }
}

TEST_F(BpfUsage, cycles_and_time_of_one_slice_belong_together) {
    Spinner spinner(2);
    ASSERT_TRUE(counter_->add(1, spinner.process(), ""));
    uint64_t longest_ns = boottime_ns();
    UsageReading before = read();
    uint64_t shortest_ns = boottime_ns();
    sleep_ms(1000);
    shortest_ns = boottime_ns() - shortest_ns;
    UsageReading after = read();
    longest_ns = boottime_ns() - longest_ns;
    ASSERT_TRUE(after.cycles_gaps);
    EXPECT_EQ(*after.cycles_gaps, *before.cycles_gaps);
    Usage then = sum(used_by(before, 1).packages);
    Usage now = sum(used_by(after, 1).packages);
    expect_within(*now.cycles - *then.cycles, now.time_ns - then.time_ns, 0.01, 2 * ms);
    // The event counts in idle too, and idle cycles are the rest's: together they are the clock.
    uint64_t all = *now.cycles - *then.cycles + *sum(after.rest).cycles - *sum(before.rest).cycles;
    size_t cpus = topology_.online_cpus().size();
    EXPECT_GE(all + all / 100, shortest_ns * cpus);
    EXPECT_LE(all - all / 100, longest_ns * cpus);
}

TEST_F(BpfUsage, owners_and_rest_add_up_to_the_busy_time_of_the_cpus) {
    Spinner spinner(2);
    ASSERT_TRUE(counter_->add(1, spinner.process(), ""));
    UsageReading before = read();
    uint64_t busy = busy_ns();
    uint64_t steal_ns = stolen_ns();
    sleep_ms(3000);
    UsageReading after = read();
    busy = busy_ns() - busy;
    steal_ns = stolen_ns() - steal_ns;
    uint64_t counted_ns = sum(after.rest).time_ns - sum(before.rest).time_ns +
                          sum(used_by(after, 1).packages).time_ns - sum(used_by(before, 1).packages).time_ns;
    expect_within(counted_ns, busy, 0.01, 2 * tick_ns() * topology_.online_cpus().size() + steal_ns);
}

TEST_F(BpfUsage, what_is_stopped_uses_nothing) {
    Spinner spinner;
    ASSERT_TRUE(counter_->add(1, spinner.process(), ""));
    ::kill(spinner.pid(), SIGSTOP);
    sleep_ms(50);
    uint64_t before_ns = owner(1).time_ns;
    sleep_ms(500);
    EXPECT_LT(owner(1).time_ns - before_ns, 5 * ms);
}

TEST_F(BpfUsage, an_owner_counts_from_zero_and_keeps_its_last_instant) {
    Spinner spinner;
    sleep_ms(300);
    ASSERT_TRUE(counter_->add(1, spinner.process(), ""));
    EXPECT_LT(owner(1).time_ns, 50 * ms);
    sleep_ms(300);
    uint64_t kernel_ns = spinner.cpu_ns();
    spinner.end();
    std::optional<OwnerUsage> last = counter_->end(1, 0);
    ASSERT_TRUE(last);
    EXPECT_GT(sum(last->packages).time_ns, 20 * ms);
    EXPECT_LT(sum(last->packages).time_ns, kernel_ns + 100 * ms);
    EXPECT_FALSE(counter_->end(1, 0));
    Spinner next;
    ASSERT_TRUE(counter_->add(2, next.process(), ""));
    EXPECT_LT(owner(2).time_ns, 50 * ms) << "a slot that is used again starts from zero";
}

TEST_F(BpfUsage, a_vcpu_is_told_from_what_else_works_for_the_domain) {
    OwnerId id = 0;
    for (const char* name : {"CPU 0/KVM", "ALL CPUs/TCG", "qemu-system-x86", "CPUfreq"}) {
        bool is_vcpu = std::string_view(name).find('/') != std::string_view::npos;
        Spinner spinner(1, -1, name);
        sleep_ms(20);
        ASSERT_TRUE(counter_->add(++id, spinner.process(), ""));
        sleep_ms(200);
        UsageReading reading = read();
        Usage all = sum(used_by(reading, id).packages);
        Usage helper = sum(used_by(reading, id).helpers);
        EXPECT_GT(all.time_ns, 20 * ms) << name;
        EXPECT_EQ(helper.time_ns, is_vcpu ? 0 : all.time_ns) << name;
        EXPECT_EQ(*helper.weight, is_vcpu ? 0 : *all.weight) << name;
    }
}

/// The program remembers where it charged a task: not once that depends on something else.
TEST_F(BpfUsage, a_thread_that_is_named_later_is_a_vcpu_from_then_on) {
    Spinner spinner(1, 0, "qemu-system-x86");
    ASSERT_TRUE(counter_->add(1, spinner.process(), ""));
    Spinner beside(1, 0);  // so that it is switched
    sleep_ms(200);
    Usage helper = sum(used_by(read(), 1).helpers);
    EXPECT_GT(helper.time_ns, 50 * ms);
    spinner.become_vcpu();
    sleep_ms(50);
    UsageReading first = read();
    sleep_ms(200);
    UsageReading second = read();
    EXPECT_EQ(sum(used_by(second, 1).helpers).time_ns, sum(used_by(first, 1).helpers).time_ns);
    EXPECT_GT(sum(used_by(second, 1).packages).time_ns, sum(used_by(first, 1).packages).time_ns + 50 * ms);
}

/// A switch ends a slice by the scheduler's clock, a reading by the monotonic one.
TEST_F(BpfUsage, readings_that_follow_one_another_lose_and_add_nothing) {
    Spinner spinner(1, 0);
    Spinner beside(1, 0);
    ASSERT_TRUE(counter_->add(1, spinner.process(), ""));
    ASSERT_TRUE(counter_->add(2, beside.process(), ""));
    Look before = look(spinner);
    uint64_t gaps = *read().cycles_gaps;  // some where switches came before the events
    for (int n = 0; n < 400; n++) {
        (void)read();
        sleep_ms(n % 5);
    }
    expect_agreement(before, look(spinner));
    EXPECT_EQ(*read().cycles_gaps, gaps);
}

/// A CPU remembers tasks by the last bits of their pids.
TEST_F(BpfUsage, domains_whose_tasks_displace_one_another_are_each_counted_by_themselves) {
    std::vector<std::unique_ptr<Spinner>> spinners;
    for (int tries = 0; spinners.size() < 3; tries++) {
        ASSERT_LT(tries, 20'000) << "others take the pids";
        auto next = std::make_unique<Spinner>(1, 0, spinners.empty() ? "CPU 0/KVM" : "spinner");
        ASSERT_GT(next->pid(), 0);
        if (spinners.empty() ||
            next->pid() % CPU_USAGE_RECENT_TASKS == spinners.front()->pid() % CPU_USAGE_RECENT_TASKS)
            spinners.push_back(std::move(next));
    }
    for (OwnerId id = 0; id < spinners.size(); id++)
        ASSERT_TRUE(counter_->add(id, spinners[id]->process(), ""));
    std::vector<Look> before;
    before.reserve(spinners.size());
    for (OwnerId id = 0; id < spinners.size(); id++) before.push_back(look(*spinners[id], id));
    sleep_ms(2000);
    for (OwnerId id = 0; id < spinners.size(); id++) {
        Look after = look(*spinners[id], id);
        EXPECT_GT(after.counted_ns - before[id].counted_ns, 100 * ms) << id;
        expect_agreement(before[id], after);
    }
    UsageReading reading = read();
    for (OwnerId id = 0; id < spinners.size(); id++) {
        uint64_t all_ns = sum(used_by(reading, id).packages).time_ns;
        EXPECT_EQ(sum(used_by(reading, id).helpers).time_ns, id == 0 ? 0 : all_ns) << id;
    }
}

TEST_F(BpfUsage, an_owner_that_has_ended_is_read_no_more_and_its_slot_is_used_again) {
    for (OwnerId id = 1; id < 10; id++) {
        Spinner spinner;
        ASSERT_TRUE(counter_->add(id, spinner.process(), ""));
        sleep_ms(20);
        ASSERT_TRUE(counter_->end(id, 0));
        EXPECT_EQ(read().owners.size(), 0U);
        counter_->forget(id);
        EXPECT_FALSE(counter_->end(id, 0));
    }
}

TEST_F(BpfUsage, a_process_with_another_start_is_refused) {
    Spinner spinner;
    Process other = spinner.process();
    other.start_ticks += 5;
    EXPECT_EQ(counter_->add(1, other, "").error().kind, ErrorKind::Gone);
}

/// Takes a CPU of this machine away for a moment, so it has to be asked for.
TEST_F(BpfUsage, a_cpu_that_was_offline_between_two_readings_counts_cycles_again) {
    if (!std::getenv("VIRT_POWER_TEST_HOTPLUG")) GTEST_SKIP() << "VIRT_POWER_TEST_HOTPLUG is not set";
    uint64_t gaps = *read().cycles_gaps;
    std::ofstream("/sys/devices/system/cpu/cpu1/online") << 0 << std::endl;
    sleep_ms(100);
    std::ofstream("/sys/devices/system/cpu/cpu1/online") << 1 << std::endl;
    Spinner spinner(1, 1);
    ASSERT_TRUE(counter_->add(1, spinner.process(), ""));
    sleep_ms(200);
    uint64_t mended = *read().cycles_gaps;
    EXPECT_GT(mended, gaps);
    sleep_ms(50);
    mended = *read().cycles_gaps;  // a slice in which the event was opened may end only now
    Usage before = owner(1);
    sleep_ms(300);
    EXPECT_EQ(*read().cycles_gaps, mended);
    Usage after = owner(1);
    expect_within(*after.cycles - *before.cycles, after.time_ns - before.time_ns, 0.01, 2 * ms);
}

TEST(BpfUsageEnd, is_told_with_what_ran_on_a_cpu_that_came_online_since_and_with_its_weight) {
    if (::sysconf(_SC_NPROCESSORS_ONLN) < 2) GTEST_SKIP() << "this machine has one CPU";
    FakeRoot root;
    root.cpus("0", {0});
    CpuTopology topology(root.path());
    ASSERT_TRUE(topology.refresh());
    BpfOptions options;
    options.cycles.reset();
    auto made = make_bpf_usage_counter(topology, options);
    if (!made) GTEST_SKIP() << made.error().message;
    Spinner spinner(1, 1);
    ASSERT_TRUE(made->counter->add(1, spinner.process(), ""));
    sleep_ms(200);
    EXPECT_EQ(used_by(*made->counter->read(), 1).packages.at(0).time_ns, 0U);
    root.cpus("0-1", {0, 0});
    ASSERT_TRUE(topology.refresh());
    std::optional<OwnerUsage> last = made->counter->end(1, boottime_ns());
    ASSERT_TRUE(last);
    EXPECT_GT(last->packages.at(0).time_ns, 20 * ms);
    // Nothing is weighed here, but it may be when the daemon shows what departed domains used.
    EXPECT_EQ(last->packages.at(0).weight, last->packages.at(0).time_ns);
}

/// The kernel's events, which can be stopped, and of which there may be none for a while.
class ShortOfEvents : public PerfSystem {
public:
    [[nodiscard]] Result<FileDescriptor> open(const PerfEvent& event, uint32_t cpu) const override {
        if (refusals_ > 0) {
            refusals_--;
            return Error{ErrorKind::Transient, EBUSY, "none is free"};
        }
        Result<FileDescriptor> opened = kernel().open(event, cpu);
        if (opened) last_[cpu] = FileDescriptor(::dup(opened->get()));
        return opened;
    }
    [[nodiscard]] Result<uint64_t> read(const FileDescriptor& event) const override {
        return kernel().read(event);
    }

    void stop(uint32_t cpu) { ASSERT_EQ(::ioctl(last_.at(cpu).get(), PERF_EVENT_IOC_DISABLE, 0), 0); }
    void refuse(int times) { refusals_ = times; }

private:
    mutable std::map<uint32_t, FileDescriptor> last_;
    mutable int refusals_ = 0;
};

TEST(BpfUsageMends, an_event_is_tried_again_after_a_second_where_none_was_free) {
    CpuTopology topology("/");
    ASSERT_TRUE(topology.refresh());
    ShortOfEvents perf;
    BpfOptions options;
    options.cycles = PerfEvent{PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_CLOCK, true};
    options.perf = &perf;
    auto made = make_bpf_usage_counter(topology, options);
    if (!made) GTEST_SKIP() << made.error().message;
    UsageCounter& counter = *made->counter;
    Spinner spinner(1, 0);
    ASSERT_TRUE(counter.add(1, spinner.process(), ""));
    auto gaps = [&] { return *counter.read()->cycles_gaps; };
    (void)gaps();
    perf.stop(0);
    perf.refuse(1);
    sleep_ms(100);
    uint64_t lost = gaps();  // and another one is asked for, which is refused
    sleep_ms(100);
    EXPECT_GT(gaps(), lost);
    sleep_ms(1000);
    (void)gaps();
    sleep_ms(50);
    uint64_t mended = gaps();
    sleep_ms(200);
    EXPECT_EQ(gaps(), mended);
}

}  // namespace
}  // namespace virt_power
