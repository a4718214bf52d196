// SPDX-License-Identifier: LGPL-2.1-or-later
// What Cpufreq sets, and what it refuses.
#include <gmock/gmock.h>

#include <thread>

#include "cpufreq_host.hpp"

namespace virt_power {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using testing::StartsWith;

const std::vector<Knob> cpu_knobs = {Knob::Governor, Knob::Frequency, Knob::EnergyPreference,
                                     Knob::HostFrequency};

class CpufreqSet : public CpufreqHost {
protected:
    /// The call is refused, and the kernel was not asked.
    template <typename Call>
    void expect_refused(KnobErrorKind kind, const std::string& words, Call call) {
        size_t before = kernel_.writes.size();
        KnobError error = error_of(call);
        EXPECT_EQ(error.kind(), kind) << error.what();
        EXPECT_THAT(error.what(), HasSubstr(words));
        EXPECT_EQ(kernel_.writes.size(), before);
        EXPECT_THAT(journal_->records(cpu_knobs), IsEmpty());
    }
    void expect_bad_frequency(const FrequencyRequest& request, const std::string& words) {
        expect_refused(KnobErrorKind::InvalidArgument, words,
                       [&] { (void)cpufreq().set_frequency({}, request); });
    }
};

TEST_F(CpufreqSet, a_governor_on_every_cpu) {
    four_cpus();
    std::vector<KnobChange> changes = cpufreq().set_governor({}, "powersave");
    ASSERT_THAT(changes, SizeIs(4));
    EXPECT_EQ(changes[3].subject, "CPU 3");
    EXPECT_THAT(changes[3].cpus, ElementsAre(3));
    EXPECT_EQ(changes[3].file, "scaling_governor");
    EXPECT_EQ(changes[3].before, "ondemand");
    EXPECT_EQ(changes[3].asked, "powersave");
    EXPECT_EQ(changes[3].after, "powersave");
    for (uint32_t cpu = 0; cpu < 4; cpu++) EXPECT_EQ(get(cpu, "scaling_governor"), "powersave");
    EXPECT_THAT(journal_->records({Knob::Governor}), SizeIs(4));
}

TEST_F(CpufreqSet, a_governor_on_some_cpus) {
    four_cpus();
    EXPECT_THAT(cpufreq().set_governor(Cpus{2, 0, 2}, "performance"), SizeIs(2));
    EXPECT_EQ(get(0, "scaling_governor"), "performance");
    EXPECT_EQ(get(1, "scaling_governor"), "ondemand");
    EXPECT_EQ(get(2, "scaling_governor"), "performance");
}

TEST_F(CpufreqSet, one_cpu_of_a_policy_sets_all_of_it_and_that_is_told) {
    root_.cpus("0-2", {0, 0, 0, 0});
    policy(0, {0, 1});
    policy(2, {2, 3}, {2});
    std::vector<KnobChange> changes = cpufreq().set_governor(Cpus{1}, "powersave");
    ASSERT_THAT(changes, SizeIs(1));
    EXPECT_THAT(changes[0].cpus, ElementsAre(0, 1));
    EXPECT_EQ(changes[0].subject, "CPUs 0-1");
    EXPECT_THAT(cpufreq().set_governor({}, "performance"), SizeIs(2));
    EXPECT_THAT(kernel_.writes, SizeIs(3)) << "a policy is written once";
}

TEST_F(CpufreqSet, an_unknown_governor_is_refused_with_those_offered) {
    four_cpus();
    for (const char* name : {"turbo", "", "../../x", "ONDEMAND", "ondemand ", "ondemand\npowersave"})
        expect_refused(KnobErrorKind::InvalidArgument,
                       "offered are: userspace, ondemand, performance, powersave",
                       [&] { (void)cpufreq().set_governor({}, name); });
    expect_refused(KnobErrorKind::InvalidArgument, "there is no governor 'turbo' for CPU 1",
                   [&] { (void)cpufreq().set_governor(Cpus{1}, "turbo"); });
    expect_refused(KnobErrorKind::InvalidArgument, "...'",
                   [&] { (void)cpufreq().set_governor({}, std::string(100000, 'x')); });
}

TEST_F(CpufreqSet, a_governor_that_one_cpu_does_not_offer_is_refused) {
    four_cpus();
    put(2, "scaling_available_governors", "performance powersave");
    expect_refused(
        KnobErrorKind::InvalidArgument,
        "there is no governor 'ondemand' for all of these CPUs; offered are: performance, powersave",
        [&] { (void)cpufreq().set_governor({}, "ondemand"); });
    put(3, "scaling_available_governors", "schedutil");
    expect_refused(KnobErrorKind::InvalidArgument, "offered are: none",
                   [&] { (void)cpufreq().set_governor({}, "ondemand"); });
    EXPECT_THAT(cpufreq().set_governor(Cpus{0, 1}, "powersave"), SizeIs(2));
}

TEST_F(CpufreqSet, cpus_that_cannot_be_set_are_named) {
    four_cpus();
    offline(3, "0-2");
    root_.remove(base + "cpu1/cpufreq");
    auto on = [this](const CpuSelection& cpus) {
        return [this, cpus] { (void)cpufreq().set_governor(cpus, "powersave"); };
    };
    expect_refused(KnobErrorKind::OperationInvalid, "CPU 3 is offline", on(Cpus{0, 3}));
    expect_refused(KnobErrorKind::InvalidArgument, "there is no CPU 4095", on(Cpus{0, 4095}));
    expect_refused(KnobErrorKind::InvalidArgument, "the list of CPUs is empty", on(Cpus{}));
    expect_refused(KnobErrorKind::Unsupported, "CPU 1 has no cpufreq driver", on(Cpus{0, 1}));
    expect_refused(KnobErrorKind::Unsupported, "CPU 1 has no cpufreq driver", on({}));
    root_.remove(base + "cpufreq/policy2/scaling_available_governors");
    expect_refused(KnobErrorKind::Unsupported, "CPU 2: the driver offers no governors", on(Cpus{2}));
}

TEST_F(CpufreqSet, a_refusal_puts_the_others_back_and_names_the_cpu_and_the_reason) {
    four_cpus();
    kernel_.refuses(name(2, "scaling_governor"), EBUSY);
    KnobError error = error_of([&] { (void)cpufreq().set_governor({}, "powersave"); });
    EXPECT_EQ(error.kind(), KnobErrorKind::Failed);
    EXPECT_STREQ(
        error.what(),
        "CPU 2: cannot set scaling_governor to powersave: Device or resource busy; what was changed is "
        "put back");
    for (uint32_t cpu = 0; cpu < 4; cpu++) EXPECT_EQ(get(cpu, "scaling_governor"), "ondemand");
    EXPECT_THAT(
        kernel_.writes,
        ElementsAre("cpu0/cpufreq/scaling_governor=powersave", "cpu1/cpufreq/scaling_governor=powersave",
                    "cpu2/cpufreq/scaling_governor=powersave", "cpu1/cpufreq/scaling_governor=ondemand",
                    "cpu0/cpufreq/scaling_governor=ondemand"));
    EXPECT_THAT(journal_->records(cpu_knobs), IsEmpty()) << "all is as it was";
}

TEST_F(CpufreqSet, a_refusal_of_the_first_changes_nothing) {
    four_cpus();
    kernel_.refuses(name(0, "scaling_governor"), EINVAL);
    EXPECT_STREQ(error_of([&] { (void)cpufreq().set_governor({}, "powersave"); }).what(),
                 "CPU 0: cannot set scaling_governor to powersave: Invalid argument; nothing was changed");
}

TEST_F(CpufreqSet, a_drivers_own_number_is_a_reason_too) {
    four_cpus();
    kernel_.refuses(name(0, "scaling_governor"), 524);
    EXPECT_THAT(error_of([&] { (void)cpufreq().set_governor({}, "powersave"); }).what(),
                HasSubstr("to powersave: error 524;"));
}

TEST_F(CpufreqSet, what_cannot_be_put_back_is_said_and_stays_in_the_journal) {
    four_cpus();
    kernel_.refuses(name(2, "scaling_governor"), EIO);
    kernel_.refuses(name(0, "scaling_governor"), EINVAL, 1);  // takes the change, not the way back
    std::string what = error_of([&] { (void)cpufreq().set_governor({}, "powersave"); }).what();
    EXPECT_EQ(
        what,
        "CPU 2: cannot set scaling_governor to powersave: Input/output error; CPU 0: scaling_governor could "
        "not be put back to ondemand: Invalid argument");
    EXPECT_EQ(get(1, "scaling_governor"), "ondemand");
    EXPECT_EQ(journal_->find("cpu0", "scaling_governor")->value, "ondemand");
}

TEST_F(CpufreqSet, a_cpu_that_vanishes_in_between_puts_the_others_back) {
    four_cpus();
    kernel_.after_write([this](const std::string& file) {
        if (file.starts_with("cpu1/")) root_.remove(base + "cpufreq/policy2");
    });
    EXPECT_THAT(
        error_of([&] { (void)cpufreq().set_governor({}, "powersave"); }).what(),
        AllOf(StartsWith("CPU 2: "), HasSubstr("No such file or directory"), HasSubstr("is put back")));
    EXPECT_EQ(get(0, "scaling_governor"), "ondemand");
    EXPECT_EQ(get(1, "scaling_governor"), "ondemand");
}

TEST_F(CpufreqSet, a_cpu_that_vanishes_before_it_is_read_back_is_said) {
    four_cpus();
    kernel_.after_write([this](const std::string& file) {
        if (file.starts_with("cpu1/")) root_.remove(base + "cpufreq/policy1");
    });
    EXPECT_THAT(
        error_of([&] { (void)cpufreq().set_governor({}, "powersave"); }).what(),
        AllOf(StartsWith("CPU 1: cannot set"), HasSubstr("CPU 1: scaling_governor could not be put back")));
    EXPECT_EQ(get(0, "scaling_governor"), "ondemand");
}

TEST_F(CpufreqSet, a_governor_that_reads_otherwise_is_an_error) {
    four_cpus();
    kernel_.rounds(name(1, "scaling_governor"), [](const std::string&) { return "ondemand"; });
    EXPECT_THAT(
        error_of([&] { (void)cpufreq().set_governor({}, "powersave"); }).what(),
        HasSubstr("CPU 1: cannot set scaling_governor to powersave: it reads 'ondemand'; what was changed"));
    EXPECT_EQ(get(0, "scaling_governor"), "ondemand");
}

TEST_F(CpufreqSet, the_way_back_to_userspace_brings_its_frequency_back) {
    four_cpus();
    play_userspace(0);
    put(0, "scaling_governor", "userspace");
    put(0, "scaling_setspeed", "800000");
    kernel_.refuses(name(1, "scaling_governor"), EBUSY);
    (void)error_of([&] { (void)cpufreq().set_governor({}, "powersave"); });
    EXPECT_EQ(get(0, "scaling_governor"), "userspace");
    EXPECT_EQ(get(0, "scaling_setspeed"), "800000");
}

TEST_F(CpufreqSet, limits_and_what_the_kernel_made_of_them) {
    four_cpus();
    watch_limits();
    kernel_.rounds(name(1, "scaling_max_freq"), [](const std::string&) { return "1600000"; });
    std::vector<KnobChange> changes = cpufreq().set_frequency(Cpus{1}, {1000000, 2000000, {}});
    ASSERT_THAT(changes, SizeIs(2));
    EXPECT_EQ(changes[0].file, "scaling_min_freq");
    EXPECT_EQ(changes[0].after, "1000000");
    EXPECT_EQ(changes[1].asked, "2000000");
    EXPECT_EQ(changes[1].after, "1600000");
    EXPECT_EQ(changes[1].before, "2400000");
}

TEST_F(CpufreqSet, limits_that_the_kernel_applies_later_are_waited_for) {
    four_cpus();
    for (uint32_t cpu = 0; cpu < 4; cpu++)
        for (const char* file : {"scaling_min_freq", "scaling_max_freq"}) kernel_.late(name(cpu, file), 40ms);
    kernel_.rounds(name(1, "scaling_max_freq"), [](const std::string&) { return "1600000"; });
    std::vector<KnobChange> changes = cpufreq().set_frequency({}, {1000000, 2000000, {}});
    ASSERT_THAT(changes, SizeIs(8));
    for (const KnobChange& change : changes)
        EXPECT_EQ(change.after, change.file == "scaling_min_freq" ? "1000000"
                                : change.subject == "CPU 1"       ? "1600000"
                                                                  : "2000000");
    EXPECT_LT(kernel_.slept, 60ms) << "for all CPUs together";
}

TEST_F(CpufreqSet, what_was_put_back_is_waited_for_too) {
    four_cpus();
    kernel_.late(name(0, "scaling_max_freq"), 40ms);
    (void)cpufreq().set_frequency(Cpus{0}, {{}, 2000000, {}});
    kernel_.refuses(name(1, "scaling_max_freq"), EINVAL);
    // The way back is not there yet when it is read first.
    kernel_.after_write([this](const std::string&) {
        if (kernel_.writes.back().ends_with("=1000000")) put(0, "scaling_max_freq", "1000000");
    });
    EXPECT_THAT(error_of([&] {
                    (void)cpufreq().set_frequency(Cpus{0, 1}, {{}, 1000000, {}});
                }).what(),
                AllOf(StartsWith("CPU 1: cannot set"), HasSubstr("; what was changed is put back")));
    EXPECT_EQ(get(0, "scaling_max_freq"), "2000000");
}

TEST_F(CpufreqSet, a_limit_that_the_kernel_makes_to_what_stood_is_not_waited_for_without_end) {
    four_cpus();
    for (uint32_t cpu = 0; cpu < 4; cpu++)
        kernel_.rounds(name(cpu, "scaling_max_freq"), [](const std::string&) { return "2400000"; });
    EXPECT_EQ(cpufreq().set_frequency({}, {{}, 2000000, {}}).at(3).after, "2400000");
    EXPECT_GE(kernel_.slept, 400ms);
    EXPECT_LE(kernel_.slept, 600ms);
    EXPECT_EQ(cpufreq().set_frequency({}, {{}, 2400000, {}}).at(3).after, "2400000");
    EXPECT_LE(kernel_.slept, 600ms) << "what stands already";
}

TEST_F(CpufreqSet, the_minimum_is_never_above_the_maximum_in_between) {
    four_cpus();
    watch_limits();
    const FrequencyRequest low{800000, 1000000, {}}, high{2200000, 2400000, {}}, middle{1000000, 2200000, {}};
    for (const FrequencyRequest& request : {low, high, low, middle, high, middle, low, low}) {
        (void)cpufreq().set_frequency(Cpus{0}, request);
        EXPECT_EQ(get(0, "scaling_min_freq"), std::to_string(*request.min_khz));
        EXPECT_EQ(get(0, "scaling_max_freq"), std::to_string(*request.max_khz));
    }
}

TEST_F(CpufreqSet, nor_on_the_way_back) {
    four_cpus();
    (void)cpufreq().set_frequency({}, {800000, 1000000, {}});
    watch_limits();
    kernel_.refuses(name(3, "scaling_min_freq"), EIO);
    EXPECT_THAT(error_of([&] {
                    (void)cpufreq().set_frequency({}, {2200000, 2400000, {}});
                }).what(),
                StartsWith("CPU 3: cannot set scaling_min_freq to 2200000: Input/output error; what was"));
    for (uint32_t cpu = 0; cpu < 4; cpu++) {
        EXPECT_EQ(get(cpu, "scaling_min_freq"), "800000");
        EXPECT_EQ(get(cpu, "scaling_max_freq"), "1000000");
    }
}

TEST_F(CpufreqSet, one_limit_alone_is_measured_by_the_one_that_stands) {
    four_cpus();
    put(1, "scaling_max_freq", "1600000");
    expect_bad_frequency(
        {2000000, {}, {}},
        "CPU 1: the minimum of 2000000 kHz is above the maximum of 1600000 kHz that stands; set both");
    put(1, "scaling_max_freq", "2400000");
    put(2, "scaling_min_freq", "1600000");
    expect_bad_frequency({{}, 800000, {}},
                         "CPU 2: the minimum of 1600000 kHz is above the maximum of 800000 kHz");
    expect_bad_frequency({1600000, 800000, {}},
                         "the minimum of 1600000 kHz is above the maximum of 800000 kHz");
    EXPECT_THAT(cpufreq().set_frequency(Cpus{0}, {2000000, {}, {}}), SizeIs(1));
    EXPECT_THAT(cpufreq().set_frequency(Cpus{0}, {{}, 2000000, {}}), SizeIs(1)) << "the same is allowed";
}

TEST_F(CpufreqSet, what_the_hardware_cannot_do_is_refused) {
    four_cpus();
    expect_bad_frequency({}, "nothing to set was given");
    expect_bad_frequency({0, {}, {}}, "a frequency of 0 kHz cannot be set");
    expect_bad_frequency({{}, 0, {}}, "a frequency of 0 kHz cannot be set");
    expect_bad_frequency({{}, {}, 0}, "a frequency of 0 kHz cannot be set");
    expect_bad_frequency({799999, {}, {}},
                         "CPU 0: 799999 kHz is outside of what the hardware can do, 800000 to 2400000 kHz");
    expect_bad_frequency({{}, 2400001, {}}, "2400001 kHz is outside");
    expect_bad_frequency({{}, UINT64_MAX, {}}, "18446744073709551615 kHz is outside");
    put(3, "cpuinfo_max_freq", "2000000");
    expect_bad_frequency({{}, 2400000, {}},
                         "CPU 3: 2400000 kHz is outside of what the hardware can do, 800000 to 2000000");
    root_.remove(base + "cpufreq/policy3/cpuinfo_max_freq");
    expect_refused(KnobErrorKind::Unsupported, "CPU 3: the driver does not tell the hardware's limits", [&] {
        (void)cpufreq().set_frequency({}, {{}, 2400000, {}});
    });
    expect_refused(KnobErrorKind::OperationInvalid, "CPU 2 is offline", [&] {
        offline(2, "0-1,3");
        (void)cpufreq().set_frequency(Cpus{2}, {{}, 2400000, {}});
    });
}

TEST_F(CpufreqSet, a_frequency_is_set_under_userspace_only) {
    four_cpus();
    for (uint32_t cpu = 0; cpu < 4; cpu++) play_userspace(cpu);
    expect_refused(KnobErrorKind::OperationInvalid,
                   "set the governor to userspace first: virsh node-governor --set userspace", [&] {
                       (void)cpufreq().set_frequency({}, {{}, {}, 800000});
                   });
    (void)cpufreq().set_governor(Cpus{0, 1, 2}, "userspace");
    EXPECT_THAT(
        error_of([&] {
            (void)cpufreq().set_frequency({}, {{}, {}, 800000});
        }).what(),
        StartsWith("CPU 3: a frequency can be set only under the governor userspace, and it is ondemand"));
    std::vector<KnobChange> changes = cpufreq().set_frequency(Cpus{0, 1, 2}, {{}, {}, 800000});
    ASSERT_THAT(changes, SizeIs(3));
    EXPECT_EQ(changes[2].file, "scaling_setspeed");
    EXPECT_EQ(changes[2].before, "1600000");
    EXPECT_EQ(changes[2].after, "800000");
}

TEST_F(CpufreqSet, the_frequency_comes_after_the_limits_that_clamp_it) {
    four_cpus();
    put(0, "scaling_governor", "userspace");
    put(0, "scaling_setspeed", "800000");
    (void)cpufreq().set_frequency(Cpus{0}, {1600000, 2000000, 1800000});
    EXPECT_THAT(kernel_.writes,
                ElementsAre("cpu0/cpufreq/scaling_min_freq=1600000", "cpu0/cpufreq/scaling_max_freq=2000000",
                            "cpu0/cpufreq/scaling_setspeed=1800000"));
}

TEST_F(CpufreqSet, where_userspace_is_not_offered_nobody_is_sent_there) {
    intel_pstate();
    expect_refused(KnobErrorKind::Unsupported, "userspace, which is not offered here", [&] {
        (void)cpufreq().set_frequency({}, {{}, {}, 800000});
    });
}

TEST_F(CpufreqSet, an_energy_preference) {
    intel_pstate();
    EXPECT_THAT(cpufreq().set_frequency({}, {{}, {}, {}, "power"}), SizeIs(2));
    EXPECT_EQ(get(1, "energy_performance_preference"), "power");
    expect_refused(
        KnobErrorKind::InvalidArgument,
        "there is no energy preference '128' for all of these CPUs; offered are: default, performance, "
        "balance_performance, power",
        [&] {
            journal_->forget(journal_->records(cpu_knobs));
            (void)cpufreq().set_frequency({}, {{}, {}, {}, "128"});
        });
}

TEST_F(CpufreqSet, an_energy_preference_that_the_governor_forbids_or_the_driver_has_not) {
    intel_pstate();
    kernel_.refuses(name(1, "energy_performance_preference"), EBUSY);
    KnobError error = error_of([&] { (void)cpufreq().set_frequency({}, {{}, {}, {}, "power"}); });
    EXPECT_EQ(error.kind(), KnobErrorKind::OperationInvalid);
    EXPECT_THAT(error.what(),
                AllOf(StartsWith("CPU 1: "), HasSubstr("the governor performance allows no other")));
    EXPECT_EQ(get(0, "energy_performance_preference"), "balance_performance");
    root_.remove(base + "cpufreq/policy1/energy_performance_available_preferences");
    expect_refused(KnobErrorKind::Unsupported, "CPU 1: the driver offers no energy preferences", [&] {
        (void)cpufreq().set_frequency({}, {{}, {}, {}, "power"});
    });
}

TEST_F(CpufreqSet, percentages_and_turbo) {
    intel_pstate();
    watch_limits();
    std::vector<KnobChange> changes = cpufreq().set_frequency({}, {{}, {}, {}, {}, {80, 50, false}});
    ASSERT_THAT(changes, SizeIs(3));
    EXPECT_EQ(changes[0].file, "no_turbo");
    EXPECT_EQ(changes[0].after, "1");
    EXPECT_EQ(changes[0].subject, "all CPUs");
    EXPECT_THAT(changes[0].cpus, ElementsAre(0, 1));
    (void)cpufreq().set_frequency({}, {{}, {}, {}, {}, {40, 35, {}}});
    (void)cpufreq().set_frequency({}, {{}, {}, {}, {}, {90, 80, true}});
    EXPECT_EQ(kernel_.read("intel_pstate/min_perf_pct"), "80");
    EXPECT_EQ(kernel_.read("intel_pstate/max_perf_pct"), "90");
    EXPECT_EQ(kernel_.read("intel_pstate/no_turbo"), "0");
}

TEST_F(CpufreqSet, percentages_that_are_none) {
    intel_pstate();
    auto set = [this](const HostFrequency& request) {
        return [this, request] { (void)cpufreq().set_frequency({}, {{}, {}, {}, {}, request}); };
    };
    expect_refused(KnobErrorKind::InvalidArgument, "nothing to set", set({}));
    expect_refused(KnobErrorKind::InvalidArgument, "0 is not a percentage from 1 to 100", set({0, {}, {}}));
    expect_refused(KnobErrorKind::InvalidArgument, "0 is not a percentage from 1 to 100", set({{}, 0, {}}));
    expect_refused(KnobErrorKind::InvalidArgument, "101 is not a percentage", set({101, {}, false}));
    expect_refused(KnobErrorKind::InvalidArgument, "the minimum of 33 % is above the maximum of 20 %",
                   set({20, {}, {}}));
    expect_refused(KnobErrorKind::InvalidArgument, "the minimum of 60 % is above the maximum of 50 %",
                   set({50, 60, {}}));
    root_.remove(base + "intel_pstate");
    expect_refused(KnobErrorKind::Unsupported, "no limits in percent", set({50, {}, {}}));
    expect_refused(KnobErrorKind::Unsupported, "no switch for turbo", set({{}, {}, true}));
}

TEST_F(CpufreqSet, turbo_is_boost_without_intel_pstate) {
    four_cpus();
    kernel_.put("cpufreq/boost", "1");
    std::vector<KnobChange> changes = cpufreq().set_frequency({}, {{}, {}, {}, {}, {{}, {}, false}});
    EXPECT_EQ(changes.at(0).file, "boost");
    EXPECT_EQ(kernel_.read("cpufreq/boost"), "0");
}

TEST_F(CpufreqSet, turbo_that_the_firmware_forbids) {
    intel_pstate();
    kernel_.refuses("intel_pstate/no_turbo", EPERM);
    KnobError error = error_of([&] { (void)cpufreq().set_frequency({}, {{}, {}, {}, {}, {50, {}, true}}); });
    EXPECT_EQ(error.kind(), KnobErrorKind::OperationInvalid);
    EXPECT_THAT(error.what(), HasSubstr("turbo is switched off by the firmware"));
    kernel_.takes("intel_pstate/no_turbo");
    kernel_.rounds("intel_pstate/no_turbo", [](const std::string&) { return "0"; });
    EXPECT_THAT(error_of([&] {
                    (void)cpufreq().set_frequency({}, {{}, {}, {}, {}, {{}, {}, false}});
                }).what(),
                HasSubstr("it reads '0'"));
}

TEST_F(CpufreqSet, nothing_is_written_when_what_stands_cannot_be_written_down) {
    four_cpus();
    root_.file("state", "in the way of the directory");
    expect_refused(KnobErrorKind::Failed, "cannot be written down",
                   [&] { (void)cpufreq().set_governor({}, "powersave"); });
}

TEST_F(CpufreqSet, setters_at_once_take_turns) {
    four_cpus();
    Cpufreq knobs(root_.path(), *journal_, kernel_.writer());
    auto many = [&knobs](const char* governor) {
        for (int n = 0; n < 20; n++) {
            std::vector<KnobChange> changes = knobs.set_governor({}, governor);
            for (const KnobChange& change : changes) EXPECT_EQ(change.before, changes.front().before);
        }
    };
    std::thread first(many, "powersave"), second(many, "performance");
    first.join();
    second.join();
    std::string last = get(0, "scaling_governor");
    for (uint32_t cpu = 1; cpu < 4; cpu++) EXPECT_EQ(get(cpu, "scaling_governor"), last);
    EXPECT_EQ(journal_->find("cpu3", "scaling_governor")->value, "ondemand");
}

}  // namespace
}  // namespace virt_power
