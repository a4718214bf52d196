// SPDX-License-Identifier: LGPL-2.1-or-later
#include "cpu_topology.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fake_root.hpp"

namespace virt_power {
namespace {

using testing::ElementsAre;

TEST(CpuTopology, gives_packages_a_dense_index) {
    FakeRoot root;
    root.cpus("0-3", {0, 3, 0, 3});
    CpuTopology topology(root.path());
    ASSERT_TRUE(topology.refresh());
    EXPECT_THAT(topology.package_ids(), ElementsAre(0, 3));
    EXPECT_EQ(topology.package_of_cpu(1), 1U);
    EXPECT_EQ(topology.package_of_cpu(2), 0U);
    EXPECT_EQ(topology.package_of_id(3), 1U);
    EXPECT_EQ(topology.package_of_cpu(9), std::nullopt);
}

TEST(CpuTopology, tells_when_the_online_cpus_change) {
    FakeRoot root;
    root.cpus("0-1", {0, 1});
    CpuTopology topology(root.path());
    EXPECT_TRUE(*topology.refresh());
    EXPECT_FALSE(*topology.refresh());
    root.cpus("0", {0});
    EXPECT_TRUE(*topology.refresh());
    EXPECT_THAT(topology.online_cpus(), ElementsAre(0));
}

TEST(CpuTopology, a_cpu_that_went_offline_keeps_its_package) {
    FakeRoot root;
    root.cpus("0-1", {0, 1});
    CpuTopology topology(root.path());
    ASSERT_TRUE(topology.refresh());
    root.cpus("0", {0});
    root.remove("sys/devices/system/cpu/cpu1");
    ASSERT_TRUE(topology.refresh());
    EXPECT_EQ(topology.package_of_cpu(1), 1U);
    EXPECT_THAT(topology.package_ids(), ElementsAre(0, 1));
}

TEST(CpuTopology, a_package_that_comes_later_goes_to_the_end) {
    FakeRoot root;
    root.cpus("1", {0, 5});
    CpuTopology topology(root.path());
    ASSERT_TRUE(topology.refresh());
    root.cpus("0-1", {0, 5});
    ASSERT_TRUE(topology.refresh());
    EXPECT_THAT(topology.package_ids(), ElementsAre(5, 0));
}

TEST(CpuTopology, what_was_known_before_keeps_its_indices_and_offline_cpus_their_packages) {
    FakeRoot root;
    root.cpus("0-2", {0, 3, 5});
    CpuTopology topology(root.path());
    ASSERT_TRUE(topology.refresh());
    // A daemon before this one saw package 5 first, and CPU 4 of package 7, which is offline now.
    topology.resume({{2, 0, 5}, {0, 1, 0}, {4, 2, 7}});
    EXPECT_THAT(topology.package_ids(), ElementsAre(5, 0, 7, 3));
    EXPECT_EQ(topology.package_of_cpu(2), 0U);
    EXPECT_EQ(topology.package_of_cpu(0), 1U);
    EXPECT_EQ(topology.package_of_cpu(4), 2U);
    EXPECT_EQ(topology.package_of_cpu(1), 3U);
    root.cpus("0-3", {0, 3, 5, 7});
    ASSERT_TRUE(topology.refresh());
    EXPECT_EQ(topology.package_of_cpu(3), 2U);
}

TEST(CpuTopology, keeps_what_it_knew_when_the_mask_cannot_be_read) {
    FakeRoot root;
    root.cpus("0-1", {0, 0});
    CpuTopology topology(root.path());
    ASSERT_TRUE(topology.refresh());
    root.file("sys/devices/system/cpu/online", "garbage");
    EXPECT_FALSE(topology.refresh());
    EXPECT_THAT(topology.online_cpus(), ElementsAre(0, 1));
}

TEST(CpuTopology, a_cpu_whose_package_cannot_be_read_just_now_is_asked_again) {
    FakeRoot root;
    root.cpus("0-1", {0, 1});
    CpuTopology topology(root.path());
    ASSERT_TRUE(topology.refresh());
    root.cpus("0", {0, 1});
    const std::string file = "sys/devices/system/cpu/cpu0/topology/physical_package_id";
    root.remove(file);
    std::filesystem::create_directory(root.path() / file);  // EISDIR, as it might be EMFILE
    EXPECT_FALSE(topology.refresh());
    EXPECT_THAT(topology.online_cpus(), ElementsAre(0, 1));
    root.remove(file);
    root.file(file, "0\n");
    EXPECT_TRUE(*topology.refresh());
    EXPECT_THAT(topology.online_cpus(), ElementsAre(0));
    const std::string siblings = "sys/devices/system/cpu/cpu1/topology/thread_siblings_list";
    std::filesystem::create_directory(root.path() / siblings);
    root.cpus("0-1", {0, 1});
    EXPECT_FALSE(topology.refresh());
    root.remove(siblings);
    EXPECT_TRUE(*topology.refresh());
}

TEST(CpuTopology, a_cpu_that_is_going_keeps_its_package) {
    FakeRoot root;
    root.cpus("0-2", {0, 1, 1});
    CpuTopology topology(root.path());
    ASSERT_TRUE(topology.refresh());
    root.cpus("0-1", {0, 1, 1});
    root.remove("sys/devices/system/cpu/cpu1/topology");
    ASSERT_TRUE(topology.refresh());
    EXPECT_EQ(topology.package_of_cpu(1), 1U);
    EXPECT_THAT(topology.package_ids(), ElementsAre(0, 1));
}

TEST(CpuTopology, siblings_are_two_that_name_each_other) {
    FakeRoot root;
    root.cpus("0-7", {0, 0, 0, 0, 1, 1, 1, 1});
    auto siblings = [&](int cpu, const char* list) {
        root.file("sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology/thread_siblings_list",
                  list);
    };
    siblings(0, "0,2\n");
    siblings(2, "0,2\n");
    siblings(1, "1,3\n");  // 3 does not say so
    siblings(3, "3\n");
    siblings(4, "4-6\n");  // three threads
    siblings(5, "4-6\n");
    siblings(6, "4-6\n");
    siblings(7, "7,9\n");  // 9 is offline
    CpuTopology topology(root.path());
    ASSERT_TRUE(topology.refresh());
    EXPECT_EQ(topology.sibling_of(0), 2U);
    EXPECT_EQ(topology.sibling_of(2), 0U);
    for (uint32_t cpu : {1U, 3U, 4U, 5U, 6U, 7U, 9U}) EXPECT_FALSE(topology.sibling_of(cpu)) << cpu;
}

}  // namespace
}  // namespace virt_power
