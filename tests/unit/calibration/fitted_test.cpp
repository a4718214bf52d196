// SPDX-License-Identifier: LGPL-2.1-or-later
#include "fitted.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "loaded_host.hpp"

namespace virt_power {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;

/// A day of a host, in windows of 10 s; what it draws is known, and noise comes on top.
class Fit : public testing::Test {
protected:
    void run(int windows, double lowest_busy = 0.05, double highest_busy = 0.8, double noise_w = 0.3) {
        std::mt19937 random(seed_);
        std::normal_distribution<double> noise(0, noise_w);
        std::uniform_real_distribution<double> any(0, 1);
        windows_.add(host_.sample);
        for (int n = 0; n < windows; n++) {
            double busy = lowest_busy + (highest_busy - lowest_busy) * any(random);
            double part = shares_ ? any(random) * busy : 0, ghz = steps_ ? 1 + 2.5 * any(random) : 2;
            host_.pass(10, busy, part, ghz, noise_w > 0 ? noise(random) : 0);
            windows_.add(host_.sample);
        }
    }
    Result<Fitted> fit(double max_error_percent = 10) {
        return fit_recording(windows_, "kvm1", max_error_percent);
    }
    std::string refusal() {
        Result<Fitted> found = fit();
        return found ? "none" : found.error().message;
    }

    unsigned seed_ = 7;
    bool shares_ = true, steps_ = true;
    LoadedHost host_;
    LoadWindows windows_{10'000'000'000};
};

TEST_F(Fit, exact_numbers_are_found_exactly) {
    host_.square = 0.7;
    run(100, 0.05, 0.8, 0);
    Result<Fitted> found = fit();
    ASSERT_TRUE(found) << found.error().message;
    ASSERT_EQ(found->calibration.zones.size(), 2U);
    const ZoneStatic& zone = found->calibration.zones[0];
    EXPECT_NEAR(static_cast<double>(zone.static_uw), 20e6, 10);
    EXPECT_EQ(zone.method, CalibrationMethod::Recording);
    EXPECT_EQ(zone.windows, 100U);
    EXPECT_EQ(zone.dropped, 0U);
    EXPECT_NEAR(static_cast<double>(found->calibration.zones[1].static_uw), 3e6, 1000);
    ASSERT_TRUE(found->calibration.weights);
    const Weights& weights = *found->calibration.weights;
    EXPECT_EQ(weights.shared_permille, 600U);
    // At 2 GHz 0.7 of a cycle's energy goes with f^2 = 4: 300 : 175, whatever the unit of both.
    EXPECT_NEAR(static_cast<double>(weights.square_permille) / weights.cycle_permille, 0.175 / 0.3, 0.005);
    EXPECT_EQ(weights.method, CalibrationMethod::Recording);
    EXPECT_EQ(weights.source, "powercap");
}

TEST_F(Fit, noise_shows_in_the_errors_and_the_truth_is_within_them) {
    host_.square = 0.7;
    run(2000);
    Result<Fitted> found = fit();
    ASSERT_TRUE(found) << found.error().message;
    const ZoneFit& of_package = found->zones[0].fit;
    EXPECT_GT(of_package.static_uw.error, 1000);
    EXPECT_NEAR(of_package.static_uw.value, 20e6, 3 * of_package.static_uw.error);
    EXPECT_NEAR(of_package.margin_uw, 1.96 * of_package.static_uw.error, 0.01 * of_package.margin_uw);
    EXPECT_NEAR(of_package.deviation_uw, 0.3e6, 0.02e6);
    EXPECT_EQ(found->calibration.zones[0].error_uw, std::llround(of_package.static_uw.error));
    ASSERT_TRUE(of_package.shared && of_package.frequency);
    EXPECT_NEAR(of_package.shared->value, 0.6, 3 * of_package.shared->error);
    EXPECT_GT(of_package.shared->error, 1e-4);
    EXPECT_LT(of_package.shared->error, 0.01);
}

TEST_F(Fit, weights_that_cannot_be_told_are_left_out_and_said) {
    shares_ = steps_ = false;
    run(200);
    Result<Fitted> found = fit();
    ASSERT_TRUE(found) << found.error().message;
    EXPECT_FALSE(found->calibration.weights);
    EXPECT_THAT(
        found->notices,
        ElementsAre(AllOf(HasSubstr("package-0"), HasSubstr("shared cores"), HasSubstr("hardly varies")),
                    AllOf(HasSubstr("package-0"), HasSubstr("frequency"), HasSubstr("hardly varies"))));
}

TEST_F(Fit, a_host_that_counts_no_shared_use_has_static_power) {
    shares_ = steps_ = false;
    host_.package().shared.reset();
    host_.package().squared.reset();
    LoadedHost whole;
    windows_.add(host_.sample);
    for (int n = 0; n < 50; n++) {
        whole.pass(10, n % 5 * 0.2);
        Sample sample = whole.sample;
        sample.reading->packages[0].shared.reset();
        sample.reading->packages[0].squared.reset();
        windows_.add(sample);
    }
    Result<Fitted> found = fit();
    ASSERT_TRUE(found) << found.error().message;
    EXPECT_NEAR(static_cast<double>(found->calibration.zones[0].static_uw), 20e6, 10);
    EXPECT_FALSE(found->calibration.weights);
    EXPECT_THAT(found->notices, Contains(HasSubstr("no core of the host has two hyperthreads")));
}

TEST_F(Fit, a_weight_hidden_by_noise_is_left_out) {
    host_.square = 0.7;
    run(40, 0.05, 0.3, 2);
    Result<Fitted> found = fit(50);
    ASSERT_TRUE(found) << found.error().message;
    EXPECT_THAT(found->notices, Contains(AllOf(HasSubstr("shared cores"), HasSubstr("is known to"))));
    EXPECT_TRUE(!found->calibration.weights || !found->calibration.weights->shared_deviation_permille);
}

TEST_F(Fit, frequency_that_moves_with_the_load_alone_can_be_told_and_one_that_does_not_matter_is_left_out) {
    host_.square = 0;
    run(400);
    Result<Fitted> found = fit();
    ASSERT_TRUE(found) << found.error().message;
    ASSERT_TRUE(found->calibration.weights);
    EXPECT_NEAR(found->calibration.weights->shared_permille, 600, 30);
    // Nothing goes with frequency: left out, or next to nothing.
    EXPECT_GE(found->calibration.weights->cycle_permille, 950U);
}

TEST_F(Fit, noise_alone_does_not_make_cycles_differ) {
    for (seed_ = 1; seed_ <= 30; seed_++) {
        host_ = {};
        windows_ = LoadWindows{10'000'000'000};
        run(40);
        Result<Fitted> found = fit(50);
        ASSERT_TRUE(found) << found.error().message;
        EXPECT_FALSE(found->zones[0].fit.frequency) << "seed " << seed_;
        EXPECT_THAT(found->notices, Contains(HasSubstr("the weight of frequency cannot be told"))) << seed_;
    }
}

TEST_F(Fit, a_load_that_never_varied_is_refused) {
    steps_ = false;
    run(100, 0.4, 0.45);
    EXPECT_THAT(refusal(),
                AllOf(HasSubstr("zone package-0 of kvm1: its load varied by "), HasSubstr("to do: ")));
}

TEST_F(Fit, too_few_windows_are_refused) {
    run(11);
    EXPECT_THAT(refusal(), HasSubstr("only 11 windows could be measured, and 12 are needed"));
}

TEST_F(Fit, negative_static_power_is_refused) {
    host_.static_w = -2;
    run(100);
    EXPECT_THAT(refusal(), AllOf(HasSubstr("static power comes out as -"), HasSubstr("cannot be")));
}

TEST_F(Fit, what_is_too_uncertain_is_refused_unless_it_is_allowed) {
    shares_ = steps_ = false;
    run(30, 0.6, 0.9, 2);
    EXPECT_THAT(refusal(), AllOf(HasSubstr("% of it, and 10 % is allowed (--max-error)"),
                                 HasSubstr("record for longer")));
    EXPECT_TRUE(fit(100));
}

TEST_F(Fit, memory_that_cannot_be_told_does_not_cost_the_package) {
    run(100);
    windows_ = LoadWindows(10'000'000'000);
    std::mt19937 random(7);
    windows_.add(host_.sample);
    for (int n = 0; n < 50; n++) {
        host_.pass(10, n % 5 * 0.2);
        *host_.reading().zones[1].energy_uj += random() % 200'000'000;
        windows_.add(host_.sample);
    }
    Result<Fitted> found = fit();
    ASSERT_TRUE(found) << found.error().message;
    EXPECT_EQ(found->calibration.zones.size(), 1U);
    EXPECT_THAT(found->notices, Contains(AllOf(HasSubstr("package-0/dram"), HasSubstr("left out"))));
}

TEST_F(Fit, nothing_at_all_is_refused) {
    EXPECT_THAT(refusal(), HasSubstr("kvm1: no two samples are as far apart as a window"));
    for (ZoneReading& zone : host_.reading().zones) zone.energy_uj.reset();
    windows_.add(host_.sample);
    host_.reading().time_ns += 10'000'000'000;
    windows_.add(host_.sample);
    EXPECT_THAT(refusal(), HasSubstr("kvm1: of 1 windows none has energy that counts"));
}

/// Idle, then one hyperthread of each core and both in turns, as calibrate --load puts it.
class Load : public Fit {
protected:
    void phases(double noise_w = 0.1) {
        windows_ = LoadWindows(1'000'000'000);
        std::mt19937 random(seed_);
        std::normal_distribution<double> noise(0, noise_w);
        windows_.add(host_.sample);
        for (int n = 0; n < 20; n++) {
            host_.pass(1, 0.002, 0, 1.2, noise(random));
            windows_.add(host_.sample);
        }
        for (int phase = 0; phase < 4; phase++) {
            windows_.cut();
            windows_.add(host_.sample);
            for (int n = 0; n < 5; n++) {
                host_.pass(1, phase % 2 == 0 ? 0.5 : 1, phase % 2 == 0 ? 0.01 : 0.99, 2, noise(random));
                windows_.add(host_.sample);
            }
        }
    }
};

TEST_F(Load, tells_the_weight_of_shared_use) {
    host_.shared = 0.55;
    phases();
    Result<Weights> weights = fit_shared_weight(windows_, "kvm1");
    ASSERT_TRUE(weights) << weights.error().message;
    EXPECT_NEAR(weights->shared_permille, 550, 30);
    ASSERT_TRUE(weights->shared_deviation_permille);
    EXPECT_LT(*weights->shared_deviation_permille, 30U);
    EXPECT_GT(*weights->shared_deviation_permille, 0U);
    EXPECT_EQ(weights->method, CalibrationMethod::Load);
    EXPECT_EQ(weights->cycle_permille, 1000U);
    EXPECT_FALSE(weights->cycle_deviation_permille);
}

TEST_F(Load, a_weight_that_cannot_be_is_refused) {
    for (double shared : {0.1, 1.5}) {
        host_.shared = shared;
        phases();
        Result<Weights> weights = fit_shared_weight(windows_, "kvm1");
        ASSERT_FALSE(weights) << shared;
        EXPECT_THAT(weights.error().message, HasSubstr("only 0.3 to 1.2 can be"));
    }
}

TEST_F(Load, noise_that_hides_it_is_refused) {
    phases(20);
    Result<Weights> weights = fit_shared_weight(windows_, "kvm1");
    ASSERT_FALSE(weights);
    EXPECT_THAT(weights.error().message, HasSubstr("cannot be told"));
}

}  // namespace
}  // namespace virt_power
