// SPDX-License-Identifier: LGPL-2.1-or-later
// What Cpufreq reads.
#include <gmock/gmock.h>

#include "cpufreq_host.hpp"

namespace virt_power {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class CpufreqRead : public CpufreqHost {};

TEST_F(CpufreqRead, everything_that_acpi_cpufreq_tells) {
    four_cpus();
    put(2, "scaling_governor", "userspace");
    put(2, "scaling_setspeed", "800000");
    std::vector<CpuFrequency> all = cpufreq().read();
    ASSERT_THAT(all, SizeIs(4));
    EXPECT_EQ(all[0].cpu, 0U);
    EXPECT_THAT(all[0].policy_cpus, ElementsAre(0));
    EXPECT_EQ(all[0].driver, "acpi-cpufreq");
    EXPECT_EQ(all[0].governor, "ondemand");
    EXPECT_THAT(all[0].governors, ElementsAre("userspace", "ondemand", "performance", "powersave"));
    EXPECT_EQ(all[0].current_khz, 1600000U);
    EXPECT_EQ(all[0].min_khz, 800000U);
    EXPECT_EQ(all[0].max_khz, 2400000U);
    EXPECT_EQ(all[0].hardware_min_khz, 800000U);
    EXPECT_EQ(all[0].hardware_max_khz, 2400000U);
    EXPECT_EQ(all[0].set_khz, std::nullopt) << "<unsupported>";
    EXPECT_EQ(all[2].set_khz, 800000U);
    EXPECT_THAT(all[0].available_khz, ElementsAre(2400000, 1600000, 800000));
    EXPECT_EQ(all[0].energy_preference, std::nullopt);
    EXPECT_THAT(all[0].energy_preferences, IsEmpty());
    HostFrequency host = cpufreq().read_host();
    EXPECT_EQ(host.max_perf_percent, std::nullopt);
    EXPECT_EQ(host.turbo, std::nullopt);
}

TEST_F(CpufreqRead, everything_that_intel_pstate_tells) {
    intel_pstate();
    std::vector<CpuFrequency> all = cpufreq().read(Cpus{1});
    ASSERT_THAT(all, SizeIs(1));
    EXPECT_EQ(all[0].energy_preference, "balance_performance");
    EXPECT_THAT(all[0].energy_preferences,
                ElementsAre("default", "performance", "balance_performance", "power"));
    HostFrequency host = cpufreq().read_host();
    EXPECT_EQ(host.max_perf_percent, 100U);
    EXPECT_EQ(host.min_perf_percent, 33U);
    EXPECT_EQ(host.turbo, true);
    kernel_.put("intel_pstate/no_turbo", "1");
    EXPECT_EQ(cpufreq().read_host().turbo, false);
}

TEST_F(CpufreqRead, boost_is_turbo_where_there_is_no_intel_pstate) {
    four_cpus();
    kernel_.put("cpufreq/boost", "1");
    EXPECT_EQ(cpufreq().read_host().turbo, true);
    kernel_.put("cpufreq/boost", "0");
    EXPECT_EQ(cpufreq().read_host().turbo, false);
}

TEST_F(CpufreqRead, what_is_missing_or_no_number_is_absent) {
    four_cpus();
    root_.remove(base + "cpufreq/policy0/scaling_cur_freq");
    put(0, "scaling_max_freq", "-1");
    put(0, "scaling_min_freq", "");
    put(0, "scaling_available_governors", "");
    CpuFrequency cpu = cpufreq().read(Cpus{0}).at(0);
    EXPECT_EQ(cpu.current_khz, std::nullopt);
    EXPECT_EQ(cpu.max_khz, std::nullopt);
    EXPECT_EQ(cpu.min_khz, std::nullopt);
    EXPECT_THAT(cpu.governors, IsEmpty());
}

TEST_F(CpufreqRead, cpus_that_share_a_policy_are_told) {
    root_.cpus("0-2", {0, 0, 0, 0});
    policy(0, {0, 1});
    policy(2, {2, 3}, {2});
    std::vector<CpuFrequency> all = cpufreq().read();
    ASSERT_THAT(all, SizeIs(3));
    EXPECT_THAT(all[0].policy_cpus, ElementsAre(0, 1));
    EXPECT_THAT(all[1].policy_cpus, ElementsAre(0, 1));
    EXPECT_THAT(all[2].policy_cpus, ElementsAre(2));
}

TEST_F(CpufreqRead, a_cpu_without_a_driver_has_nothing_and_a_host_without_one_is_told) {
    root_.cpus("0-1", {0, 0});
    policy(0, {0});
    std::vector<CpuFrequency> all = cpufreq().read();
    ASSERT_THAT(all, SizeIs(2));
    EXPECT_EQ(all[1].governor, std::nullopt);
    EXPECT_THAT(all[1].policy_cpus, ElementsAre(1));
    root_.remove(base + "cpu0/cpufreq");
    KnobError error = error_of([&] { (void)cpufreq().read(); });
    EXPECT_EQ(error.kind(), KnobErrorKind::Unsupported);
    EXPECT_THAT(error.what(), HasSubstr("no CPU has a cpufreq driver"));
}

TEST_F(CpufreqRead, a_cpu_that_is_not_there_is_named) {
    four_cpus();
    offline(3, "0-2");
    KnobError error = error_of([&] { (void)cpufreq().read(Cpus{0, 9}); });
    EXPECT_EQ(error.kind(), KnobErrorKind::InvalidArgument);
    EXPECT_STREQ(error.what(), "there is no CPU 9; online are CPUs 0-2");
    error = error_of([&] { (void)cpufreq().read(Cpus{3}); });
    EXPECT_EQ(error.kind(), KnobErrorKind::OperationInvalid);
    EXPECT_THAT(error.what(), HasSubstr("CPU 3 is offline"));
    EXPECT_EQ(error_of([&] { (void)cpufreq().read(Cpus{}); }).kind(), KnobErrorKind::InvalidArgument);
    EXPECT_THAT(cpufreq().read(), SizeIs(3));
}

TEST_F(CpufreqRead, a_tree_without_cpus_is_an_error) {
    EXPECT_EQ(error_of([&] { (void)cpufreq().read(); }).kind(), KnobErrorKind::Failed);
    root_.file(base + "online", "nonsense\n");
    EXPECT_EQ(error_of([&] { (void)cpufreq().read(); }).kind(), KnobErrorKind::Failed);
}

}  // namespace
}  // namespace virt_power
