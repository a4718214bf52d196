// SPDX-License-Identifier: LGPL-2.1-or-later
// What outlives a daemon, in a BPF file system of the test's own.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "bpf/cpu_usage.h"
#include "fake_root.hpp"
#include "spinner.hpp"
#include "usage_counter_bpf.hpp"

namespace virt_power {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr uint64_t ms = 1'000'000;

class Pins : public testing::Test {
protected:
    void SetUp() override {
        // Nobody else sees the mount, and it goes with this process.
        if (::unshare(CLONE_NEWNS) != 0 || ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
            GTEST_SKIP() << "no mount namespace of its own: not root?";
        bpf_fs_ = root_.path() / "bpf";
        std::filesystem::create_directories(bpf_fs_);
        if (::mount("bpf", bpf_fs_.c_str(), "bpf", 0, "mode=0700") != 0) GTEST_SKIP() << "no BPF file system";
        mounted_ = true;
        ASSERT_TRUE(topology_.refresh());
        open();
    }
    void TearDown() override {
        counting_ = {};
        if (mounted_) ::umount2(bpf_fs_.c_str(), MNT_DETACH);
    }

    void open(bool cycles = true) {
        counting_ = {};
        messages_.clear();
        BpfOptions options;
        options.cycles.reset();
        if (cycles) options.cycles = PerfEvent{PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_CLOCK, true};
        options.bpf_fs = bpf_fs_;
        options.state_dir = "/run/a.daemon/qemu";
        options.pin = pin_;
        options.warn = options.inform = [this](std::string_view text) { messages_.emplace_back(text); };
        Result<BpfCounting> made = make_bpf_usage_counter(topology_, options);
        if (!made) GTEST_SKIP() << made.error().message;
        counting_ = std::move(*made);
        taken_ = counting_.counter->take_over([this] { return next_++; });
    }
    UsageReading read() { return *counting_.counter->read(); }
    [[nodiscard]] std::filesystem::path pins() const { return bpf_fs_ / "virt-power/run-a_2edaemon-qemu"; }

    FakeRoot root_;
    std::filesystem::path bpf_fs_;
    bool mounted_ = false;
    bool pin_ = true;
    CpuTopology topology_{"/"};
    BpfCounting counting_;
    std::optional<KeptUsage> taken_;
    OwnerId next_ = 100;
    std::vector<std::string> messages_;
};

TEST_F(Pins, a_first_daemon_takes_nothing_over) {
    EXPECT_FALSE(taken_);
    EXPECT_THAT(messages_, IsEmpty());
    struct stat status {};
    ASSERT_EQ(::stat(pins().c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777, 0700U);
}

TEST_F(Pins, counting_goes_on_while_no_daemon_is_there) {
    Origin origin = *counting_.counter->origin();
    Spinner spinner;
    ASSERT_TRUE(counting_.counter->add(1, spinner.process(), "a label"));
    sleep_ms(100);
    uint64_t before_ns = read().owners.at(1).packages.at(0).time_ns;
    uint64_t rest_ns = read().rest.at(0).time_ns;
    uint64_t gaps = *read().cycles_gaps;
    counting_ = {};
    uint64_t kernel_ns = spinner.cpu_ns();
    sleep_ms(500);
    open();
    kernel_ns = spinner.cpu_ns() - kernel_ns;
    EXPECT_THAT(messages_, IsEmpty());
    ASSERT_TRUE(taken_);
    ASSERT_EQ(taken_->owners.size(), 1U);
    const KeptOwner& kept = taken_->owners[0];
    EXPECT_EQ(kept.label, "a label");
    EXPECT_EQ(kept.process, spinner.process());
    EXPECT_FALSE(kept.ended_ns);
    EXPECT_EQ(counting_.counter->origin()->epoch, origin.epoch);
    EXPECT_EQ(counting_.counter->origin()->start_ns, origin.start_ns);
    UsageReading after = read();
    const Usage& usage = after.owners.at(kept.id).packages.at(0);
    EXPECT_NEAR(static_cast<double>(usage.time_ns - before_ns), static_cast<double>(kernel_ns), 30.0 * ms);
    EXPECT_NEAR(static_cast<double>(*usage.cycles), static_cast<double>(usage.time_ns), 30.0 * ms)
        << "its event counted on";
    EXPECT_GE(after.rest.at(0).time_ns, rest_ns);
    EXPECT_EQ(*after.cycles_gaps, gaps);
}

TEST_F(Pins, use_goes_on_weighing_as_it_did) {
    const Weighing weighing{600, 300, 121, true};
    counting_.counter->weigh(weighing);
    open();
    ASSERT_TRUE(taken_);
    EXPECT_EQ(read().weighing, weighing);
}

TEST_F(Pins, what_ended_stays_what_it_was_and_what_is_forgotten_stays_in_the_sum) {
    for (OwnerId id = 1; id <= 3; id++) {
        Spinner spinner;
        ASSERT_TRUE(counting_.counter->add(id, spinner.process(), "life " + std::to_string(id)));
        sleep_ms(30);
        ASSERT_TRUE(counting_.counter->end(id, id));
    }
    counting_.counter->forget(1);
    open();
    ASSERT_TRUE(taken_);
    ASSERT_EQ(taken_->owners.size(), 2U);
    for (const KeptOwner& kept : taken_->owners) {
        EXPECT_TRUE(kept.ended_ns);
        EXPECT_GT(kept.used.packages.at(0).time_ns, 5 * ms);
    }
    EXPECT_GT(taken_->forgotten.at(0).time_ns, 5 * ms);
    EXPECT_THAT(read().owners, IsEmpty());
    uint64_t sum_ns = taken_->forgotten[0].time_ns + taken_->owners[0].used.packages[0].time_ns;
    counting_.counter->forget(taken_->owners[0].id);
    open();
    ASSERT_EQ(taken_->owners.size(), 1U);
    EXPECT_EQ(taken_->forgotten[0].time_ns, sum_ns);
}

TEST_F(Pins, one_that_ended_meanwhile_keeps_what_it_used) {
    Spinner spinner;
    ASSERT_TRUE(counting_.counter->add(1, spinner.process(), ""));
    counting_ = {};
    sleep_ms(100);
    uint64_t kernel_ns = spinner.cpu_ns();
    spinner.end();
    Spinner other;  // whoever runs now is not the domain
    sleep_ms(100);
    open();
    ASSERT_EQ(taken_->owners.size(), 1U);
    std::optional<OwnerUsage> last = counting_.counter->end(taken_->owners[0].id, 0);
    ASSERT_TRUE(last);
    EXPECT_NEAR(static_cast<double>(last->packages.at(0).time_ns), static_cast<double>(kernel_ns), 20.0 * ms);
}

TEST_F(Pins, a_second_daemon_at_the_same_place_counts_alone) {
    BpfCounting first = std::move(counting_);
    open();
    EXPECT_FALSE(taken_);
    EXPECT_THAT(messages_, ElementsAre(HasSubstr("another daemon holds")));
    EXPECT_TRUE(counting_.counter->read());
}

TEST_F(Pins, another_layout_or_boot_begins_anew) {
    Origin origin = *counting_.counter->origin();
    open(false);  // without cycles: counted otherwise
    EXPECT_FALSE(taken_);
    EXPECT_THAT(messages_, ElementsAre(HasSubstr("counting begins anew")));
    EXPECT_NE(counting_.counter->origin()->epoch, origin.epoch);
    open(false);
    EXPECT_TRUE(taken_) << "what began anew goes on";
}

TEST_F(Pins, foreign_and_missing_pins_begin_anew) {
    counting_ = {};
    ASSERT_TRUE(std::filesystem::remove(pins() / "owners"));
    open();
    EXPECT_FALSE(taken_);
    EXPECT_THAT(messages_, ElementsAre(HasSubstr("owners")));
    counting_ = {};
    std::filesystem::remove(pins() / "usage");
    std::filesystem::rename(pins() / "zones", pins() / "usage");
    open();
    EXPECT_FALSE(taken_);
    EXPECT_THAT(messages_, ElementsAre(HasSubstr("counting begins anew")));
    open();
    EXPECT_TRUE(taken_);
}

TEST_F(Pins, a_directory_that_others_may_enter_is_not_used) {
    counting_ = {};
    std::filesystem::permissions(pins(), std::filesystem::perms{0755});
    open();
    EXPECT_FALSE(taken_);
    EXPECT_THAT(messages_, ElementsAre(HasSubstr("is open to others")));
    EXPECT_TRUE(counting_.counter->read());
}

TEST_F(Pins, where_no_bpf_file_system_is_nothing_is_kept) {
    counting_ = {};
    bpf_fs_ = root_.path();
    open();
    EXPECT_FALSE(taken_);
    EXPECT_THAT(messages_, ElementsAre(HasSubstr("no BPF file system")));
    bpf_fs_ = root_.path() / "bpf";
}

TEST_F(Pins, without_pin_what_was_kept_is_removed) {
    counting_ = {};
    pin_ = false;
    open();
    EXPECT_FALSE(taken_);
    EXPECT_FALSE(std::filesystem::exists(bpf_fs_ / "virt-power"));
}

TEST_F(Pins, zones_are_kept) {
    EnergyCounter::State state{5, 6, 7, 8, true};
    EXPECT_FALSE(counting_.zones->find("package-0", "powercap"));
    counting_.zones->keep("package-0", "powercap", state);
    counting_.zones->keep("package-1", "powercap", {std::nullopt, 0, 70, 80, false});
    counting_.zones->keep(std::string(200, 'n'), "powercap", state);
    open();
    std::optional<EnergyCounter::State> found = counting_.zones->find("package-0", "powercap");
    ASSERT_TRUE(found);
    EXPECT_EQ(found->raw_uj, 5U);
    EXPECT_EQ(found->raw_ns, 6U);
    EXPECT_EQ(found->energy_uj, 7U);
    EXPECT_EQ(found->gaps, 8U);
    EXPECT_TRUE(found->moved);
    found = counting_.zones->find("package-1", "powercap");
    ASSERT_TRUE(found);
    EXPECT_FALSE(found->raw_uj);
    EXPECT_EQ(found->energy_uj, 70U);
    EXPECT_FALSE(counting_.zones->find("package-0", "perf"));
}

}  // namespace
}  // namespace virt_power
