// SPDX-License-Identifier: LGPL-2.1-or-later
#include "host_knobs.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <map>
#include <thread>

#include "fake_root.hpp"
#include "knob_error.hpp"
#include "knob_kernel.hpp"

namespace virt_power {
namespace {

using std::chrono::milliseconds;
using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

using Values = std::map<std::string, ParamValue>;

const std::string text(const char* value) { return value; }

class Knobs : public testing::Test {
protected:
    Knobs() {
        root_.cpus("0-3", {0, 0, 1, 1});
        for (uint32_t cpu = 0; cpu < 4; cpu++) {
            put(cpu, "scaling_driver", "acpi-cpufreq");
            put(cpu, "affected_cpus", std::to_string(cpu));
            put(cpu, "related_cpus", std::to_string(cpu));
            put(cpu, "scaling_governor", "schedutil");
            put(cpu, "scaling_available_governors", "performance powersave schedutil");
            put(cpu, "scaling_cur_freq", std::to_string(1'000'000 + cpu * 100'000));
            put(cpu, "scaling_min_freq", "800000");
            put(cpu, "scaling_max_freq", "2400000");
            put(cpu, "cpuinfo_min_freq", "800000");
            put(cpu, "cpuinfo_max_freq", "2400000");
        }
        kernel_.put(cpus_ + "cpufreq/boost", "1");
    }

    void zone(const std::string& directory, const std::string& name, const std::string& limit_uw,
              const std::string& enabled = "1") {
        std::string at = powercap_ + directory + "/";
        kernel_.put(at + "name", name);
        kernel_.put(at + "enabled", enabled);
        kernel_.put(at + "constraint_0_name", "long_term");
        kernel_.put(at + "constraint_0_power_limit_uw", limit_uw);
        kernel_.put(at + "constraint_0_time_window_us", "999424");
        kernel_.put(at + "constraint_0_max_power_uw", "0");
    }
    void two_packages() {
        zone("intel-rapl:0", "package-0", "26000000");
        zone("intel-rapl:1", "package-1", "28000000");
        zone("intel-rapl-mmio:0", "package-0", "20000000");
    }

    HostKnobs& knobs() {
        if (!knobs_) {
            KnobOptions options;
            options.root = root_.path();
            options.state_dir = root_.path() / "state";
            options.boot_id = boot_id_;
            options.now_ns = [this] { return now_ns_.load(); };
            options.log = [this](LogLevel level, std::string_view line) {
                std::lock_guard lock(mutex_);
                log_.emplace_back(std::to_string(static_cast<int>(level)) + " " + std::string(line));
            };
            options.write_file = [this](const std::filesystem::path& path, std::string_view value) {
                if (hang_.valid()) hang_.wait();
                return kernel_.writer()(path, value);
            };
            options.read_patience = patience_;
            options.write_patience = patience_;
            knobs_ = std::make_unique<HostKnobs>(std::move(options));
        }
        return *knobs_;
    }
    Values get(KnobTopic topic, const std::optional<std::string>& target = {},
               ReadOnlyRule rule = ReadOnlyRule::Full) {
        return to_values(knobs().get(topic, target, rule));
    }
    Values set(KnobTopic topic, Params params, const std::optional<std::string>& target = {}) {
        return to_values(knobs().set({topic, target, std::move(params), false, false, "somebody"}));
    }
    Values restore(KnobTopic topic, const std::optional<std::string>& target = {}) {
        return to_values(knobs().set({topic, target, {}, true, false, "somebody"}));
    }
    static Values to_values(const Params& params) {
        Values values;
        for (const Param& param : params) EXPECT_TRUE(values.emplace(param.name, param.value).second);
        return values;
    }
    HostReading state() {
        CpuTopology topology(root_.path());
        (void)topology.refresh();
        HostReading host;
        host.packages.resize(2);
        for (const char* name : {"package-0", "package-1", "package-0/dram"}) {
            ZoneReading reading;
            reading.name = name;
            host.zones.push_back(reading);
        }
        knobs().refresh_state();
        knobs().add_state(host, topology);
        return host;
    }

    void put(uint32_t cpu, const std::string& file, const std::string& value) {
        kernel_.put(name(cpu, file), value);
    }
    [[nodiscard]] std::string name(uint32_t cpu, const std::string& file) const {
        return (cpus_ + "cpu" + std::to_string(cpu)).append("/cpufreq/").append(file);
    }
    [[nodiscard]] std::string governors() const {
        std::string all;
        for (uint32_t cpu = 0; cpu < 4; cpu++) all += kernel_.read(name(cpu, "scaling_governor")) + " ";
        return all;
    }
    std::vector<std::string> log() {
        std::lock_guard lock(mutex_);
        return log_;
    }

    const std::string cpus_ = "sys/devices/system/cpu/";
    std::string boot_id_ = "5e9b1b2c-0c4e-4f0e-9a53-000000000001";
    const std::string powercap_ = "sys/class/powercap/";
    FakeRoot root_;
    KnobKernel kernel_{root_, ""};
    std::atomic<uint64_t> now_ns_ = 1'000'000'000'000;
    milliseconds patience_{60'000};
    std::shared_future<void> hang_;
    std::mutex mutex_;
    std::vector<std::string> log_;
    std::unique_ptr<HostKnobs> knobs_;
};

TEST_F(Knobs, governors_of_a_list_of_cpus) {
    Values values = get(KnobTopic::Governor, "1,3");
    EXPECT_EQ(values["cpu.count"], ParamValue(uint32_t{2}));
    EXPECT_EQ(values["cpu.1.id"], ParamValue(uint32_t{3}));
    EXPECT_EQ(values["cpu.1.policy"], ParamValue(text("3")));
    EXPECT_EQ(values["cpu.0.governor"], ParamValue(text("schedutil")));
    EXPECT_EQ(values["cpu.0.governors"], ParamValue(text("performance powersave schedutil")));
    EXPECT_EQ(values["cpu.0.driver"], ParamValue(text("acpi-cpufreq")));
    EXPECT_THAT(values, SizeIs(11));
}

TEST_F(Knobs, what_was_set_is_told_and_logged_once_for_all_cpus) {
    Values changes = set(KnobTopic::Governor, {{"governor", text("powersave")}});
    EXPECT_EQ(governors(), "powersave powersave powersave powersave ");
    EXPECT_EQ(changes["change.count"], ParamValue(uint32_t{4}));
    EXPECT_EQ(changes["change.3.knob"], ParamValue(text("governor")));
    EXPECT_EQ(changes["change.3.cpus"], ParamValue(text("3")));
    EXPECT_EQ(changes["change.3.before"], ParamValue(text("schedutil")));
    EXPECT_EQ(changes["change.3.asked"], ParamValue(text("powersave")));
    EXPECT_EQ(changes["change.3.after"], ParamValue(text("powersave")));
    EXPECT_THAT(log(),
                ElementsAre("2 somebody set scaling_governor of CPUs 0-3 from schedutil to powersave"));
    (void)set(KnobTopic::Governor, {{"governor", text("powersave")}});
    EXPECT_THAT(log(), SizeIs(1)) << "what stood already is no change";
}

TEST_F(Knobs, what_the_kernel_made_of_it_is_told_and_logged) {
    kernel_.rounds(name(2, "scaling_max_freq"), [](const std::string&) { return "1600000"; });
    Values changes = set(KnobTopic::Frequency, {{"max", uint64_t{1'700'000}}}, "2");
    EXPECT_EQ(changes["change.0.knob"], ParamValue(text("max")));
    EXPECT_EQ(changes["change.0.asked"], ParamValue(uint64_t{1'700'000}));
    EXPECT_EQ(changes["change.0.after"], ParamValue(uint64_t{1'600'000}));
    EXPECT_THAT(log(), ElementsAre("2 somebody set scaling_max_freq of CPU 2 from 2400000 to 1600000 "
                                   "(asked for 1700000)"));
}

TEST_F(Knobs, several_frequencies_and_turbo_are_one_change) {
    kernel_.refuses(name(3, "scaling_max_freq"), EBUSY);
    KnobError error = error_of([&] {
        (void)set(KnobTopic::Frequency, {{"max", uint64_t{1'600'000}}, {"turbo", false}});
    });
    EXPECT_EQ(error.kind(), KnobErrorKind::Failed);
    EXPECT_THAT(error.what(), AllOf(HasSubstr("CPU 3"), HasSubstr("put back")));
    EXPECT_EQ(kernel_.read(cpus_ + "cpufreq/boost"), "1");
    EXPECT_EQ(kernel_.read(name(0, "scaling_max_freq")), "2400000");
    EXPECT_THAT(log(), IsEmpty());
}

TEST_F(Knobs, turbo_is_a_switch_whatever_the_driver_calls_it) {
    Values changes = set(KnobTopic::Frequency, {{"turbo", false}});
    EXPECT_EQ(changes["change.0.knob"], ParamValue(text("turbo")));
    EXPECT_EQ(changes["change.0.before"], ParamValue(true));
    EXPECT_EQ(changes["change.0.after"], ParamValue(false));
    kernel_.put(cpus_ + "intel_pstate/no_turbo", "1");
    kernel_.put(cpus_ + "intel_pstate/max_perf_pct", "100");
    changes = set(KnobTopic::Frequency, {{"turbo", true}});
    EXPECT_EQ(kernel_.read(cpus_ + "intel_pstate/no_turbo"), "0");
    EXPECT_EQ(changes["change.0.before"], ParamValue(false));
    EXPECT_EQ(changes["change.0.after"], ParamValue(true));
}

TEST_F(Knobs, restored_by_a_daemon_that_was_started_again) {
    (void)set(KnobTopic::Governor, {{"governor", text("powersave")}});
    (void)set(KnobTopic::Governor, {{"governor", text("performance")}}, "0");
    knobs_.reset();
    Values changes = restore(KnobTopic::Governor, "0-2");
    EXPECT_EQ(governors(), "schedutil schedutil schedutil powersave ");
    EXPECT_EQ(changes["change.0.before"], ParamValue(text("performance")));
    EXPECT_EQ(changes["change.0.after"], ParamValue(text("schedutil")));
    EXPECT_THAT(log(),
                Contains("2 somebody put back scaling_governor of CPU 0 from performance to schedutil"));
    EXPECT_THAT(restore(KnobTopic::Governor), SizeIs(4 + 2)) << "what is left: one change and the count";
    EXPECT_THAT(restore(KnobTopic::Governor),
                ElementsAre(std::pair("change.count", ParamValue(uint32_t{0}))));
}

TEST_F(Knobs, another_boot_has_nothing_to_restore) {
    (void)set(KnobTopic::Governor, {{"governor", text("powersave")}});
    knobs_.reset();
    boot_id_ = "5e9b1b2c-0c4e-4f0e-9a53-000000000002";
    EXPECT_THAT(restore(KnobTopic::Governor),
                ElementsAre(std::pair("change.count", ParamValue(uint32_t{0}))));
    EXPECT_EQ(governors(), "powersave powersave powersave powersave ");
}

TEST_F(Knobs, a_restore_that_fails_in_part_says_what_was_put_back) {
    (void)set(KnobTopic::Governor, {{"governor", text("powersave")}});
    kernel_.refuses(name(1, "scaling_governor"), EINVAL);
    KnobError error = error_of([&] { (void)restore(KnobTopic::Governor); });
    EXPECT_THAT(error.what(), AllOf(HasSubstr("CPU 1"), HasSubstr("3 others were put back")));
    EXPECT_EQ(governors(), "schedutil powersave schedutil schedutil ");
}

TEST_F(Knobs, limits_of_zones) {
    two_packages();
    Values values = get(KnobTopic::RaplLimit, "package-0");
    EXPECT_EQ(values["zone.count"], ParamValue(uint32_t{2}));
    EXPECT_EQ(values["zone.0.name"], ParamValue(text("package-0")));
    EXPECT_EQ(values["zone.1.name"], ParamValue(text("intel-rapl-mmio/package-0")));
    EXPECT_EQ(values["zone.1.alias"], ParamValue(text("package-0")));
    EXPECT_EQ(values["zone.1.constraint.0.power_limit"], ParamValue(uint64_t{20'000'000}));
    EXPECT_EQ(values["zone.1.constraint.0.name"], ParamValue(text("long_term")));
    EXPECT_THAT(values, Not(Contains(testing::Key("zone.0.constraint.0.max_power")))) << "0 is not known";
}

TEST_F(Knobs, a_limit_without_a_zone_is_for_one_package_or_all_by_order) {
    two_packages();
    KnobOrder order{
        KnobTopic::RaplLimit, {}, {{"power_limit", uint64_t{18'000'000}}}, false, false, "somebody"};
    KnobError error = error_of([&] { (void)knobs().set(order); });
    EXPECT_EQ(error.kind(), KnobErrorKind::InvalidArgument);
    EXPECT_THAT(error.what(), HasSubstr("package-0, package-1"));
    EXPECT_THAT(kernel_.writes, IsEmpty());
    order.all_packages = true;
    Values changes = to_values(knobs().set(order));
    EXPECT_EQ(changes["change.count"], ParamValue(uint32_t{3}));
    EXPECT_EQ(changes["change.2.zone"], ParamValue(text("package-1")));
    EXPECT_EQ(changes["change.2.constraint"], ParamValue(text("long_term")));
    EXPECT_EQ(kernel_.read(powercap_ + "intel-rapl-mmio:0/constraint_0_power_limit_uw"), "18000000");
}

TEST_F(Knobs, who_may_not_see_the_load_sees_no_current_frequency) {
    Values values = get(KnobTopic::Frequency, {}, ReadOnlyRule::Deny);
    EXPECT_EQ(values["current.status"], ParamValue(text("denied")));
    EXPECT_THAT(values, Not(Contains(testing::Key("cpu.0.current"))));
    EXPECT_EQ(values["cpu.0.max"], ParamValue(uint64_t{2'400'000}));
}

TEST_F(Knobs, a_coarse_frequency_stands_for_ten_seconds) {
    auto current = [&] { return get(KnobTopic::Frequency, "1", ReadOnlyRule::Coarse)["cpu.0.current"]; };
    EXPECT_EQ(current(), ParamValue(uint64_t{1'100'000}));
    put(1, "scaling_cur_freq", "2000000");
    now_ns_ += 9'999'999'999;
    EXPECT_EQ(current(), ParamValue(uint64_t{1'100'000}));
    EXPECT_EQ(get(KnobTopic::Frequency, "1")["cpu.0.current"], ParamValue(uint64_t{2'000'000}));
    now_ns_ += 1;
    EXPECT_EQ(current(), ParamValue(uint64_t{2'000'000}));
}

TEST_F(Knobs, parameters_that_are_none) {
    auto refused = [&](KnobTopic topic, Params params) {
        KnobError error = error_of([&] { (void)set(topic, std::move(params)); });
        EXPECT_EQ(error.kind(), KnobErrorKind::InvalidArgument);
        EXPECT_THAT(kernel_.writes, IsEmpty());
        return std::string(error.what());
    };
    EXPECT_THAT(refused(KnobTopic::Governor, {}), HasSubstr("nothing to set"));
    EXPECT_THAT(refused(KnobTopic::Frequency, {}), HasSubstr("nothing to set"));
    EXPECT_THAT(refused(KnobTopic::Frequency, {{"maximum", uint64_t{1}}}),
                HasSubstr("there are: min, max, set"));
    EXPECT_THAT(refused(KnobTopic::Frequency, {{"max", 1}}), HasSubstr("must be of type unsigned long long"));
    EXPECT_THAT(refused(KnobTopic::Frequency, {{"turbo", uint64_t{1}}}),
                HasSubstr("must be of type boolean"));
    EXPECT_THAT(refused(KnobTopic::Frequency, {{"max", uint64_t{1}}, {"max", uint64_t{2}}}),
                HasSubstr("given twice"));
    EXPECT_THAT(refused(KnobTopic::RaplLimit, {{"power_limit", 18.0}}),
                HasSubstr("must be of type unsigned long long"));
}

TEST_F(Knobs, a_file_that_hangs_holds_neither_calls_nor_samples) {
    two_packages();
    patience_ = milliseconds(300);
    std::promise<void> release;
    hang_ = release.get_future().share();
    KnobError error = error_of([&] { (void)set(KnobTopic::Governor, {{"governor", text("powersave")}}); });
    EXPECT_EQ(error.kind(), KnobErrorKind::Timeout);
    EXPECT_THAT(error.what(), HasSubstr("log will tell"));
    error = error_of([&] { (void)get(KnobTopic::Governor); });
    EXPECT_EQ(error.kind(), KnobErrorKind::Timeout);
    EXPECT_THAT(error.what(), HasSubstr("nothing was done"));
    HostReading host = state();
    EXPECT_FALSE(host.packages[0].frequency_khz) << "it was never read";
    release.set_value();
    for (int tries = 0; log().empty() && tries < 1000; tries++) std::this_thread::sleep_for(milliseconds(10));
    EXPECT_THAT(log(), ElementsAre(HasSubstr("somebody set scaling_governor of CPUs 0-3")));
}

TEST_F(Knobs, a_sample_has_mean_frequency_and_the_limit_that_binds) {
    two_packages();
    zone("intel-rapl:0:0", "dram", "0");
    HostReading host = state();
    EXPECT_EQ(host.packages[0].frequency_khz, 1'050'000U);
    EXPECT_EQ(host.packages[1].frequency_khz, 1'250'000U);
    EXPECT_EQ(host.zones[0].limit_uw, 20'000'000U) << "of MSR and MMIO the lower one";
    EXPECT_EQ(host.zones[1].limit_uw, 28'000'000U);
    EXPECT_FALSE(host.zones[2].limit_uw) << "0 is no limit";
}

TEST_F(Knobs, a_limit_that_is_switched_off_binds_nothing) {
    zone("intel-rapl:0", "package-0", "26000000", "0");
    EXPECT_FALSE(state().zones[0].limit_uw);
}

TEST_F(Knobs, a_sample_is_at_most_a_second_old_and_sees_a_change_at_once) {
    two_packages();
    (void)state();
    put(2, "scaling_cur_freq", "2000000");
    now_ns_ += 999'999'999;
    EXPECT_EQ(state().packages[1].frequency_khz, 1'250'000U);
    now_ns_ += 1;
    EXPECT_EQ(state().packages[1].frequency_khz, 1'650'000U);
    (void)set(KnobTopic::RaplLimit, {{"power_limit", uint64_t{18'000'000}}}, "package-1");
    EXPECT_EQ(state().zones[1].limit_uw, 18'000'000U);
}

TEST_F(Knobs, a_sample_finds_what_appears_after_ten_seconds_and_what_comes_back_after_one) {
    auto move = [&](const char* from, const char* to) {
        for (uint32_t cpu = 0; cpu < 4; cpu++) {
            std::filesystem::path directory = root_.path() / cpus_ / ("cpu" + std::to_string(cpu));
            std::filesystem::rename(directory / from, directory / to);
        }
    };
    auto found = [&] { return state().packages[1].frequency_khz.has_value(); };
    move("cpufreq", "away");
    EXPECT_FALSE(found());
    move("away", "cpufreq");
    now_ns_ += 9'999'999'999;
    EXPECT_FALSE(found());
    now_ns_ += 1;
    EXPECT_TRUE(found());
    move("cpufreq", "away");
    now_ns_ += 1'000'000'000;
    EXPECT_FALSE(found());
    move("away", "cpufreq");
    EXPECT_FALSE(found());
    now_ns_ += 1'000'000'000;
    EXPECT_TRUE(found());
}

TEST_F(Knobs, a_zone_that_cannot_be_read_is_told_of_once) {
    two_packages();
    root_.remove(powercap_ + "intel-rapl:1/name");
    (void)get(KnobTopic::RaplLimit);
    (void)get(KnobTopic::RaplLimit);
    EXPECT_THAT(log(), ElementsAre(HasSubstr("intel-rapl:1")));
}

TEST_F(Knobs, a_host_without_any) {
    FakeRoot empty;
    empty.cpus("0", {0});
    KnobOptions options;
    options.root = empty.path();
    options.state_dir = empty.path() / "state";
    options.log = [](LogLevel, std::string_view) {};
    HostKnobs none(std::move(options));
    for (KnobTopic topic : {KnobTopic::Governor, KnobTopic::Frequency, KnobTopic::RaplLimit}) {
        KnobError error = error_of([&] { (void)none.get(topic, {}, ReadOnlyRule::Full); });
        EXPECT_EQ(error.kind(), KnobErrorKind::Unsupported) << error.what();
    }
}

}  // namespace
}  // namespace virt_power
