// SPDX-License-Identifier: LGPL-2.1-or-later
#include "calibration_file.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace virt_power {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

Calibration full_calibration() {
    Calibration calibration;
    calibration.host = "kvm1.example";
    calibration.machine_id = "0123456789abcdef0123456789abcdef";
    calibration.date = "2026-11-20T17:20:30Z";
    calibration.seconds = 59.9;
    calibration.busy_percent = 0.25;
    calibration.busy_highest_percent = 1.5;
    calibration.zones = {
        {"package-0", "package", "powercap", 12'345'678, 1001, 12'000'000, 13'000'000, 58, 2},
        {"package-0/dram", "dram", "perf", 2'000'000, 1002, 1'000'000, 3'000'000, 60, 0}};
    return calibration;
}

class CalibrationFile : public testing::Test {
protected:
    std::optional<Calibration> parse(std::string_view text) {
        warnings_.clear();
        return parse_calibration(text, "/etc/x.conf",
                                 [this](std::string_view warning) { warnings_.emplace_back(warning); });
    }

    std::vector<std::string> warnings_;
};

constexpr std::string_view head = "[calibration]\nversion=1\n";

TEST_F(CalibrationFile, gives_back_what_was_written) {
    Result<std::string> text = calibration_text(full_calibration(), "virt-power 0.1.0");
    ASSERT_TRUE(text);
    EXPECT_EQ(parse(*text), full_calibration());
    EXPECT_THAT(warnings_, IsEmpty());
    EXPECT_THAT(*text, HasSubstr("# Written by virt-power 0.1.0 on 2026-11-20T17:20:30Z"));
    EXPECT_THAT(*text, HasSubstr("\nstatic_uw=12345678\n"));
}

TEST_F(CalibrationFile, a_machine_without_an_identity_has_no_key_for_it) {
    Calibration calibration = full_calibration();
    calibration.machine_id.clear();
    Result<std::string> text = calibration_text(calibration, "test");
    ASSERT_TRUE(text);
    EXPECT_EQ(parse(*text), calibration);
    EXPECT_THAT(warnings_, IsEmpty());
}

TEST_F(CalibrationFile, a_name_that_would_change_the_file_is_not_written) {
    for (const char* bad : {"a]\nb", "x[", "back\\slash", "", " space", "bell\a", "gr\xc3\xb6\xc3\x9f"}) {
        Calibration calibration = full_calibration();
        calibration.zones[0].name = bad;
        EXPECT_FALSE(calibration_text(calibration, "test")) << bad;
        calibration = full_calibration();
        calibration.host = bad;
        EXPECT_FALSE(calibration_text(calibration, "test")) << bad;
    }
}

TEST_F(CalibrationFile, a_wrong_value_is_named_with_file_group_and_key) {
    std::optional<Calibration> found =
        parse(std::string(head) + "[zone package-0]\nsource=powercap\nstatic_uw=5000000\nwindows=many\n");
    ASSERT_TRUE(found);
    EXPECT_EQ(found->zones[0].static_uw, 5'000'000U);
    EXPECT_THAT(warnings_, ElementsAre(AllOf(HasSubstr("/etc/x.conf"), HasSubstr("[zone package-0]"),
                                             HasSubstr("'windows'"), HasSubstr("'many'"))));
}

TEST_F(CalibrationFile, a_zone_without_what_it_needs_is_ignored_and_the_others_are_not) {
    for (const char* bad : {"static_uw=5\n", "source=powercap\n", "source=powercap\nstatic_uw=-1\n",
                            "source=powercap\nstatic_uw=1.5\n", "source=powercap\nstatic_uw=12 W\n",
                            "source=powercap\nstatic_uw=1000000000001\n",
                            "source=powercap\nstatic_uw=99999999999999999999999\n", "source=\nstatic_uw=5\n",
                            "source=powercap\nstatic_uw=\n"}) {
        std::optional<Calibration> found =
            parse(std::string(head) + "[zone a]\n" + bad + "[zone b]\nsource=perf\nstatic_uw=7\n");
        ASSERT_TRUE(found) << bad;
        ASSERT_EQ(found->zones.size(), 1U) << bad;
        EXPECT_EQ(found->zones[0].name, "b");
        EXPECT_THAT(warnings_, testing::Contains(AllOf(HasSubstr("[zone a]"), HasSubstr("it is needed"))))
            << bad;
    }
}

TEST_F(CalibrationFile, unknown_groups_and_keys_are_named) {
    std::optional<Calibration> found = parse(std::string(head) + "color=red\n[zones]\n[zone ]\n");
    ASSERT_TRUE(found);
    EXPECT_THAT(warnings_, ElementsAre(HasSubstr("has no key 'color'"), HasSubstr("no group [zones]"),
                                       HasSubstr("no group [zone ]")));
}

TEST_F(CalibrationFile, many_faults_do_not_fill_a_log) {
    std::string text(head);
    for (int n = 0; n < 1000; n++) text += "[group" + std::to_string(n) + "]\n";
    EXPECT_TRUE(parse(text));
    ASSERT_EQ(warnings_.size(), 20U);
    EXPECT_EQ(warnings_.back(), "/etc/x.conf: there are more faults");
}

TEST_F(CalibrationFile, another_version_is_ignored_as_a_whole) {
    EXPECT_FALSE(parse("[calibration]\nversion=2\n[zone a]\nsource=perf\nstatic_uw=7\n"));
    EXPECT_THAT(warnings_, ElementsAre(AllOf(HasSubstr("'version'"), HasSubstr("2 is not known"))));
    EXPECT_FALSE(parse("[zone a]\nsource=perf\nstatic_uw=7\n"));
    EXPECT_THAT(warnings_, ElementsAre(AllOf(HasSubstr("'version'"), HasSubstr("missing"))));
    EXPECT_FALSE(parse(""));
    EXPECT_EQ(warnings_.size(), 1U);
}

TEST_F(CalibrationFile, a_truncated_text_never_gives_another_value) {
    Result<std::string> text = calibration_text(full_calibration(), "test");
    ASSERT_TRUE(text);
    for (size_t size = 0; size < text->size(); size++) {
        std::optional<Calibration> found = parse(text->substr(0, size));
        EXPECT_TRUE(found || !warnings_.empty());
        if (!found) continue;
        for (size_t zone = 0; zone < found->zones.size(); zone++) {
            EXPECT_EQ(found->zones[zone].static_uw, full_calibration().zones[zone].static_uw);
            EXPECT_EQ(found->zones[zone].source, full_calibration().zones[zone].source);
        }
    }
}

Weights full_weights() { return {560, 12, 300, 20, 175, 11, CalibrationMethod::Recording, "powercap"}; }

TEST_F(CalibrationFile, weights_and_how_a_zone_was_measured_come_back) {
    Calibration calibration = full_calibration();
    calibration.weights = full_weights();
    calibration.zones[1].method = CalibrationMethod::Recording;
    calibration.zones[1].error_uw = 12'345;
    Result<std::string> text = calibration_text(calibration, "test");
    ASSERT_TRUE(text);
    EXPECT_THAT(*text, HasSubstr("\n[weights]\nshared_permille=560\nshared_deviation_permille=12\n"));
    EXPECT_THAT(*text, HasSubstr("method=idle\n\n[zone package-0/dram]"));
    EXPECT_EQ(parse(*text), calibration);
    EXPECT_THAT(warnings_, IsEmpty());
    calibration.zones.clear();
    calibration.weights->cycle_deviation_permille.reset();
    calibration.weights->source.clear();
    EXPECT_EQ(parse(*calibration_text(calibration, "test")), calibration);
    EXPECT_THAT(warnings_, IsEmpty());
}

TEST_F(CalibrationFile, a_zone_that_does_not_say_how_it_was_measured_was_idle) {
    std::optional<Calibration> found =
        parse(std::string(head) +
              "[zone a]\nsource=perf\nstatic_uw=7\n[zone b]\nsource=perf\nstatic_uw=7\nmethod=load\n");
    ASSERT_TRUE(found);
    EXPECT_EQ(found->zones[0].method, CalibrationMethod::Idle);
    EXPECT_FALSE(found->zones[0].error_uw);
    EXPECT_THAT(warnings_, ElementsAre(AllOf(HasSubstr("[zone b], key 'method'"),
                                             HasSubstr("'load' is not idle or recording"))));
}

TEST_F(CalibrationFile, weights_out_of_range_cost_the_group_and_not_the_zones) {
    const std::string cycle = "cycle_permille=1000\n", square = "square_permille=0\n",
                      shared = "shared_permille=550\n";
    for (const std::string& bad :
         {"shared_permille=299\n" + cycle + square, "shared_permille=1201\n" + cycle + square, cycle + square,
          "shared_permille=-1\n" + cycle + square, "shared_permille=0.55\n" + cycle + square, shared + square,
          shared + cycle, shared + square + "cycle_permille=1001\n",
          shared + cycle + "square_permille=10001\n", shared + square + "cycle_permille=0\n"}) {
        std::optional<Calibration> found =
            parse(std::string(head) + "[weights]\n" + bad + "[zone b]\nsource=perf\nstatic_uw=7\n");
        ASSERT_TRUE(found) << bad;
        EXPECT_FALSE(found->weights) << bad;
        EXPECT_EQ(found->zones.size(), 1U);
        EXPECT_THAT(warnings_, testing::Contains(AllOf(HasSubstr("/etc/x.conf: group [weights]"),
                                                       HasSubstr("the group is ignored"))))
            << bad;
    }
    parse(std::string(head) + "[weights]\nshared_permille=299\n" + cycle + square);
    EXPECT_THAT(warnings_[0],
                HasSubstr("key 'shared_permille': '299' is not whole thousandths from 300 to 1200"));
}

TEST(TakeOver, what_was_not_measured_stays_as_it_was) {
    Calibration fresh = full_calibration(), older = full_calibration();
    older.weights = full_weights();
    TakenOver taken = take_over(fresh, older);
    EXPECT_EQ(fresh.weights, full_weights());
    EXPECT_TRUE(taken.shared && taken.frequency && !taken.zones);

    fresh.zones.clear();
    fresh.weights = Weights{};
    fresh.weights->shared_permille = 700;
    fresh.weights->shared_deviation_permille = 3;
    taken = take_over(fresh, older);
    EXPECT_EQ(fresh.zones, older.zones);
    EXPECT_EQ(fresh.weights->shared_permille, 700U);
    EXPECT_EQ(fresh.weights->square_permille, 175U);
    EXPECT_EQ(fresh.weights->method, CalibrationMethod::Load);
    EXPECT_TRUE(taken.zones && taken.frequency && !taken.shared);
}

TEST(TakeOver, nothing_of_another_machine) {
    Calibration fresh = full_calibration(), older = full_calibration();
    older.weights = full_weights();
    older.machine_id = "ffffffffffffffffffffffffffffffff";
    TakenOver taken = take_over(fresh, older);
    EXPECT_FALSE(fresh.weights);
    EXPECT_FALSE(taken.shared || taken.frequency || taken.zones);
    older.machine_id.clear();
    take_over(fresh, older);
    EXPECT_FALSE(fresh.weights);
    fresh.machine_id.clear();
    older.host = "other";
    take_over(fresh, older);
    EXPECT_FALSE(fresh.weights);
    older.host = fresh.host;
    take_over(fresh, older);
    EXPECT_TRUE(fresh.weights);
}

TEST_F(CalibrationFile, what_is_no_key_file_is_named) {
    EXPECT_FALSE(parse("this is not a key file\n"));
    EXPECT_THAT(warnings_, ElementsAre(AllOf(HasSubstr("/etc/x.conf"), HasSubstr("ignored"))));
}

}  // namespace
}  // namespace virt_power
