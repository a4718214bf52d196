// SPDX-License-Identifier: LGPL-2.1-or-later
#include "fd_writer.hpp"

#include <gtest/gtest.h>

#include <cerrno>
#include <csignal>
#include <thread>

#include "intervals.hpp"

namespace virt_power::test {
namespace {

TEST(FdWriter, SaysThatTheReaderLeft) {
    std::signal(SIGPIPE, SIG_IGN);
    Catcher catcher;
    catcher.close_reader();
    Status status = FdWriter(catcher.fd(), -1).write("x");
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().kind, ErrorKind::Gone);
}

TEST(FdWriter, SaysThatTheDeviceIsFull) {
    int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    ASSERT_GE(full, 0);
    Status status = FdWriter(full, -1).write("x");
    close(full);
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().error_number, ENOSPC);
}

TEST(FdWriter, SaysThatTheDescriptorIsClosed) {
    Status status = FdWriter(1000000, -1).write("x");
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().error_number, EBADF);
}

TEST(FdWriter, WritesMoreThanAPipeHolds) {
    Catcher catcher;
    std::string text(300'000, 'x');
    std::string received;
    std::jthread reader([&] {
        std::array<char, 4096> buffer{};
        ssize_t size = 0;
        while (received.size() < text.size() &&
               (size = read(catcher.reader(), buffer.data(), buffer.size())) > 0)
            received.append(buffer.data(), static_cast<size_t>(size));
    });
    EXPECT_TRUE(FdWriter(catcher.fd(), -1).write(text));
    reader.join();
    EXPECT_EQ(received, text);
}

TEST(FdWriter, AStopEndsAWriteThatWouldBlock) {
    Catcher catcher, stop;
    ASSERT_EQ(::write(stop.fd(), "x", 1), 1);
    Status status = FdWriter(catcher.fd(), stop.reader()).write(std::string(300'000, 'x'));
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().error_number, EINTR);
}

}  // namespace
}  // namespace virt_power::test
