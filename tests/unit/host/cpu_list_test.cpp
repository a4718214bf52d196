// SPDX-License-Identifier: LGPL-2.1-or-later
#include "cpu_list.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "knob_kernel.hpp"

namespace virt_power {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

TEST(CpuList, takes_what_libvirt_takes) {
    EXPECT_THAT(parse_cpumap("0"), ElementsAre(0));
    EXPECT_THAT(parse_cpumap("0-3,8"), ElementsAre(0, 1, 2, 3, 8));
    EXPECT_THAT(parse_cpumap("8,0-3,2"), ElementsAre(0, 1, 2, 3, 8));
    EXPECT_THAT(parse_cpumap("0-7,^3"), ElementsAre(0, 1, 2, 4, 5, 6, 7));
    EXPECT_THAT(parse_cpumap("5-5"), ElementsAre(5));
    EXPECT_THAT(parse_cpumap("4095"), ElementsAre(4095));
    EXPECT_THAT(parse_cpumap("0-4095"), SizeIs(max_cpus));
    EXPECT_THAT(parse_cpumap(" 0 - 1 , 3 "), ElementsAre(0, 1, 3));
    EXPECT_THAT(parse_cpumap("0,1,"), ElementsAre(0, 1));
    EXPECT_THAT(parse_cpumap("007"), ElementsAre(7));
}

TEST(CpuList, what_is_taken_out_may_come_again_later) {
    EXPECT_THAT(parse_cpumap("^1,0-2"), ElementsAre(0, 1, 2));
    EXPECT_THAT(parse_cpumap("0-2,^1,1"), ElementsAre(0, 1, 2));
}

TEST(CpuList, anything_else_is_refused) {
    for (const char* text : {"x",        "-1",      "+1",   "1-",   "3-1", "0-3-5", "^",   "^^1", "^1-2",
                             "0-7,^2-3", "0,,1",    ",",    ",0",   "0;1", "0 1",   "0x1", "1.5", "../",
                             "/sys",     "0-1\x01", "0-+3", "0--0", "^ 1", "NaN",   "all", "\v1"})
        EXPECT_THAT(error_of([&] { (void)parse_cpumap(text); }).what(), HasSubstr("is not a list of CPUs"))
            << text;
    EXPECT_EQ(error_of([] { (void)parse_cpumap("x"); }).kind(), KnobErrorKind::InvalidArgument);
    EXPECT_STREQ(error_of([] { (void)parse_cpumap("0-\n\x1b[31m"); }).what(),
                 "'0-??[31m' is not a list of CPUs; write it as 0-3,8 or 0-7,^3");
}

TEST(CpuList, one_without_a_cpu_is_refused) {
    EXPECT_STREQ(error_of([] { (void)parse_cpumap(""); }).what(), "the list of CPUs is empty");
    EXPECT_STREQ(error_of([] { (void)parse_cpumap("  "); }).what(), "the list of CPUs is empty");
    EXPECT_THAT(error_of([] { (void)parse_cpumap("^2"); }).what(), HasSubstr("leaves no CPU"));
    EXPECT_THAT(error_of([] { (void)parse_cpumap("2,^2"); }).what(), HasSubstr("leaves no CPU"));
}

TEST(CpuList, is_bounded) {
    for (const char* text : {"4096", "0-4096", "0-4294967295", "99999999999999999999999", "^4096"})
        EXPECT_THAT(error_of([&] { (void)parse_cpumap(text); }).what(), HasSubstr("a number above 4095"))
            << text;
    std::string all;
    for (uint32_t cpu = 0; cpu < max_cpus; cpu++) all += std::to_string(cpu) + ",";
    EXPECT_THAT(parse_cpumap(all), SizeIs(max_cpus));
    std::string endless;
    while (endless.size() < 1'000'000) endless += "0-4095,";
    std::string what = error_of([&] { (void)parse_cpumap(endless); }).what();
    EXPECT_LT(what.size(), 200U);
}

TEST(CpuList, is_written_as_libvirt_writes_it) {
    EXPECT_EQ(format_cpu_list({}), "");
    EXPECT_EQ(format_cpu_list({3}), "3");
    EXPECT_EQ(format_cpu_list({0, 1, 2, 3, 8, 10, 11}), "0-3,8,10-11");
    EXPECT_EQ(name_cpus({3}), "CPU 3");
    EXPECT_EQ(name_cpus({0, 1, 3}), "CPUs 0-1,3");
    EXPECT_EQ(format_cpu_list(parse_cpumap("0-4095,^7")), "0-6,8-4095");
}

}  // namespace
}  // namespace virt_power
