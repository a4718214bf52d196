// SPDX-License-Identifier: LGPL-2.1-or-later
#include "static_power.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "calibration_file.hpp"
#include "fake_root.hpp"
#include "small_file.hpp"

namespace virt_power {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr const char* machine = "0123456789abcdef0123456789abcdef";

class StaticPowerFile : public testing::Test {
protected:
    void write(uint64_t static_uw, const std::string& machine_id = machine,
               const std::string& source = "powercap", const std::string& zone = "package-0") {
        Calibration calibration;
        calibration.host = "kvm1";
        calibration.machine_id = machine_id;
        calibration.date = "2026-11-20T17:20:30Z";
        calibration.zones = {{zone, "package", source, static_uw, 0, 0, 0, 60, 0}};
        ASSERT_TRUE(replace_file(path_, *calibration_text(calibration, "test")));
    }

    /// What the zone has a second later.
    std::optional<uint64_t> look(uint64_t later_ns = 1'000'000'000) {
        now_ns_ += later_ns;
        std::vector<ZoneReading> zones = {{"package-0", "package", 0, "powercap", counted_, 5, 0},
                                          {"package-1", "package", 1, "powercap", counted_, 5, 0}};
        static_power_.add(zones, warn_);
        EXPECT_FALSE(zones[1].static_uw);
        return zones[0].static_uw;
    }

    FakeRoot root_;
    std::filesystem::path path_ = root_.path() / "host-power-calibration.conf";
    uint64_t now_ns_ = 5'000'000'000;
    bool counted_ = true;
    std::vector<std::string> warnings_;
    StaticPower static_power_{path_, of_machine(machine), [this] { return now_ns_; }};
    StaticPower::Warn warn_ = [this](std::string_view warning) { warnings_.emplace_back(warning); };
};

TEST_F(StaticPowerFile, is_found_followed_and_missed) {
    EXPECT_FALSE(look());
    write(12'000'000);
    EXPECT_EQ(look(), 12'000'000U);
    write(13'000'000);
    EXPECT_EQ(look(), 13'000'000U);
    root_.remove("host-power-calibration.conf");
    EXPECT_FALSE(look());
    EXPECT_THAT(warnings_, IsEmpty());
}

TEST_F(StaticPowerFile, gives_weights_and_follows_them) {
    EXPECT_FALSE(static_power_.weighing());
    const std::string head =
        "[calibration]\nversion=1\nmachine_id=" + std::string(machine) + "\n[weights]\ncycle_permille=300\n";
    ASSERT_TRUE(replace_file(path_, head + "square_permille=175\nshared_permille=560\n"));
    EXPECT_FALSE(static_power_.weighing());  // it was looked at just now
    now_ns_ += 1'000'000'000;
    EXPECT_EQ(static_power_.weighing(), (Weighing{560, 300, 175, true}));
    write(12'000'000);
    EXPECT_EQ(look(), 12'000'000U);
    EXPECT_FALSE(static_power_.weighing());
    EXPECT_THAT(warnings_, IsEmpty());
}

TEST_F(StaticPowerFile, a_fault_that_weights_found_is_told_once) {
    ASSERT_TRUE(replace_file(path_, "[calibration]\nversion=1\nmachine_id=" + std::string(machine) +
                                        "\n[weights]\nshared_permille=5\n"));
    EXPECT_FALSE(static_power_.weighing());
    look();
    EXPECT_EQ(warnings_.size(), 2U);  // the value, and the group that needs it
    look();
    EXPECT_EQ(warnings_.size(), 2U);
}

TEST_F(StaticPowerFile, weights_of_another_machine_are_not_believed) {
    ASSERT_TRUE(
        replace_file(path_,
                     "[calibration]\nversion=1\nmachine_id=ffffffffffffffffffffffffffffffff\n[weights]\n"
                     "shared_permille=560\ncycle_permille=1000\nsquare_permille=0\n"));
    EXPECT_FALSE(static_power_.weighing());
}

TEST_F(StaticPowerFile, is_looked_at_once_a_second) {
    EXPECT_FALSE(look());
    write(12'000'000);
    EXPECT_FALSE(look(999'999'998));
    EXPECT_FALSE(look(1));
    EXPECT_EQ(look(1), 12'000'000U);
}

TEST_F(StaticPowerFile, of_another_machine_is_not_believed_and_said_once) {
    write(12'000'000, "ffffffffffffffffffffffffffffffff");
    EXPECT_FALSE(look());
    EXPECT_FALSE(look());
    EXPECT_THAT(warnings_,
                ElementsAre(AllOf(HasSubstr("host-power-calibration.conf"), HasSubstr("[calibration]"),
                                  HasSubstr("'machine_id'"), HasSubstr("another machine's"))));
    write(12'000'000, "");
    EXPECT_FALSE(look());
    EXPECT_EQ(warnings_.size(), 2U);
    EXPECT_THAT(warnings_[1], HasSubstr("it is missing"));
    write(12'000'000);
    EXPECT_EQ(look(), 12'000'000U);
}

TEST_F(StaticPowerFile, may_be_bound_to_the_name_of_a_host) {
    write(12'000'000, "");
    for (const char* host : {"kvm1", "kvm2"}) {
        StaticPower named(path_, of_host(host), [this] { return now_ns_; });
        std::vector<ZoneReading> zones = {{"package-0", "package", 0, "powercap", true, 5, 0}};
        named.add(zones, warn_);
        EXPECT_EQ(zones[0].static_uw.has_value(), std::string(host) == "kvm1");
    }
    EXPECT_THAT(warnings_, ElementsAre(AllOf(HasSubstr("'host'"), HasSubstr("another host's"))));
}

TEST_F(StaticPowerFile, is_not_believed_where_the_machine_has_no_identity) {
    write(12'000'000, "");
    StaticPower nameless(path_, of_machine(""), [this] { return now_ns_; });
    std::vector<ZoneReading> zones = {{"package-0", "package", 0, "powercap", true, 5, 0}};
    nameless.add(zones, warn_);
    EXPECT_FALSE(zones[0].static_uw);
    EXPECT_THAT(warnings_, ElementsAre(HasSubstr("/etc/machine-id")));
}

TEST_F(StaticPowerFile, of_another_source_is_not_believed_and_said_once_energy_counts) {
    write(12'000'000, machine, "modelled");
    counted_ = false;
    EXPECT_FALSE(look());
    EXPECT_THAT(warnings_, IsEmpty());
    counted_ = true;
    EXPECT_FALSE(look());
    EXPECT_FALSE(look());
    EXPECT_THAT(warnings_, ElementsAre(AllOf(HasSubstr("[zone package-0]"), HasSubstr("'source'"),
                                             HasSubstr("powercap now, not by modelled"))));
}

TEST_F(StaticPowerFile, of_a_zone_that_is_not_there_is_said_once) {
    write(12'000'000, machine, "powercap", "package-9");
    EXPECT_FALSE(look());
    EXPECT_FALSE(look());
    EXPECT_THAT(warnings_, ElementsAre(AllOf(HasSubstr("[zone package-9]"), HasSubstr("no such zone"))));
}

TEST_F(StaticPowerFile, of_many_zones_that_are_not_there_some_are_said) {
    Calibration calibration;
    calibration.host = "kvm1";
    calibration.machine_id = machine;
    calibration.date = "2026-11-20T17:20:30Z";
    for (int n = 10; n < 40; n++)
        calibration.zones.push_back({"zone-" + std::to_string(n), "psys", "powercap", 1, 0, 0, 0, 60, 0});
    ASSERT_TRUE(replace_file(path_, *calibration_text(calibration, "test")));
    EXPECT_FALSE(look());
    EXPECT_FALSE(look());
    ASSERT_EQ(warnings_.size(), 9U);
    EXPECT_THAT(warnings_[7], HasSubstr("[zone zone-17]"));
    EXPECT_THAT(warnings_[8], HasSubstr("more groups"));
}

TEST_F(StaticPowerFile, that_is_a_link_to_itself_is_warned_of_once) {
    root_.link("host-power-calibration.conf", "host-power-calibration.conf");
    EXPECT_FALSE(look());
    EXPECT_FALSE(look());
    EXPECT_THAT(warnings_, ElementsAre(AllOf(HasSubstr("Too many levels of symbolic links"),
                                             HasSubstr("the file is ignored"))));
}

TEST_F(StaticPowerFile, that_cannot_be_read_for_a_while_is_what_it_was_and_tried_again) {
    write(12'000'000);
    EXPECT_EQ(look(), 12'000'000U);
    write(13'000'000);
    rlimit before{};
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
    rlimit none{0, before.rlim_max};
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
    std::optional<uint64_t> first = look(), second = look();
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
    EXPECT_EQ(first, 12'000'000U);
    EXPECT_EQ(second, 12'000'000U);
    EXPECT_THAT(warnings_, ElementsAre(AllOf(HasSubstr("Too many open files"), HasSubstr("until it can"))));
    EXPECT_EQ(look(), 13'000'000U);
}

TEST_F(StaticPowerFile, with_faults_is_warned_of_once_for_each_content) {
    root_.file("host-power-calibration.conf", "junk\n");
    EXPECT_FALSE(look());
    EXPECT_FALSE(look());
    EXPECT_EQ(warnings_.size(), 1U);
    root_.file("host-power-calibration.conf", "other junk\n");
    EXPECT_FALSE(look());
    EXPECT_FALSE(look());
    EXPECT_EQ(warnings_.size(), 2U);
    EXPECT_THAT(warnings_[1], AllOf(HasSubstr("host-power-calibration.conf"), HasSubstr("ignored")));
}

TEST_F(StaticPowerFile, a_fault_takes_back_what_was_known) {
    write(12'000'000);
    EXPECT_EQ(look(), 12'000'000U);
    root_.file("host-power-calibration.conf", "junk\n");
    EXPECT_FALSE(look());
}

TEST_F(StaticPowerFile, what_is_no_file_or_too_large_blocks_nothing) {
    ASSERT_EQ(::mkfifo(path_.c_str(), 0600), 0);
    EXPECT_FALSE(look());
    root_.remove("host-power-calibration.conf");
    root_.file("host-power-calibration.conf", std::string(max_calibration_size + 1, '#'));
    EXPECT_FALSE(look());
    EXPECT_FALSE(look());
    EXPECT_THAT(warnings_, ElementsAre(HasSubstr("is not a file"), HasSubstr("longer than")));
}

}  // namespace
}  // namespace virt_power
