// SPDX-License-Identifier: LGPL-2.1-or-later
#include "hyperthreads.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fake_root.hpp"
#include "numbers.hpp"

namespace virt_power {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

/// Four cores of two hyperthreads, CPUs N and N + 4.
class Hyperthreads : public testing::Test {
protected:
    Hyperthreads() {
        root_.file("sys/devices/system/cpu/online", "0-7\n");
        for (int cpu = 0; cpu < 8; cpu++)
            siblings(cpu, std::to_string(cpu % 4) + "," + std::to_string(cpu % 4 + 4));
    }
    void siblings(int cpu, const std::string& list) {
        root_.file("sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology/thread_siblings_list",
                   list + "\n");
    }
    Result<std::vector<Core>> read() { return read_shared_cores(root_.path(), allowed_); }

    FakeRoot root_;
    std::vector<uint32_t> allowed_{0, 1, 2, 3, 4, 5, 6, 7};
};

TEST_F(Hyperthreads, each_core_once) {
    EXPECT_THAT(*read(), ElementsAre(Core{0, 4}, Core{1, 5}, Core{2, 6}, Core{3, 7}));
}

TEST_F(Hyperthreads, only_what_is_online_and_allowed) {
    root_.file("sys/devices/system/cpu/online", "0-5,7\n");
    allowed_ = {0, 1, 2, 4, 6, 7};
    EXPECT_THAT(*read(), ElementsAre(Core{0, 4}));
    allowed_.clear();
    EXPECT_THAT(*read(), IsEmpty());
}

TEST_F(Hyperthreads, four_to_a_core_and_neighbours) {
    for (int cpu = 0; cpu < 8; cpu++) siblings(cpu, cpu < 4 ? "0-3" : "4-7");
    EXPECT_THAT(*read(), ElementsAre(Core{0, 1, 2, 3}, Core{4, 5, 6, 7}));
}

TEST_F(Hyperthreads, cores_of_one_are_no_shared_ones) {
    for (int cpu = 0; cpu < 8; cpu++) siblings(cpu, std::to_string(cpu));
    EXPECT_THAT(*read(), IsEmpty());
}

TEST_F(Hyperthreads, what_is_no_list_is_named) {
    for (const char* bad : {"0-", "a", "0,,4", "4-0", "0-99999", "-1", "0 4", "99999999999"}) {
        siblings(2, bad);
        Result<std::vector<Core>> cores = read();
        ASSERT_FALSE(cores) << bad;
        EXPECT_THAT(cores.error().message, HasSubstr("cpu2/topology/thread_siblings_list: "));
    }
    root_.remove("sys/devices/system/cpu/cpu2");
    EXPECT_EQ(read().error().kind, ErrorKind::Gone);
}

TEST_F(Hyperthreads, lists_are_short) {
    EXPECT_EQ(format_cpu_list({0, 1, 2, 3, 8, 10, 11}), "0-3,8,10-11");
    EXPECT_EQ(format_cpu_list({}), "");
}

}  // namespace
}  // namespace virt_power
