// SPDX-License-Identifier: LGPL-2.1-or-later
// What stood before the daemon's first change comes back.
#include <gmock/gmock.h>

#include "cpufreq_host.hpp"

namespace virt_power {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

const std::vector<Knob> cpu_knobs = {Knob::Governor, Knob::Frequency, Knob::EnergyPreference,
                                     Knob::HostFrequency};

class CpufreqRestore : public CpufreqHost {
protected:
    /// All of it comes back.
    KnobRestore restore(const std::vector<Knob>& knobs, const CpuSelection& selection = {}) {
        KnobRestore result = cpufreq().restore(selection, knobs);
        for (const KnobError& failure : result.failures) ADD_FAILURE() << failure.what();
        return result;
    }
};

TEST_F(CpufreqRestore, without_a_change_there_is_nothing_to_do) {
    four_cpus();
    EXPECT_THAT(restore(cpu_knobs).restored, IsEmpty());
    EXPECT_THAT(kernel_.writes, IsEmpty());
}

TEST_F(CpufreqRestore, limits_that_the_kernel_applies_later_are_waited_for) {
    four_cpus();
    for (uint32_t cpu = 0; cpu < 4; cpu++)
        for (const char* file : {"scaling_min_freq", "scaling_max_freq"}) kernel_.late(name(cpu, file), 40ms);
    (void)cpufreq().set_frequency({}, {1000000, 2000000, {}});
    EXPECT_EQ(get(3, "scaling_max_freq"), "2000000");
    EXPECT_THAT(restore({Knob::Frequency}).restored, SizeIs(8));
    for (uint32_t cpu = 0; cpu < 4; cpu++) {
        EXPECT_EQ(get(cpu, "scaling_min_freq"), "800000");
        EXPECT_EQ(get(cpu, "scaling_max_freq"), "2400000");
    }
}

TEST_F(CpufreqRestore, what_stood_before_the_first_of_several_changes_after_a_restart) {
    four_cpus();
    (void)cpufreq().set_governor({}, "powersave");
    restart();
    (void)cpufreq().set_governor({}, "performance");
    restart();
    KnobRestore result = restore({Knob::Governor});
    ASSERT_THAT(result.restored, SizeIs(4));
    EXPECT_EQ(result.restored[0].subject, "CPU 0");
    EXPECT_EQ(result.restored[0].before, "performance");
    EXPECT_EQ(result.restored[0].after, "ondemand");
    for (uint32_t cpu = 0; cpu < 4; cpu++) EXPECT_EQ(get(cpu, "scaling_governor"), "ondemand");
    EXPECT_THAT(restore({Knob::Governor}).restored, IsEmpty()) << "it was forgotten";
    restart();
    EXPECT_THAT(journal_->records(cpu_knobs), IsEmpty());
}

TEST_F(CpufreqRestore, of_another_boot_nothing_is_known) {
    four_cpus();
    (void)cpufreq().set_governor({}, "powersave");
    journal_.emplace(state(), "another-boot", warn_);
    EXPECT_THAT(restore({Knob::Governor}).restored, IsEmpty());
    EXPECT_EQ(get(0, "scaling_governor"), "powersave");
    EXPECT_THAT(warnings_, IsEmpty());
}

TEST_F(CpufreqRestore, of_some_cpus_and_some_knobs) {
    four_cpus();
    (void)cpufreq().set_governor({}, "powersave");
    (void)cpufreq().set_frequency({}, {{}, 1600000, {}});
    EXPECT_THAT(restore({Knob::Governor}, Cpus{1, 2}).restored, SizeIs(2));
    EXPECT_EQ(get(0, "scaling_governor"), "powersave");
    EXPECT_EQ(get(1, "scaling_governor"), "ondemand");
    EXPECT_EQ(get(1, "scaling_max_freq"), "1600000");
    EXPECT_THAT(restore({Knob::Frequency}, Cpus{1}).restored, SizeIs(1));
    EXPECT_EQ(get(1, "scaling_max_freq"), "2400000");
    EXPECT_THAT(restore(cpu_knobs).restored, SizeIs(2 + 3));
}

TEST_F(CpufreqRestore, limits_in_an_order_that_is_good_in_between) {
    four_cpus();
    put(0, "scaling_max_freq", "1000000");
    watch_limits();
    (void)cpufreq().set_frequency(Cpus{0}, {2000000, 2400000, {}});
    EXPECT_THAT(restore({Knob::Frequency}).restored, SizeIs(2));
    EXPECT_EQ(get(0, "scaling_min_freq"), "800000");
    EXPECT_EQ(get(0, "scaling_max_freq"), "1000000");
    put(1, "scaling_min_freq", "2200000");
    (void)cpufreq().set_frequency(Cpus{1}, {800000, 1000000, {}});
    EXPECT_THAT(restore({Knob::Frequency}).restored, SizeIs(2));
    EXPECT_EQ(get(1, "scaling_min_freq"), "2200000");
    EXPECT_EQ(get(1, "scaling_max_freq"), "2400000");
}

TEST_F(CpufreqRestore, userspace_comes_back_with_its_frequency_once_the_limits_are_back) {
    four_cpus();
    put(0, "scaling_governor", "userspace");
    put(0, "scaling_setspeed", "2000000");
    play_userspace(0);
    (void)cpufreq().set_governor(Cpus{0}, "powersave");
    (void)cpufreq().set_frequency(Cpus{0}, {{}, 1000000, {}});
    EXPECT_EQ(get(0, "scaling_setspeed"), "<unsupported>");
    kernel_.writes.clear();
    EXPECT_THAT(restore(cpu_knobs).restored, SizeIs(3));
    EXPECT_THAT(kernel_.writes, ElementsAre("cpu0/cpufreq/scaling_governor=userspace",
                                            "cpu0/cpufreq/scaling_max_freq=2400000",
                                            "cpu0/cpufreq/scaling_setspeed=2000000"));
    EXPECT_THAT(journal_->records(cpu_knobs), IsEmpty());
}

TEST_F(CpufreqRestore, the_governor_alone_brings_its_frequency_along) {
    four_cpus();
    put(0, "scaling_governor", "userspace");
    put(0, "scaling_setspeed", "800000");
    play_userspace(0);
    (void)cpufreq().set_governor(Cpus{0}, "powersave");
    EXPECT_THAT(restore({Knob::Frequency}).restored, IsEmpty()) << "it must wait for the governor";
    EXPECT_THAT(restore({Knob::Governor}).restored, SizeIs(2));
    EXPECT_EQ(get(0, "scaling_setspeed"), "800000");
    EXPECT_THAT(journal_->records(cpu_knobs), IsEmpty());
}

TEST_F(CpufreqRestore, a_frequency_of_a_governor_that_went_is_forgotten) {
    four_cpus();
    play_userspace(0);
    (void)cpufreq().set_governor(Cpus{0}, "userspace");
    (void)cpufreq().set_frequency(Cpus{0}, {{}, {}, 800000});
    EXPECT_THAT(journal_->records(cpu_knobs), SizeIs(2));
    EXPECT_THAT(restore({Knob::Governor}).restored, SizeIs(1));
    EXPECT_EQ(get(0, "scaling_governor"), "ondemand");
    EXPECT_THAT(journal_->records(cpu_knobs), IsEmpty());
}

TEST_F(CpufreqRestore, a_frequency_under_userspace_comes_back_alone) {
    four_cpus();
    play_userspace(0);
    (void)cpufreq().set_governor(Cpus{0}, "userspace");
    (void)cpufreq().set_frequency(Cpus{0}, {{}, {}, 800000});
    EXPECT_THAT(restore({Knob::Frequency}).restored, SizeIs(1));
    EXPECT_EQ(get(0, "scaling_setspeed"), "1600000");
    EXPECT_THAT(journal_->records(cpu_knobs), SizeIs(1)) << "the governor's";
}

TEST_F(CpufreqRestore, preferences_percentages_and_turbo) {
    intel_pstate();
    watch_limits();
    (void)cpufreq().set_frequency({}, {{}, {}, {}, "power"});
    (void)cpufreq().set_frequency({}, {{}, {}, {}, {}, {30, 20, false}});
    EXPECT_THAT(restore(cpu_knobs).restored, SizeIs(2 + 3));
    EXPECT_EQ(get(1, "energy_performance_preference"), "balance_performance");
    EXPECT_EQ(kernel_.read("intel_pstate/max_perf_pct"), "100");
    EXPECT_EQ(kernel_.read("intel_pstate/min_perf_pct"), "33");
    EXPECT_EQ(kernel_.read("intel_pstate/no_turbo"), "0");
}

TEST_F(CpufreqRestore, boost) {
    four_cpus();
    kernel_.put("cpufreq/boost", "1");
    (void)cpufreq().set_frequency({}, {{}, {}, {}, {}, {{}, {}, false}});
    EXPECT_THAT(restore({Knob::HostFrequency}, Cpus{0}).restored, IsEmpty()) << "it is not CPU 0's alone";
    EXPECT_THAT(restore({Knob::HostFrequency}).restored, SizeIs(1));
    EXPECT_EQ(kernel_.read("cpufreq/boost"), "1");
}

TEST_F(CpufreqRestore, one_failure_does_not_hold_up_the_others_and_is_kept) {
    four_cpus();
    (void)cpufreq().set_governor({}, "powersave");
    kernel_.refuses(name(1, "scaling_governor"), EBUSY);
    kernel_.rounds(name(2, "scaling_governor"), [](const std::string&) { return "schedutil"; });
    KnobRestore result = cpufreq().restore({}, {Knob::Governor});
    EXPECT_THAT(result.restored, SizeIs(2));
    ASSERT_THAT(result.failures, SizeIs(2));
    EXPECT_STREQ(result.failures[0].what(),
                 "CPU 1: scaling_governor could not be put back to ondemand: Device or resource busy");
    EXPECT_THAT(result.failures[1].what(), HasSubstr("it reads 'schedutil'"));
    kernel_.takes(name(1, "scaling_governor"));
    restart();
    EXPECT_THAT(cpufreq().restore(Cpus{1}, {Knob::Governor}).restored, SizeIs(1));
    EXPECT_EQ(get(1, "scaling_governor"), "ondemand");
}

TEST_F(CpufreqRestore, a_cpu_that_is_offline_is_restored_when_it_is_back) {
    four_cpus();
    (void)cpufreq().set_governor({}, "powersave");
    offline(3, "0-2");
    KnobRestore result = cpufreq().restore({}, {Knob::Governor});
    EXPECT_THAT(result.restored, SizeIs(3));
    ASSERT_THAT(result.failures, SizeIs(1));
    EXPECT_EQ(result.failures[0].kind(), KnobErrorKind::OperationInvalid);
    EXPECT_THAT(result.failures[0].what(), HasSubstr("CPU 3 is offline"));
    EXPECT_EQ(error_of([&] { (void)cpufreq().restore(Cpus{3}, {Knob::Governor}); }).kind(),
              KnobErrorKind::OperationInvalid);
    root_.file(base + "online", "0-3\n");
    EXPECT_THAT(restore({Knob::Governor}).restored, SizeIs(1));
}

TEST_F(CpufreqRestore, a_policy_is_known_by_its_first_cpu_also_while_that_is_offline) {
    root_.cpus("0-1", {0, 0});
    policy(0, {0, 1});
    (void)cpufreq().set_governor({}, "powersave");
    offline(0, "1");
    put(1, "affected_cpus", "1");
    EXPECT_THAT(restore({Knob::Governor}).restored, SizeIs(1));
    EXPECT_EQ(get(1, "scaling_governor"), "ondemand");
}

TEST_F(CpufreqRestore, what_a_file_says_of_other_places_is_never_written_to) {
    four_cpus();
    root_.file("secret", "mine\n");
    (void)journal_->record({{Knob::Governor, "../../../../../secret", "scaling_governor", "x"},
                            {Knob::Governor, "cpu0", "../../../../../../secret", "x"},
                            {Knob::HostFrequency, "intel_pstate/../../../../..", "secret", "x"},
                            {Knob::Governor, "cpu99", "scaling_governor", "x"},
                            {Knob::Governor, "cpufreq", "boost", "x"}});
    KnobRestore result = cpufreq().restore({}, {Knob::Governor, Knob::HostFrequency});
    EXPECT_THAT(kernel_.writes, IsEmpty());
    EXPECT_THAT(result.restored, IsEmpty());
    EXPECT_THAT(result.failures, SizeIs(2)) << "cpu99, and boost, which is not there";
}

}  // namespace
}  // namespace virt_power
