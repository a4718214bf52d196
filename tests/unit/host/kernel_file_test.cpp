// SPDX-License-Identifier: LGPL-2.1-or-later
#include "kernel_file.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>

#include "fake_root.hpp"

namespace virt_power {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST(KernelFile, reads_a_number_with_its_newline) {
    FakeRoot root;
    root.file("n", "262143328850\n");
    Result<uint64_t> value = read_u64(root.path() / "n");
    ASSERT_TRUE(value);
    EXPECT_EQ(*value, 262143328850U);
}

TEST(KernelFile, names_the_path_of_what_is_wrong) {
    FakeRoot root;
    root.file("bad", "12x\n").file("empty", "").file("long", std::string(5000, '1'));
    EXPECT_THAT(read_u64(root.path() / "bad").error().message, HasSubstr("/bad: '12x' is not a number"));
    EXPECT_EQ(read_u64(root.path() / "empty").error().kind, ErrorKind::Malformed);
    EXPECT_THAT(read_u64(root.path() / "long").error().message, HasSubstr("longer than"));
    Result<uint64_t> gone = read_u64(root.path() / "gone");
    EXPECT_EQ(gone.error().kind, ErrorKind::Gone);
    EXPECT_THAT(gone.error().message, HasSubstr("/gone"));
}

TEST(RepeatedFile, reads_what_is_there_now) {
    FakeRoot root;
    RepeatedFile file(root.path() / "n");
    EXPECT_EQ(file.read().error().kind, ErrorKind::Gone);
    root.file("n", "0-3\n");
    EXPECT_EQ(*file.read(), "0-3\n");
    root.file("n", "0\n");
    EXPECT_EQ(*file.read(), "0\n");
    root.file("n", std::string(5000, '1'));
    EXPECT_THAT(file.read().error().message, HasSubstr("/n is longer than 4096 bytes"));
}

TEST(RepeatedFile, opens_it_anew_where_it_cannot_be_read_any_more) {
    FakeRoot root;
    std::filesystem::create_directory(root.path() / "n");
    RepeatedFile file(root.path() / "n");
    EXPECT_EQ(file.read().error().error_number, EISDIR);
    root.remove("n");
    root.file("n", "0-3\n");
    EXPECT_EQ(*file.read(), "0-3\n");
}

TEST(KernelFile, writes_a_value_to_a_file_that_is_there) {
    FakeRoot root;
    root.file("n", "1");
    ASSERT_TRUE(write_kernel_file(root.path() / "n", "2"));
    EXPECT_EQ(*read_kernel_file(root.path() / "n"), "2");
    EXPECT_TRUE(check_writable(root.path() / "n"));
}

TEST(KernelFile, makes_no_file_and_follows_no_link_at_the_end_of_a_path) {
    FakeRoot root;
    Status gone = write_kernel_file(root.path() / "gone", "2");
    EXPECT_EQ(gone.error().error_number, ENOENT);
    EXPECT_EQ(gone.error().kind, ErrorKind::Gone);
    EXPECT_THAT(gone.error().message, HasSubstr("cannot open"));
    EXPECT_FALSE(std::filesystem::exists(root.path() / "gone"));
    EXPECT_EQ(check_writable(root.path() / "gone").error().kind, ErrorKind::Gone);
    root.file("real/n", "1").link("link", "real/n").link("directory", "real");
    EXPECT_EQ(write_kernel_file(root.path() / "link", "2").error().error_number, ELOOP);
    EXPECT_TRUE(write_kernel_file(root.path() / "directory/n", "2"));
    EXPECT_EQ(*read_kernel_file(root.path() / "real/n"), "2");
}

TEST(KernelFile, has_words_for_every_number_of_an_error) {
    EXPECT_EQ(error_text(EBUSY), "Device or resource busy");
    EXPECT_EQ(error_text(524), "error 524");
    EXPECT_EQ(system_error(524, "write", "/x").message, "cannot write /x: error 524");
}

/// /dev/full stands in for a kernel that refuses.
TEST(KernelFile, keeps_the_kernels_reason) {
    Status refused = write_kernel_file("/dev/full", "2");
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().error_number, ENOSPC);
    EXPECT_EQ(refused.error().message, "cannot write /dev/full: No space left on device");
}

TEST(KernelFile, knows_no_other_form_of_a_number) {
    for (const char* text : {"", "-1", "+1", "0x10", "1 2", "18446744073709551616", "1.5"})
        EXPECT_FALSE(parse_u64(text)) << text;
    EXPECT_EQ(*parse_u64("18446744073709551615"), UINT64_MAX);
}

TEST(KernelFile, reads_lists_of_cpus) {
    EXPECT_THAT(*parse_cpu_list("0-3,8\n"), ElementsAre(0, 1, 2, 3, 8));
    EXPECT_THAT(*parse_cpu_list("5"), ElementsAre(5));
    EXPECT_THAT(*parse_cpu_list("\n"), IsEmpty());
    for (const char* text : {"3-1", "a", "0-", "-2", "0-99999999", "1,,2"})
        EXPECT_FALSE(parse_cpu_list(text)) << text;
}

}  // namespace
}  // namespace virt_power
