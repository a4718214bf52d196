// SPDX-License-Identifier: LGPL-2.1-or-later
#include "measurement.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace virt_power {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr uint64_t second = 1'000'000'000;

/// A host with four CPUs, one package of 10 W and its memory of 2 W, whose state a test moves on.
class Idle : public testing::Test {
protected:
    Idle() {
        sample_.host = "kvm1";
        sample_.status = EnergyStatus::Ok;
        sample_.host_cpus = 4;
        sample_.reading.emplace();
        HostReading& reading = *sample_.reading;
        reading.epoch = 1;
        reading.time_ns = 100 * second;
        reading.usage_source = UsageSource::Bpf;
        reading.packages = {{0, {50 * second, {}}, {20 * second, {}}}};
        reading.zones = {{"package-0", "package", 0, "powercap", true, 7'000'000, 0},
                         {"package-0/dram", "dram", 0, "powercap", true, 9'000'000, 0},
                         {"package-0/core", "core", 0, "powercap", false, 5, 0}};
        sample_.domains.push_back({{"web", "uuid-web", 1, {{10 * second, {}}}, {}}, {}});
        sample_.domains.push_back({{"db", "uuid-db", 2, {{10 * second, {}}}, {}}, {}});
    }

    HostReading& reading() { return *sample_.reading; }

    /// `watts` of the package, and so much CPU time of the host's own and of the domain web, in ms.
    void pass(double seconds, double watts = 10, uint64_t rest_ms = 4, uint64_t web_ms = 0) {
        reading().time_ns += static_cast<uint64_t>(seconds * static_cast<double>(second));
        *reading().zones[0].energy_uj += static_cast<uint64_t>(seconds * watts * 1e6);
        *reading().zones[1].energy_uj += static_cast<uint64_t>(seconds * 2e6);
        reading().packages[0].host.time_ns += (rest_ms + web_ms) * 1'000'000;
        reading().packages[0].vms.time_ns += web_ms * 1'000'000;
        sample_.domains[0].usage.packages[0].time_ns += web_ms * 1'000'000;
    }

    Status add() { return measurement_.add(sample_); }
    void add_windows(int count) {
        for (int n = 0; n < count; n++) {
            pass(1);
            ASSERT_TRUE(add());
        }
    }
    std::string refusal() {
        Result<Calibration> result = measurement_.result();
        return result ? "none" : result.error().message;
    }

    Sample sample_;
    Measurement measurement_{MeasurementOptions{2, 0}};
};

TEST_F(Idle, mean_spread_and_idleness_of_each_zone) {
    ASSERT_TRUE(add());
    const std::vector<std::pair<double, uint64_t>> windows = {{8, 4}, {10, 8}, {12, 4}, {10, 4}, {10, 0}};
    for (auto [watts, busy_ms] : windows) {
        pass(1, watts, busy_ms);
        ASSERT_TRUE(add());
    }
    Result<Calibration> result = measurement_.result();
    ASSERT_TRUE(result) << result.error().message;
    EXPECT_EQ(result->host, "kvm1");
    EXPECT_DOUBLE_EQ(result->seconds, 5);
    EXPECT_DOUBLE_EQ(result->busy_percent, 0.1);  // 20 ms of 5 s of 4 CPUs
    EXPECT_DOUBLE_EQ(result->busy_highest_percent, 0.2);
    ASSERT_EQ(result->zones.size(), 2U);
    // Deviation: sqrt((4 + 4) / 4) W.
    EXPECT_EQ(result->zones[0], (ZoneStatic{"package-0", "package", "powercap", 10'000'000, 1'414'214,
                                            8'000'000, 12'000'000, 5, 0}));
    EXPECT_EQ(result->zones[1],
              (ZoneStatic{"package-0/dram", "dram", "powercap", 2'000'000, 0, 2'000'000, 2'000'000, 5, 0}));
}

TEST_F(Idle, the_mean_is_energy_over_time_however_long_the_windows) {
    ASSERT_TRUE(add());
    for (int n = 0; n < 4; n++) {
        pass(1, 20);
        ASSERT_TRUE(add());
    }
    pass(12, 5);
    ASSERT_TRUE(add());
    Result<Calibration> result = measurement_.result();
    ASSERT_TRUE(result);
    EXPECT_EQ(result->zones[0].static_uw, 140'000'000U / 16);
}

TEST_F(Idle, nothing_overflows) {
    *reading().zones[0].energy_uj = 0;
    ASSERT_TRUE(add());
    for (int n = 0; n < 5; n++) {
        pass(1);
        *reading().zones[0].energy_uj += uint64_t{1} << 60;
        ASSERT_TRUE(add());
    }
    EXPECT_THAT(refusal(), HasSubstr("zone package-0 of kvm1: more than a million watts"));
}

TEST_F(Idle, a_busy_host_is_refused_and_the_busiest_domain_named) {
    ASSERT_TRUE(add());
    pass(1, 30, 100, 200);
    Status added = add();
    ASSERT_FALSE(added);
    EXPECT_THAT(added.error().message,
                AllOf(HasSubstr("kvm1 is not idle: its CPUs were busy 7.5 % of 1.0 s, and 2 % is allowed"),
                      HasSubstr("Busiest: domain web (5.0 % of all CPUs)"), HasSubstr("virsh suspend")));
    EXPECT_THAT(refusal(), HasSubstr("is not idle"));
}

TEST_F(Idle, the_host_itself_may_be_the_busiest_and_so_may_hidden_domains) {
    ASSERT_TRUE(add());
    pass(1, 30, 300, 100);
    EXPECT_THAT(add().error().message, HasSubstr("Busiest: the host itself, without its domains (7.5 %"));
    pass(1, 30, 0, 300);
    reading().packages[0].host.time_ns += second;
    reading().packages[0].vms.time_ns += second;
    EXPECT_THAT(add().error().message, HasSubstr("Busiest: domains that you may not see"));
}

TEST_F(Idle, one_window_that_is_far_busier_than_allowed_is_enough) {
    measurement_ = Measurement(MeasurementOptions{2, 60 * second});
    ASSERT_TRUE(add());
    add_windows(10);
    pass(1, 30, 4 * 95);
    ASSERT_TRUE(add());  // 9.5 %, not more than five times 2 %
    pass(1, 30, 4 * 105);
    Status added = add();
    ASSERT_FALSE(added);
    EXPECT_THAT(added.error().message, HasSubstr("in one of 12 windows its CPUs were busy 10.5 %"));
}

TEST_F(Idle, with_a_plan_a_busy_start_may_be_made_up_for) {
    measurement_ = Measurement(MeasurementOptions{2, 10 * second});
    ASSERT_TRUE(add());
    pass(1, 30, 4 * 90);
    ASSERT_TRUE(add());
    add_windows(9);
    Result<Calibration> result = measurement_.result();
    ASSERT_TRUE(result) << result.error().message;
    EXPECT_NEAR(result->busy_percent, 0.99, 1e-9);
    EXPECT_NEAR(result->busy_highest_percent, 9, 1e-9);
}

TEST_F(Idle, each_package_is_judged_by_its_own_CPUs) {
    reading().packages.push_back({7, {0, {}}, {0, {}}});
    measurement_ = Measurement(MeasurementOptions{2, 60 * second});
    ASSERT_TRUE(add());
    for (int n = 0; n < 59; n++) {
        pass(1);
        reading().packages[1].host.time_ns += 2 * second * 9 / 100;  // 9 % of its two CPUs
        Status added = add();
        if (added) continue;
        EXPECT_THAT(added.error().message, HasSubstr("CPUs of its package 7 were busy 9.0 %"));
        return;
    }
    FAIL() << "4.5 % of the host were taken for idle";
}

TEST_F(Idle, a_limit_of_100_percent_refuses_nobody) {
    measurement_ = Measurement(MeasurementOptions{100, 0});
    ASSERT_TRUE(add());
    for (int n = 0; n < 5; n++) {
        pass(1, 30, 0, 4001);
        ASSERT_TRUE(add());
    }
    Result<Calibration> result = measurement_.result();
    ASSERT_TRUE(result);
    EXPECT_EQ(result->busy_percent, 100);
    EXPECT_EQ(result->busy_highest_percent, 100);
}

TEST_F(Idle, windows_that_cannot_be_measured_are_dropped_and_counted) {
    ASSERT_TRUE(add());
    add_windows(3);
    pass(1, 90);
    reading().zones[0].gaps++;  // of one zone
    ASSERT_TRUE(add());
    pass(1, 90);
    *reading().zones[0].energy_uj = 1;  // goes back
    ASSERT_TRUE(add());
    pass(1, 90, 4000);
    reading().epoch++;  // of all zones, and its busy time is nobody's
    ASSERT_TRUE(add());
    measurement_.drop("the daemon was away");
    add_windows(5);
    Result<Calibration> result = measurement_.result();
    ASSERT_TRUE(result) << result.error().message;
    EXPECT_EQ(result->zones[0].static_uw, 10'000'000U);
    EXPECT_EQ(result->zones[0].windows, 8U);
    EXPECT_EQ(result->zones[0].dropped, 4U);
    EXPECT_EQ(result->zones[1].windows, 10U);
    EXPECT_EQ(result->zones[1].dropped, 2U);
    EXPECT_NEAR(result->busy_percent, 0.1, 1e-9);
}

TEST_F(Idle, a_clock_or_CPU_counters_that_go_back_drop_the_window) {
    ASSERT_TRUE(add());
    add_windows(5);
    reading().packages[0].host.time_ns -= second;
    pass(1);
    ASSERT_TRUE(add());
    reading().time_ns -= 10 * second;
    ASSERT_TRUE(add());
    reading().usage_source = UsageSource::Proc;
    pass(1);
    ASSERT_TRUE(add());
    reading().packages.push_back({1, {}, {}});
    pass(1);
    ASSERT_TRUE(add());
    Result<Calibration> result = measurement_.result();
    ASSERT_TRUE(result) << result.error().message;
    EXPECT_EQ(result->zones[0].dropped, 4U);
}

TEST_F(Idle, too_few_good_windows_are_refused) {
    ASSERT_TRUE(add());
    add_windows(4);
    EXPECT_THAT(refusal(), HasSubstr("only 4 of 4 windows could be measured; take more time"));
    add_windows(1);
    EXPECT_TRUE(measurement_.result());
    for (int n = 0; n < 6; n++) measurement_.drop("the daemon was away");
    EXPECT_THAT(refusal(), HasSubstr("zone package-0 of kvm1: only 5 of 11 windows could be measured: the "
                                     "daemon was away"));
}

TEST_F(Idle, a_zone_with_too_few_good_windows_is_named) {
    ASSERT_TRUE(add());
    for (int n = 0; n < 10; n++) {
        pass(1);
        reading().zones[1].gaps++;
        ASSERT_TRUE(add());
    }
    EXPECT_THAT(refusal(), HasSubstr("zone package-0/dram of kvm1: only 0 of 10 windows"));
}

TEST_F(Idle, a_zone_that_changes_its_source_is_not_mixed) {
    ASSERT_TRUE(add());
    add_windows(6);
    for (int n = 0; n < 5; n++) {
        pass(1, 90);
        reading().zones[0].source = "perf";
        ASSERT_TRUE(add());
    }
    Result<Calibration> result = measurement_.result();
    ASSERT_TRUE(result);
    EXPECT_EQ(result->zones[0].source, "powercap");
    EXPECT_EQ(result->zones[0].static_uw, 10'000'000U);
}

TEST_F(Idle, a_zone_that_is_listed_twice_counts_once) {
    reading().zones.push_back(reading().zones[0]);
    ASSERT_TRUE(add());
    add_windows(5);
    Result<Calibration> result = measurement_.result();
    ASSERT_TRUE(result);
    EXPECT_EQ(result->zones.size(), 2U);
    EXPECT_EQ(result->zones[0].windows, 5U);
}

TEST_F(Idle, a_counter_that_does_not_move_is_refused) {
    ASSERT_TRUE(add());
    for (int n = 0; n < 5; n++) {
        pass(1, 0);
        ASSERT_TRUE(add());
    }
    EXPECT_THAT(refusal(), HasSubstr("zone package-0 of kvm1: its counter did not move"));
}

TEST_F(Idle, the_same_reading_again_is_no_window) {
    ASSERT_TRUE(add());
    for (int n = 0; n < 5; n++) {
        pass(1);
        ASSERT_TRUE(add());
        ASSERT_TRUE(add());
        pass(0.02);  // too short to be one; part of the next
        ASSERT_TRUE(add());
    }
    Result<Calibration> result = measurement_.result();
    ASSERT_TRUE(result);
    EXPECT_EQ(result->zones[0].windows, 5U);
    EXPECT_EQ(result->zones[0].dropped, 0U);
    EXPECT_EQ(result->zones[0].static_uw, 10'000'000U);
}

TEST_F(Idle, without_anything_to_measure_the_first_sample_says_so) {
    struct Case {
        std::function<void(Sample&)> change;
        const char* message;
    };
    for (const Case& bad : std::vector<Case>{{[](Sample& s) { s.domains.clear(); }, "no domain runs on kvm1"},
                                             {[](Sample& s) {
                                                  s.status = EnergyStatus::NoPlugin;
                                                  s.status_reason = "the daemon has no plugin";
                                              },
                                              "kvm1 gives no energy: the daemon has no plugin"},
                                             {[](Sample& s) { s.reading.reset(); }, "no figures of its CPUs"},
                                             {[](Sample& s) { s.host_cpus = 0; }, "number of CPUs"},
                                             {[](Sample& s) {
                                                  for (ZoneReading& zone : s.reading->zones)
                                                      zone.counted = false;
                                              },
                                              "no energy counter that counts"}}) {
        Sample sample = sample_;
        bad.change(sample);
        Measurement measurement(MeasurementOptions{2, 0});
        Status added = measurement.add(sample);
        ASSERT_FALSE(added);
        EXPECT_THAT(added.error().message, HasSubstr(bad.message));
    }
    EXPECT_THAT(measurement_
                    .add([this] {
                        Sample sample = sample_;
                        sample.domains.clear();
                        return sample;
                    }())
                    .error()
                    .message,
                HasSubstr("virsh start --paused"));
}

TEST_F(Idle, a_sample_without_figures_later_drops_a_window) {
    ASSERT_TRUE(add());
    add_windows(5);
    Sample empty = sample_;
    empty.domains.clear();
    empty.reading.reset();
    for (int n = 0; n < 6; n++) ASSERT_TRUE(measurement_.add(empty));
    EXPECT_THAT(refusal(), HasSubstr("5 of 11 windows could be measured: no domain runs on kvm1"));
}

}  // namespace
}  // namespace virt_power
