// SPDX-License-Identifier: LGPL-2.1-or-later
// What outlives a daemon, in a BPF file system of the test's own.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <bpf/bpf.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "bpf/cpu_usage.h"
#include "fake_root.hpp"
#include "mapped_array.hpp"
#include "spinner.hpp"
#include "usage_counter_bpf.hpp"
#include "used_by.hpp"

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
        options.warn = options.inform = [this](std::string_view text) {
            // That a spinner has no domain's cgroup is no news here.
            if (text.find("helper processes") == text.npos) messages_.emplace_back(text);
        };
        Result<BpfCounting> made = make_bpf_usage_counter(topology_, options);
        if (!made) GTEST_SKIP() << made.error().message;
        counting_ = std::move(*made);
        taken_ = counting_.counter->take_over([this] { return next_++; });
    }
    UsageReading read() { return *counting_.counter->read(); }
    [[nodiscard]] std::filesystem::path pins() const { return bpf_fs_ / "virt-power/run-a_2edaemon-qemu"; }

    /// What is pinned, for a test that changes it while no daemon is there.
    template <typename T>
    MappedArray<T> pinned(const char* name, size_t count) {
        FileDescriptor map(bpf_obj_get((pins() / name).c_str()));
        return std::move(*MappedArray<T>::map(map.get(), count));
    }
    /// Ends the daemon, changes something, and expects that the next one says this and begins anew.
    template <typename Change>
    void expect_anew(const char* what, Change change) {
        uint64_t epoch = counting_.counter->origin()->epoch;
        counting_ = {};
        change();
        open();
        EXPECT_FALSE(taken_) << what;
        EXPECT_THAT(messages_, ElementsAre(HasSubstr(what)));
        EXPECT_NE(counting_.counter->origin()->epoch, epoch) << what;
    }

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
    uint64_t before_ns = used_by(read(), 1).packages.at(0).time_ns;
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
    Usage usage = used_by(after, kept.id).packages.at(0);
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
    EXPECT_EQ(read().owners.size(), 0U);
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
    expect_anew("another layout", [&] { pinned<cpu_usage_settings>("settings", 1)[0].layout++; });
    expect_anew("another boot", [&] { pinned<cpu_usage_settings>("settings", 1)[0].boot_id[0] ^= 1; });
}

TEST_F(Pins, what_no_daemon_leaves_begins_anew) {
    expect_anew("ended while it wrote",
                [&] { pinned<cpu_usage_domain>("domains", CPU_USAGE_SLOTS)[7].state = CPU_USAGE_CHANGING; });
    expect_anew("holds what no daemon wrote",
                [&] { pinned<cpu_usage_domain>("domains", CPU_USAGE_SLOTS)[7].label_size = 9999; });
    expect_anew("a zone has no name", [&] {
        auto zones = pinned<cpu_usage_zone>("zones", CPU_USAGE_MAX_ZONES);
        std::memset(zones[0].name, 'x', sizeof(zones[0].name));
    });
    expect_anew("no such package", [&] {
        auto cpus = pinned<cpu_usage_cpu>("cpus", 2);
        cpus[0].package_plus_1 = cpus[1].package_plus_1 = 1'000'000;
        cpus[1].package_id = cpus[0].package_id;
    });
    expect_anew("contradict each other", [&] {
        auto cpus = pinned<cpu_usage_cpu>("cpus", 2);
        cpus[1].package_plus_1 = cpus[0].package_plus_1;
        cpus[1].package_id = cpus[0].package_id + 1;
    });
    counting_.zones->keep("package-0", "powercap", {5, 6, 7, 8, true});
    expect_anew("more energy than can be",
                [&] { pinned<cpu_usage_zone>("zones", CPU_USAGE_MAX_ZONES)[0].energy_uj = UINT64_MAX; });
    // Without the program nothing was counted meanwhile.
    expect_anew("on_switch", [&] { std::filesystem::remove(pins() / "on_switch"); });
}

TEST_F(Pins, a_zone_that_was_being_written_has_lost_its_place_and_keeps_its_sum) {
    counting_.zones->keep("package-0", "powercap", {5, 6, 7, 8, true});
    pinned<cpu_usage_zone>("zones", CPU_USAGE_MAX_ZONES)[0].writing |= 1;
    open();
    std::optional<EnergyCounter::State> found = counting_.zones->find("package-0", "powercap");
    ASSERT_TRUE(found);
    EXPECT_FALSE(found->raw_uj);
    EXPECT_EQ(found->energy_uj, 7U);
}

/// The scheduler's clock and the monotonic one drift apart; a minute may pass between two readings, or a day
/// without a daemon.
TEST_F(Pins, clocks_are_compared_while_nobody_reads) {
    Spinner spinner(1, 0);
    Spinner beside(1, 0);  // so that one follows the other
    uint64_t gaps = *read().cycles_gaps;
    sleep_ms(50);
    auto cpus = pinned<cpu_usage_cpu>("cpus", 1);
    int64_t apart_ns = load_once(cpus[0].apart_ns);
    cpus[0].apart_ns = apart_ns - 900'000;  // as in half an hour, or in two seconds at worst
    sleep_ms(1300);
    EXPECT_NEAR(static_cast<double>(load_once(cpus[0].apart_ns)), static_cast<double>(apart_ns), 200'000);
    EXPECT_EQ(*read().cycles_gaps, gaps);
}

TEST_F(Pins, one_pid_of_two_domains_is_the_later_ones) {
    Spinner spinner;
    Process process = spinner.process();
    ASSERT_TRUE(counting_.counter->add(1, process, "lives"));
    counting_ = {};
    // An earlier process of the same pid, whose end no daemon saw.
    auto domains = pinned<cpu_usage_domain>("domains", CPU_USAGE_SLOTS);
    cpu_usage_domain& ghost = domains[CPU_USAGE_SLOTS - 1];
    ghost.pid = static_cast<unsigned>(process.pid);
    ghost.start_ticks = process.start_ticks - 1;
    ghost.state = CPU_USAGE_RUNNING;
    open();
    ASSERT_EQ(taken_->owners.size(), 2U);
    OwnerId lives = taken_->owners[0].label == "lives" ? taken_->owners[0].id : taken_->owners[1].id;
    OwnerId dead = taken_->owners[0].label == "lives" ? taken_->owners[1].id : taken_->owners[0].id;
    (void)counting_.counter->end(dead, 0);
    uint64_t before_ns = used_by(read(), lives).packages.at(0).time_ns;
    sleep_ms(200);
    EXPECT_GT(used_by(read(), lives).packages.at(0).time_ns - before_ns, 20 * ms);
}

TEST_F(Pins, a_cpu_that_is_offline_at_a_restart_keeps_what_was_counted_there) {
    if (topology_.online_cpus().size() < 2) GTEST_SKIP() << "one CPU";
    FakeRoot two_packages;
    two_packages.cpus("0-1", {0, 3});
    topology_ = CpuTopology(two_packages.path());
    ASSERT_TRUE(topology_.refresh());
    expect_anew("begins anew", [&] { std::filesystem::remove(pins() / "owners"); });
    Spinner spinner(1, 1);
    ASSERT_TRUE(counting_.counter->add(1, spinner.process(), ""));
    sleep_ms(200);
    uint64_t used_ns = used_by(read(), 1).packages.at(1).time_ns;
    EXPECT_GT(used_ns, 20 * ms);
    for (const char* online : {"0", "0-1"}) {
        two_packages.cpus(online, {0, 3});
        // A CPU that is offline has no topology.
        if (online[1] == '\0') two_packages.remove("sys/devices/system/cpu/cpu1");
        topology_ = CpuTopology(two_packages.path());
        ASSERT_TRUE(topology_.refresh());
        open();
        ASSERT_TRUE(taken_) << online;
        EXPECT_THAT(topology_.package_ids(), ElementsAre(0, 3)) << online;
        uint64_t now_ns = used_by(read(), taken_->owners.at(0).id).packages.at(1).time_ns;
        EXPECT_GE(now_ns, used_ns) << online;
        EXPECT_LE(now_ns - used_ns, 3'000 * ms) << online;
        used_ns = now_ns;
    }
}

TEST_F(Pins, counting_otherwise_begins_anew) {
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

TEST_F(Pins, a_directory_of_another_user_and_a_link_are_not_used) {
    counting_ = {};
    ASSERT_EQ(::chown(pins().c_str(), 1234, 1234), 0);
    open();
    EXPECT_FALSE(taken_);
    EXPECT_THAT(messages_, ElementsAre(HasSubstr("belongs to user 1234")));
    counting_ = {};
    ASSERT_EQ(::chown(pins().c_str(), 0, 0), 0);
    std::filesystem::rename(pins(), pins().parent_path() / "elsewhere");
    std::filesystem::create_directory_symlink("elsewhere", pins());
    open();
    EXPECT_FALSE(taken_);
    EXPECT_THAT(messages_, ElementsAre(HasSubstr("what is counted does not outlive this daemon")));
    EXPECT_TRUE(counting_.counter->read());
}

TEST_F(Pins, without_descriptors_what_is_pinned_is_left_for_the_next_daemon) {
    uint64_t epoch = counting_.counter->origin()->epoch;
    rlimit before{};
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
    int next = ::dup(0);
    ::close(next);
    for (rlim_t more = 1; more < 24; more++) {
        counting_ = {};
        rlimit few{static_cast<rlim_t>(next) + more, before.rlim_max};
        ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &few), 0);
        BpfOptions options;
        options.cycles = PerfEvent{PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_CLOCK, true};
        options.bpf_fs = bpf_fs_;
        options.state_dir = "/run/a.daemon/qemu";
        (void)make_bpf_usage_counter(topology_, options);
        ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
        open();
        ASSERT_TRUE(taken_) << more << " descriptors";
        ASSERT_EQ(counting_.counter->origin()->epoch, epoch) << more << " descriptors";
    }
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

TEST_F(Pins, on_request_what_counts_is_ended_but_not_another_daemons) {
    BpfOptions options;
    options.bpf_fs = bpf_fs_;
    options.state_dir = "/run/a.daemon/qemu";
    EXPECT_EQ(remove_kept_counting(options).error().kind, ErrorKind::Transient) << "it is in use";
    FileDescriptor link(bpf_obj_get((pins() / "on_switch").c_str()));
    bpf_link_info info{};
    uint32_t size = sizeof(info);
    ASSERT_EQ(bpf_obj_get_info_by_fd(link.get(), &info, &size), 0);
    link = {};
    counting_ = {};
    EXPECT_TRUE(remove_kept_counting(options));
    EXPECT_FALSE(std::filesystem::exists(bpf_fs_ / "virt-power"));
    EXPECT_TRUE(remove_kept_counting(options)) << "there is nothing any more";
    FileDescriptor gone;
    for (int n = 0; n < 100; n++) {  // the kernel takes a moment
        gone = FileDescriptor(bpf_link_get_fd_by_id(info.id));
        if (!gone) break;
        gone = {};
        sleep_ms(20);
    }
    EXPECT_FALSE(gone) << "the program still runs at each switch";
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
