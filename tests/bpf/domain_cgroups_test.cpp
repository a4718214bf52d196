// SPDX-License-Identifier: LGPL-2.1-or-later
// Helpers, which a domain's cgroup leads to.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "bpf_usage.hpp"
#include "domain_cgroup.hpp"
#include "fake_root.hpp"
#include "kernel_file.hpp"

namespace virt_power {
namespace {

class BpfCgroup : public BpfUsage {
protected:
    uint64_t grown_ns(OwnerId id) {
        uint64_t before_ns = owner(id).time_ns;
        sleep_ms(300);
        return owner(id).time_ns - before_ns;
    }
};

TEST_F(BpfCgroup, a_helper_in_the_domains_cgroup_is_the_domains) {
    Result<std::string> mounts = read_kernel_file("/proc/self/mounts", 1 << 20);
    std::string mount = mounts ? parse_cgroup2_mount(*mounts) : "";
    if (mount.empty()) GTEST_SKIP() << "no cgroup hierarchy of version 2 is mounted";
    std::filesystem::path domain =
        std::filesystem::path(mount) / "machine" / fmt::format("qemu-{}-helper.libvirt-qemu", ::getpid());
    std::error_code error;
    std::filesystem::create_directories(domain / "emulator", error);
    if (error) GTEST_SKIP() << "cannot make a cgroup: " << error.message();
    {
        Spinner qemu;
        Spinner helper(1, 0);
        Spinner beside(1, 0);
        std::ofstream(domain / "emulator/cgroup.procs") << qemu.pid() << std::endl;
        ::kill(qemu.pid(), SIGSTOP);
        ASSERT_TRUE(counter_->add(1, qemu.process(), ""));
        (void)read();
        sleep_ms(100);  // it is remembered as the host's
        std::ofstream(domain / "emulator/cgroup.procs") << helper.pid() << std::endl;
        Look before = look(helper);
        sleep_ms(500);
        expect_agreement(before, look(helper));
        (void)counter_->end(1, 0);
    }
    std::filesystem::remove(domain / "emulator", error);
    std::filesystem::remove(domain, error);
    std::filesystem::remove(domain.parent_path(), error);
}

/// A cgroup of a domain's, in the real hierarchy.
class Cgroups {
public:
    Cgroups() {
        Result<std::string> mounts = read_kernel_file("/proc/self/mounts", 1 << 20);
        mount_ = mounts ? parse_cgroup2_mount(*mounts) : "";
    }
    ~Cgroups() {
        std::error_code ignored;
        for (auto path = made_.rbegin(); path != made_.rend(); ++path)
            std::filesystem::remove(*path, ignored);
    }
    /// Empty where it cannot be made.
    std::filesystem::path make(const std::string& below) {
        if (mount_.empty()) return {};
        std::filesystem::path path = mount_;
        for (const auto& part : std::filesystem::path(below)) {
            path /= part;
            std::error_code error;
            if (std::filesystem::create_directory(path, error)) made_.push_back(path);
            if (error) return {};
        }
        return path;
    }
    static void move(const std::filesystem::path& cgroup, pid_t pid) {
        std::ofstream(cgroup / "cgroup.procs") << pid << std::endl;
    }

private:
    std::filesystem::path mount_;
    std::vector<std::filesystem::path> made_;
};

TEST_F(BpfCgroup, helpers_are_found_at_different_depths_and_where_a_domain_was_moved_to) {
    Cgroups cgroups;
    std::string stem = fmt::format("vp-{}", ::getpid());
    auto plain = cgroups.make(fmt::format("{}/qemu-1-a.libvirt-qemu", stem));
    auto deeper = cgroups.make(fmt::format("{}/prod/qemu-2-b.libvirt-qemu", stem));
    auto moved = cgroups.make(fmt::format("{}/x/y/qemu-1-a.libvirt-qemu", stem));
    if (moved.empty()) GTEST_SKIP() << "no cgroup can be made";
    Spinner qemu[2], helper[2];
    for (int n = 0; n < 2; n++) {
        ::kill(qemu[n].pid(), SIGSTOP);
        Cgroups::move(n == 0 ? plain : deeper, qemu[n].pid());
        ASSERT_TRUE(counter_->add(static_cast<OwnerId>(n + 1), qemu[n].process(), ""));
        Cgroups::move(n == 0 ? plain : deeper, helper[n].pid());
    }
    EXPECT_GT(grown_ns(1), 20 * ms);
    EXPECT_GT(grown_ns(2), 20 * ms);
    for (pid_t pid : {qemu[0].pid(), helper[0].pid()}) Cgroups::move(moved, pid);
    sleep_ms(4'050);  // one is looked at for each second
    (void)read();
    EXPECT_GT(grown_ns(1), 20 * ms);
    EXPECT_GT(grown_ns(2), 20 * ms);
    for (OwnerId id = 1; id <= 2; id++) (void)counter_->end(id, 0);
}

TEST_F(BpfCgroup, one_that_was_made_anew_under_the_same_path_is_found) {
    Cgroups cgroups;
    std::string stem = fmt::format("vp-{}", ::getpid());
    auto domain = cgroups.make(fmt::format("{}/qemu-1-a.libvirt-qemu", stem));
    auto away = cgroups.make(fmt::format("{}/away", stem));
    if (away.empty()) GTEST_SKIP() << "no cgroup can be made";
    Spinner qemu, helper;
    ::kill(qemu.pid(), SIGSTOP);
    Cgroups::move(domain, qemu.pid());
    ASSERT_TRUE(counter_->add(1, qemu.process(), ""));
    for (pid_t pid : {qemu.pid(), helper.pid()}) Cgroups::move(away, pid);
    ASSERT_TRUE(std::filesystem::remove(domain));
    ASSERT_TRUE(std::filesystem::create_directory(domain));
    for (pid_t pid : {qemu.pid(), helper.pid()}) Cgroups::move(domain, pid);
    sleep_ms(1'050);
    EXPECT_GT(grown_ns(1), 20 * ms);
    (void)counter_->end(1, 0);
    for (pid_t pid : {qemu.pid(), helper.pid()}) Cgroups::move(away, pid);
}

TEST_F(BpfCgroup, a_domain_in_the_cgroup_of_another_takes_nothing_from_it) {
    Cgroups cgroups;
    std::string stem = fmt::format("vp-{}", ::getpid());
    auto first = cgroups.make(fmt::format("{}/qemu-1-a.libvirt-qemu", stem));
    auto second = cgroups.make(fmt::format("{}/qemu-2-b.libvirt-qemu", stem));
    if (second.empty()) GTEST_SKIP() << "no cgroup can be made";
    Spinner a, b, helper;
    for (pid_t pid : {a.pid(), b.pid()}) ::kill(pid, SIGSTOP);
    Cgroups::move(first, a.pid());
    Cgroups::move(second, b.pid());
    Cgroups::move(second, helper.pid());
    ASSERT_TRUE(counter_->add(1, a.process(), ""));
    ASSERT_TRUE(counter_->add(2, b.process(), ""));
    auto expect_helper_is_the_second_ones = [&](const char* when) {
        for (int n = 0; n < 3; n++) {  // one is looked at in each second
            sleep_ms(1'050);
            (void)read();
        }
        Usage before[] = {owner(1), owner(2)};
        sleep_ms(300);
        EXPECT_LT(owner(1).time_ns - before[0].time_ns, 5 * ms) << when;
        EXPECT_GT(owner(2).time_ns - before[1].time_ns, 20 * ms) << when;
    };
    Cgroups::move(second, a.pid());
    expect_helper_is_the_second_ones("while it is there");
    Cgroups::move(first, a.pid());
    expect_helper_is_the_second_ones("after it left");
    for (OwnerId id = 1; id <= 2; id++) (void)counter_->end(id, 0);
}

/// Played, but for the cgroup: what /proc says of a domain that was moved, and cannot be looked at for a
/// while.
TEST_F(BpfCgroup, a_domain_that_cannot_be_looked_at_keeps_its_cgroup) {
    Cgroups cgroups;
    auto cgroup = cgroups.make(fmt::format("vp-{}/qemu-1-a.libvirt-qemu", ::getpid()));
    if (cgroup.empty()) GTEST_SKIP() << "no cgroup can be made";
    FakeRoot root;
    Spinner qemu, helper;
    ::kill(qemu.pid(), SIGSTOP);
    Cgroups::move(cgroup, qemu.pid());
    Cgroups::move(cgroup, helper.pid());
    std::string process = fmt::format("proc/{}", qemu.pid());
    for (const std::string& name :
         {std::string("sys"), std::string("proc/sys"), std::string("proc/self/ns/pid"), process}) {
        std::filesystem::create_directories((root.path() / name).parent_path());
        std::filesystem::create_symlink("/" + name, root.path() / name);
    }
    root.file("proc/self/mounts", *read_kernel_file("/proc/self/mounts", 1 << 20));
    BpfOptions options;
    options.root = root.path();
    options.cycles.reset();
    auto made = make_bpf_usage_counter(topology_, options);
    ASSERT_TRUE(made) << made.error().message;
    UsageCounter& counter = *made->counter;
    ASSERT_TRUE(counter.add(1, qemu.process(), ""));
    auto grown_ns = [&] {
        (void)counter.read();
        uint64_t before_ns = sum(used_by(*counter.read(), 1).packages).time_ns;
        sleep_ms(1'050);  // each second one is looked at
        return sum(used_by(*counter.read(), 1).packages).time_ns - before_ns;
    };
    EXPECT_GT(grown_ns(), 20 * ms);
    root.remove(process);
    std::filesystem::create_directories(root.path() / process / "cgroup");  // which is no file to read
    std::filesystem::create_symlink("/" + process + "/stat", root.path() / process / "stat");
    (void)grown_ns();
    EXPECT_GT(grown_ns(), 20 * ms);
    ASSERT_TRUE(counter.end(1, 0));
}

/// Played: cgroup.procs of version 1 is a file of the test's.
TEST_F(BpfCgroup, with_cgroups_of_version_1_its_processes_are_the_domains) {
    FakeRoot root;
    Spinner qemu, helper, other;
    ::kill(qemu.pid(), SIGSTOP);
    for (const char* name : {"sys/kernel", "proc/sys", "proc/self/ns/pid"}) {
        std::filesystem::create_directories((root.path() / name).parent_path());
        std::filesystem::create_symlink(std::filesystem::path("/") / name, root.path() / name);
    }
    for (const Spinner* spinner : {&qemu, &helper, &other}) {
        std::string stat = fmt::format("proc/{}/stat", spinner->pid());
        std::filesystem::create_directories((root.path() / stat).parent_path());
        std::filesystem::create_symlink("/" + stat, root.path() / stat);
    }
    root.file(fmt::format("proc/{}/cgroup", qemu.pid()),
              "2:cpu,cpuacct:/machine/qemu-1-a.libvirt-qemu/emulator\n");
    root.file("proc/self/mounts", "cgroup /sys/fs/cgroup/cpu cgroup rw,cpu,cpuacct 0 0\n");
    const char* procs = "sys/fs/cgroup/cpu/machine/qemu-1-a.libvirt-qemu/emulator/cgroup.procs";
    root.file(procs, fmt::format("{}\n{}\n", qemu.pid(), helper.pid()));
    BpfOptions options;
    options.root = root.path();
    options.cycles.reset();
    std::vector<std::string> messages;
    options.warn = [&](std::string_view text) { messages.emplace_back(text); };
    auto made = make_bpf_usage_counter(topology_, options);
    ASSERT_TRUE(made) << made.error().message;
    UsageCounter& counter = *made->counter;
    ASSERT_TRUE(counter.add(1, qemu.process(), ""));
    auto used_ns = [&] { return sum(used_by(*counter.read(), 1).packages).time_ns; };
    auto grown_ns = [&] {
        uint64_t before_ns = used_ns();
        sleep_ms(300);
        return used_ns() - before_ns;
    };
    EXPECT_GT(grown_ns(), 20 * ms);
    EXPECT_TRUE(messages.empty()) << messages.front();
    // One that is plugged in later comes in its turn, one that is taken out goes.
    root.file(procs, fmt::format("{}\n", qemu.pid()));
    sleep_ms(1'050);
    (void)counter.read();
    EXPECT_LT(grown_ns(), 5 * ms);
    root.file(procs, fmt::format("{}\n{}\n", qemu.pid(), other.pid()));
    sleep_ms(1'050);
    (void)counter.read();
    EXPECT_GT(grown_ns(), 20 * ms);
    // The process of another domain is that domain's, wherever it was moved to.
    root.file(fmt::format("proc/{}/cgroup", other.pid()), "2:cpu,cpuacct:/machine/qemu-2-b.libvirt-qemu\n");
    root.file("sys/fs/cgroup/cpu/machine/qemu-2-b.libvirt-qemu/cgroup.procs", "");
    ASSERT_TRUE(counter.add(2, other.process(), ""));
    sleep_ms(1'050);
    (void)counter.read();
    sleep_ms(1'050);
    EXPECT_LT(grown_ns(), 5 * ms);
    ASSERT_EQ(messages.size(), 1U);
    EXPECT_NE(messages[0].find("is another domain's"), std::string::npos) << messages[0];
    ASSERT_TRUE(counter.end(1, 0));
    ASSERT_TRUE(counter.end(2, 0));
}

}  // namespace
}  // namespace virt_power
