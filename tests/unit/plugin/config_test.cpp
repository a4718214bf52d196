// SPDX-License-Identifier: LGPL-2.1-or-later
#include "config.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "fake_root.hpp"

namespace virt_power {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class ConfigFile : public testing::Test {
protected:
    Config load(std::string_view text) {
        root_.file("host-power.conf", text);
        return load_config(root_.path() / "host-power.conf",
                           [this](std::string_view warning) { warnings_.emplace_back(warning); });
    }

    FakeRoot root_;
    std::vector<std::string> warnings_;
};

TEST_F(ConfigFile, without_a_file_the_defaults_serve_in_silence) {
    Config config = load_config(root_.path() / "none.conf",
                                [this](std::string_view warning) { warnings_.emplace_back(warning); });
    EXPECT_THAT(warnings_, IsEmpty());
    EXPECT_EQ(config.read_only, ReadOnlyRule::Deny);
    EXPECT_FALSE(config.modelled);
    EXPECT_EQ(config.keep_seconds, 900U);
    EXPECT_EQ(config.keep_max, 256U);
    EXPECT_EQ(config.root, "/");
}

TEST_F(ConfigFile, every_key_is_taken) {
    Config config = load(
        "[sources]\npowercap=false\nperf=false\nmodelled=true\n"
        "[modelled]\nidle_watts=12.5\nbusy_cpu_watts=3\n"
        "[access]\nread_only=coarse\n"
        "[departed]\nkeep_seconds=60\nkeep_max=5\n"
        "[usage]\ncounter=proc\n"
        "[host]\nroot=/srv/tree\n");
    EXPECT_THAT(warnings_, IsEmpty());
    EXPECT_FALSE(config.powercap);
    EXPECT_FALSE(config.perf);
    EXPECT_TRUE(config.modelled);
    EXPECT_EQ(config.model.idle_uw, 12'500'000U);
    EXPECT_EQ(config.model.busy_cpu_uw, 3'000'000U);
    EXPECT_EQ(config.read_only, ReadOnlyRule::Coarse);
    EXPECT_EQ(config.keep_seconds, 60U);
    EXPECT_EQ(config.keep_max, 5U);
    EXPECT_EQ(config.counter, CounterChoice::Proc);
    EXPECT_EQ(config.root, "/srv/tree");
}

TEST_F(ConfigFile, a_wrong_value_is_named_with_file_group_and_key_and_costs_itself) {
    Config config = load("[access]\nread_only=maybe\n[departed]\nkeep_seconds=7\n");
    EXPECT_EQ(config.read_only, ReadOnlyRule::Deny);
    EXPECT_EQ(config.keep_seconds, 7U);
    EXPECT_THAT(warnings_, ElementsAre(AllOf(HasSubstr("host-power.conf"), HasSubstr("[access]"),
                                             HasSubstr("'read_only'"), HasSubstr("'maybe'"),
                                             HasSubstr("one of coarse, deny, full"))));
}

TEST_F(ConfigFile, wrong_values_of_every_kind_are_refused) {
    for (const char* text :
         {"[sources]\npowercap=yes\n", "[modelled]\nidle_watts=-1\n", "[modelled]\nidle_watts=nan\n",
          "[modelled]\nidle_watts=1e9\n", "[modelled]\nidle_watts=5W\n", "[departed]\nkeep_max=-1\n",
          "[departed]\nkeep_max=1000000\n", "[departed]\nkeep_seconds=\n", "[usage]\ncounter=BPF\n",
          "[host]\nroot=relative\n"}) {
        warnings_.clear();
        (void)load(text);
        EXPECT_THAT(warnings_, ElementsAre(HasSubstr("the default serves"))) << text;
    }
}

TEST_F(ConfigFile, unknown_groups_and_keys_are_named) {
    (void)load("[source]\npowercap=true\n[sources]\npower=true\n");
    EXPECT_THAT(warnings_, ElementsAre(HasSubstr("no group [source]"), HasSubstr("has no key 'power'")));
}

TEST_F(ConfigFile, what_is_no_file_or_too_large_is_named_and_blocks_nothing) {
    std::filesystem::create_directories(root_.path() / "host-power.conf");
    (void)load_config(root_.path() / "host-power.conf",
                      [this](std::string_view w) { warnings_.emplace_back(w); });
    root_.remove("host-power.conf");
    ASSERT_EQ(::mkfifo((root_.path() / "host-power.conf").c_str(), 0600), 0);
    (void)load_config(root_.path() / "host-power.conf",
                      [this](std::string_view w) { warnings_.emplace_back(w); });
    root_.remove("host-power.conf");
    (void)load(std::string(100000, '#'));
    EXPECT_THAT(warnings_, ElementsAre(HasSubstr("is not a file"), HasSubstr("is not a file"),
                                       HasSubstr("longer than")));
}

TEST_F(ConfigFile, what_is_no_key_file_is_named_and_the_defaults_serve) {
    Config config = load("this is not a key file\n");
    EXPECT_TRUE(config.powercap);
    EXPECT_THAT(warnings_, ElementsAre(AllOf(HasSubstr("host-power.conf"), HasSubstr("the defaults serve"))));
}

}  // namespace
}  // namespace virt_power
