// SPDX-License-Identifier: LGPL-2.1-or-later
#include "cpu_load.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <time.h>

#include <chrono>
#include <filesystem>
#include <thread>

#include "hyperthreads.hpp"

namespace virt_power {
namespace {

using testing::HasSubstr;

uint64_t process_cpu_ns() {
    timespec now{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

size_t threads() {
    auto tasks = std::filesystem::directory_iterator("/proc/self/task");
    return static_cast<size_t>(std::distance(begin(tasks), end(tasks)));
}

TEST(CpuLoad, keeps_a_cpu_busy_and_ends_with_its_object) {
    std::vector<uint32_t> allowed = allowed_cpus();
    ASSERT_FALSE(allowed.empty());
    size_t before = threads();
    {
        Result<std::unique_ptr<CpuLoad>> load = CpuLoad::put({allowed.front()});
        ASSERT_TRUE(load) << load.error().message;
        EXPECT_EQ(threads(), before + 1);
        // However much of the CPU others leave: it runs until it had some.
        const uint64_t begin_ns = process_cpu_ns();
        while (process_cpu_ns() - begin_ns < 20'000'000) std::this_thread::yield();
    }
    EXPECT_EQ(threads(), before);
}

TEST(CpuLoad, a_cpu_that_is_not_there_is_an_error_and_nothing_stays) {
    size_t before = threads();
    std::vector<uint32_t> allowed = allowed_cpus();
    Result<std::unique_ptr<CpuLoad>> load = CpuLoad::put({allowed.front(), 60'000});
    ASSERT_FALSE(load);
    EXPECT_THAT(load.error().message, HasSubstr("cannot put load on CPU 60000: Invalid argument"));
    EXPECT_EQ(threads(), before);
}

}  // namespace
}  // namespace virt_power
