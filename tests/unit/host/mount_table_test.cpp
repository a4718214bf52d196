// SPDX-License-Identifier: LGPL-2.1-or-later
#include "mount_table.hpp"

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fake_root.hpp"

namespace virt_power {
namespace {

TEST(MountTable, that_is_long_is_read_whole) {
    FakeRoot root;
    std::string lines;
    for (int n = 0; n < 2000; n++) lines += "none /mnt/" + std::to_string(n) + " tmpfs rw 0 0\n";
    root.file("proc/self/mounts", lines);
    MountTable mounts(root.path());
    Result<std::string_view> text = mounts.read();
    ASSERT_TRUE(text);
    EXPECT_EQ(*text, lines);
}

TEST(MountTable, that_is_not_there_can_come) {
    FakeRoot root;
    MountTable mounts(root.path());
    EXPECT_EQ(mounts.read().error().kind, ErrorKind::Gone);
    root.file("proc/self/mounts", "none / tmpfs rw 0 0\n");
    EXPECT_TRUE(mounts.read());
}

enum Outcome { Passed, NotAllowed, NotTheSame, NotSeen, SeenStill };

/// In a mount namespace of its own, where it may have one.
Outcome follow_a_mount(const std::filesystem::path& directory) {
    if (::unshare(CLONE_NEWNS) != 0 || ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
        return NotAllowed;
    auto seen = [&](std::string_view text) {
        return text.find(directory.string()) != std::string_view::npos;
    };
    MountTable mounts("/");
    Result<std::string_view> first = mounts.read();
    if (!first || mounts.read()->data() != first->data()) return NotTheSame;
    if (::mount("none", directory.c_str(), "tmpfs", 0, nullptr) != 0) return NotAllowed;
    if (!seen(*mounts.read())) return NotSeen;
    if (::umount(directory.c_str()) != 0) return NotAllowed;
    return seen(*mounts.read()) ? SeenStill : Passed;
}

TEST(MountTable, is_read_again_after_a_mount_alone) {
    FakeRoot root;
    pid_t child = ::fork();
    if (child == 0) ::_exit(follow_a_mount(root.path()));
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFEXITED(status));
    if (WEXITSTATUS(status) == NotAllowed) GTEST_SKIP() << "no mount namespace can be had here";
    EXPECT_EQ(WEXITSTATUS(status), Passed);
}

}  // namespace
}  // namespace virt_power
