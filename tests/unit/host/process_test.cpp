// SPDX-License-Identifier: LGPL-2.1-or-later
#include "process.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "domain_cgroup.hpp"
#include "fake_root.hpp"

namespace virt_power {
namespace {

using testing::ElementsAre;
using testing::Pair;

const std::string stat_line =
    "4242 (qemu) (x 1) R 1 4242 4242 0 -1 4194560 100 0 0 0 700 300 1 2 20 0 4 0 123456 1000 50 "
    "18446744073709551615 1 1 0 0 0 0 0 0 0 0 0 0 17 3 0 0 0 0 0 0 0 0 0 0 0 0 0\n";

TEST(Process, reads_stat_with_a_name_that_holds_parentheses) {
    Result<ProcPidStat> stat = parse_proc_pid_stat(stat_line);
    ASSERT_TRUE(stat);
    EXPECT_EQ(stat->cpu_ticks, 1000U);
    EXPECT_EQ(stat->start_ticks, 123456U);
    EXPECT_EQ(stat->processor, 3U);
}

TEST(Process, refuses_a_truncated_stat) {
    for (size_t size : {size_t{0}, size_t{10}, size_t{40}, stat_line.size() / 2})
        EXPECT_FALSE(parse_proc_pid_stat(stat_line.substr(0, size))) << size;
}

TEST(Process, the_instance_differs_with_pid_and_start) {
    EXPECT_NE((Process{1, 5}.instance()), (Process{2, 5}.instance()));
    EXPECT_NE((Process{1, 5}.instance()), (Process{1, 6}.instance()));
    EXPECT_LT((Process{(1 << 22) - 1, UINT64_MAX}.instance()), uint64_t{1} << 53);
}

TEST(Process, finds_a_process) {
    FakeRoot root;
    root.file("proc/4242/stat", stat_line);
    EXPECT_EQ(*find_process(root.path(), 4242), (Process{4242, 123456}));
    EXPECT_EQ(find_process(root.path(), 1).error().kind, ErrorKind::Gone);
}

TEST(ProcStat, busy_time_is_neither_idle_nor_iowait_nor_steal_and_guest_counts_once) {
    auto busy = parse_proc_stat(
        "cpu  10 20 30 40 50 60 70 80 90 100\n"
        "cpu0 1 2 3 1000 2000 4 5 3000 1 0\n"
        "cpu12 1 0 0 0 0 0 0\n"
        "intr 1 2 3\n");
    ASSERT_TRUE(busy);
    EXPECT_THAT(*busy, ElementsAre(Pair(0U, 15 * tick_ns()), Pair(12U, tick_ns())));
}

TEST(ProcStat, refuses_what_is_not_a_stat) {
    for (const char* text : {"", "cpu0 1 2\n", "cpux 1 2 3 4 5 6 7\n", "cpu0 1 2 3 a 5 6 7\n"})
        EXPECT_FALSE(parse_proc_stat(text)) << text;
}

TEST(DomainCgroup, knows_the_domains_part_of_a_path) {
    EXPECT_EQ(domain_part("/machine/qemu-1-a.libvirt-qemu/emulator"), "/machine/qemu-1-a.libvirt-qemu");
    EXPECT_EQ(domain_part("/machine.slice/machine-qemu\\x2d1\\x2da.scope/libvirt/vcpu0"),
              "/machine.slice/machine-qemu\\x2d1\\x2da.scope");
    for (const char* path :
         {"/", "", "/system.slice/libvirtd.service", "/user.slice/user-0.slice/session-1.scope"})
        EXPECT_EQ(domain_part(path), "") << path;
}

TEST(DomainCgroup, takes_version_2_from_a_hybrid_host) {
    EXPECT_EQ(parse_proc_cgroup("12:cpu:/a\n0::/machine/x\n"), "/machine/x");
    EXPECT_EQ(parse_proc_cgroup("12:cpu:/a\n"), "");
    EXPECT_EQ(parse_cgroup2_mount("tmpfs /sys/fs/cgroup tmpfs ro 0 0\n"
                                  "cgroup /sys/fs/cgroup/cpu cgroup rw 0 0\n"
                                  "cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n"),
              "/sys/fs/cgroup/unified");
    EXPECT_EQ(parse_cgroup2_mount("tmpfs /sys tmpfs ro 0 0\nx"), "");
}

TEST(DomainCgroup, is_the_directory_that_libvirt_made) {
    FakeRoot root;
    root.file("proc/7/cgroup", "0::/machine/qemu-1-a.libvirt-qemu/emulator\n");
    root.file("proc/self/mounts", "cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n");
    EXPECT_FALSE(DomainCgroups(root.path()).find(7).cgroup);
    root.file("sys/fs/cgroup/machine/qemu-1-a.libvirt-qemu/cgroup.procs", "");
    Result<DomainCgroup> cgroup = DomainCgroups(root.path()).find(7).cgroup;
    ASSERT_TRUE(cgroup);
    EXPECT_EQ(cgroup->level, 2);
    EXPECT_NE(cgroup->id, 0U);
    root.file("proc/8/cgroup", "0::/system.slice/x.service\n");
    EXPECT_EQ(DomainCgroups(root.path()).find(8).cgroup.error().kind, ErrorKind::Unsupported);
    root.file("proc/self/ns/cgroup", "");  // its inode is not the initial namespace's
    EXPECT_EQ(DomainCgroups(root.path()).find(7).cgroup.error().kind, ErrorKind::Unsupported);
}

TEST(DomainCgroup, is_told_to_be_the_same_by_its_trace) {
    FakeRoot root;
    const char* domain = "sys/fs/cgroup/machine/qemu-1-a.libvirt-qemu";
    root.file("proc/7/cgroup", "0::/machine/qemu-1-a.libvirt-qemu/emulator\n");
    root.file("proc/self/mounts", "cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\ncgroup /cpu cgroup rw,cpu 0 0\n");
    DomainCgroups cgroups(root.path());
    EXPECT_FALSE(cgroups.find(7).trace);  // it may be there later
    root.file(std::string(domain) + "/cgroup.procs", "");
    std::optional<CgroupTrace> trace = cgroups.find(7).trace;
    ASSERT_TRUE(trace);
    EXPECT_TRUE(cgroups.is_as(7, *trace));
    // Another one of the same path.
    std::filesystem::rename(root.path() / domain, root.path() / "before");
    EXPECT_FALSE(cgroups.is_as(7, *trace));
    root.file(std::string(domain) + "/cgroup.procs", "");
    EXPECT_FALSE(cgroups.is_as(7, *trace));
    std::filesystem::remove_all(root.path() / domain);
    std::filesystem::rename(root.path() / "before", root.path() / domain);
    EXPECT_TRUE(cgroups.is_as(7, *trace));
    root.file("proc/7/cgroup", "0::/machine/qemu-2-b.libvirt-qemu/emulator\n");
    EXPECT_FALSE(cgroups.is_as(7, *trace));
    EXPECT_FALSE(cgroups.is_as(10, *trace));
    root.file("proc/8/cgroup", "1:cpu:/\n0::/\n");
    trace = cgroups.find(8).trace;
    ASSERT_TRUE(trace);
    EXPECT_TRUE(cgroups.is_as(8, *trace));
    // Who else is in there is another file's.
    root.file("proc/9/cgroup", "1:cpu:/machine/qemu-1-a.libvirt-qemu\n0::/\n");
    root.file("cpu/machine/qemu-1-a.libvirt-qemu/cgroup.procs", "9\n");
    EXPECT_FALSE(cgroups.find(9).trace);
}

TEST(DomainCgroup, of_version_1_is_that_of_a_controller) {
    EXPECT_THAT(parse_proc_cgroup1("3:name=systemd:/machine/qemu-1-a.libvirt-qemu\n"
                                   "2:pids:/user.slice\n"
                                   "1:cpu,cpuacct:/machine/qemu-1-a.libvirt-qemu/emulator\n"
                                   "0::/machine/qemu-1-a.libvirt-qemu\n"),
                Pair("cpu", "/machine/qemu-1-a.libvirt-qemu/emulator"));
    for (const char* none : {"", "0::/machine/qemu-1-a.libvirt-qemu\n",
                             "1:,cpu:/machine/qemu-1-a.libvirt-qemu\n", "1:cpu:/user.slice\n", "1\n:\n::\n"})
        EXPECT_THAT(parse_proc_cgroup1(none), Pair("", "")) << none;
    const char* mounts =
        "cgroup /sys/fs/cgroup/cpuset cgroup rw,cpuset 0 0\n"
        "cgroup2 /sys/fs/cgroup/unified cgroup2 rw,cpu 0 0\n"
        "cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,nosuid,cpu,cpuacct 0 0\n";
    EXPECT_EQ(parse_cgroup1_mount(mounts, "cpu"), "/sys/fs/cgroup/cpu,cpuacct");
    EXPECT_EQ(parse_cgroup1_mount(mounts, "memory"), "");
}

TEST(DomainCgroup, of_version_1_lists_its_processes) {
    FakeRoot root;
    root.file("proc/7/cgroup", "1:cpu:/machine/qemu-1-a.libvirt-qemu/emulator\n");
    EXPECT_FALSE(DomainCgroups(root.path()).find(7).others);
    root.file("proc/self/mounts", "cgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\n");
    EXPECT_FALSE(DomainCgroups(root.path()).find(7).others);
    root.file("sys/fs/cgroup/cpu/machine/qemu-1-a.libvirt-qemu/emulator/cgroup.procs",
              "7\n4242\n99\n0\nnonsense\n");
    root.file("proc/4242/stat", stat_line);
    Result<std::vector<Process>> processes = DomainCgroups(root.path()).find(7).others;
    ASSERT_TRUE(processes);
    EXPECT_THAT(*processes, ElementsAre(Process{4242, 123456}));
    root.file("proc/8/cgroup", "0::/machine/qemu-1-a.libvirt-qemu\n");
    EXPECT_EQ(DomainCgroups(root.path()).find(8).others.error().kind, ErrorKind::Unsupported);
}

}  // namespace
}  // namespace virt_power
