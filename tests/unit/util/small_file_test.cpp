// SPDX-License-Identifier: LGPL-2.1-or-later
#include "small_file.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>

#include "fake_root.hpp"

namespace virt_power {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class SmallFile : public testing::Test {
protected:
    [[nodiscard]] std::vector<std::string> names() const {
        std::vector<std::string> found;
        for (const auto& entry : std::filesystem::directory_iterator(root_.path()))
            found.push_back(entry.path().filename().string());
        return found;
    }

    FakeRoot root_;
    std::filesystem::path path_ = root_.path() / "x.conf";
};

TEST_F(SmallFile, gives_back_what_was_written) {
    for (const std::string& text : {std::string("a\n"), std::string(), std::string(5000, 'x')}) {
        ASSERT_TRUE(replace_file(path_, text));
        Result<std::string> read = read_small_file(path_, 5000);
        ASSERT_TRUE(read);
        EXPECT_EQ(*read, text);
    }
    EXPECT_THAT(names(), ElementsAre("x.conf"));
    struct stat status {};
    ASSERT_EQ(::stat(path_.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777, 0644U);
}

TEST_F(SmallFile, one_may_be_its_owners_alone) {
    root_.file("x.conf", "for all to see");
    ASSERT_TRUE(replace_file(path_, "secret", 0600));
    struct stat status {};
    ASSERT_EQ(::stat(path_.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777, 0600U);
}

TEST_F(SmallFile, one_that_is_not_there_is_gone) {
    Result<std::string> read = read_small_file(path_, 10);
    ASSERT_FALSE(read);
    EXPECT_EQ(read.error().kind, ErrorKind::Gone);
}

TEST_F(SmallFile, what_is_no_file_is_refused_and_blocks_nothing) {
    ASSERT_EQ(::mkfifo(path_.c_str(), 0600), 0);
    Result<std::string> read = read_small_file(path_, 10);
    ASSERT_FALSE(read);
    EXPECT_THAT(read.error().message, HasSubstr("is not a file"));
    read = read_small_file(root_.path(), 10);
    ASSERT_FALSE(read);
    EXPECT_EQ(read.error().kind, ErrorKind::Malformed);
}

TEST_F(SmallFile, one_that_is_too_long_is_refused) {
    root_.file("x.conf", "12345678901");
    Result<std::string> read = read_small_file(path_, 10);
    ASSERT_FALSE(read);
    EXPECT_THAT(read.error().message, HasSubstr("longer than 10 bytes"));
}

TEST_F(SmallFile, a_directory_that_is_not_there_is_an_error_that_names_the_file) {
    Status written = replace_file(root_.path() / "none" / "x.conf", "text");
    ASSERT_FALSE(written);
    EXPECT_THAT(written.error().message, HasSubstr("/none/x.conf: No such file or directory"));
}

/// A limit on the size of files stands in for a disk that is full.
TEST_F(SmallFile, what_cannot_be_written_whole_leaves_the_old_file_and_nothing_else) {
    ASSERT_TRUE(replace_file(path_, "old"));
    auto* before = std::signal(SIGXFSZ, SIG_IGN);
    rlimit limit{};
    ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &limit), 0);
    rlimit small = limit;
    small.rlim_cur = 4096;
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
    Status written = replace_file(path_, std::string(100000, 'x'));
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &limit), 0);
    std::signal(SIGXFSZ, before);
    ASSERT_FALSE(written);
    EXPECT_THAT(written.error().message, HasSubstr("x.conf: File too large"));
    EXPECT_EQ(*read_small_file(path_, 10), "old");
    EXPECT_THAT(names(), ElementsAre("x.conf"));
}

TEST_F(SmallFile, a_file_is_replaced_and_a_link_to_one_is_not_followed) {
    root_.file("other", "other's");
    std::filesystem::create_symlink("other", path_);
    ASSERT_TRUE(replace_file(path_, "mine"));
    EXPECT_EQ(*read_small_file(root_.path() / "other", 10), "other's");
    EXPECT_EQ(*read_small_file(path_, 10), "mine");
}

TEST_F(SmallFile, an_identity_is_32_hexadecimal_digits) {
    EXPECT_EQ(read_machine_id(root_.path()), "");
    root_.file("etc/machine-id", "0123456789abcdef0123456789abcdef\n");
    EXPECT_EQ(read_machine_id(root_.path()), "0123456789abcdef0123456789abcdef");
    for (const char* bad : {"", "uninitialized\n", "0123\n", "0123456789ABCDEF0123456789ABCDEF\n"}) {
        root_.file("etc/machine-id", bad);
        EXPECT_EQ(read_machine_id(root_.path()), "") << bad;
    }
    root_.file("var/lib/dbus/machine-id", "fedcba9876543210fedcba9876543210\n");
    EXPECT_EQ(read_machine_id(root_.path()), "fedcba9876543210fedcba9876543210");
}

}  // namespace
}  // namespace virt_power
