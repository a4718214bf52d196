// SPDX-License-Identifier: LGPL-2.1-or-later
// Threads that hang are real here: each waits for a latch that the test opens.
#include "guarded_source.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <stdexcept>
#include <thread>

namespace virt_power::test {
namespace {

using std::chrono::milliseconds;

/// Samplers that answer, or hang until the test lets go.
struct Daemon {
    std::atomic<bool> hangs = false;
    std::atomic<int> samplers = 0;
    std::atomic<int> returned = 0;
    std::promise<void> promise;
    std::shared_future<void> released = promise.get_future().share();

    SamplerFactory factory() {
        return [this]() -> Sampler {
            int number = ++samplers;
            return [this, number]() -> Result<Sample> {
                if (hangs) released.wait();
                ++returned;
                Sample sample;
                sample.host = "sampler " + std::to_string(number);
                return sample;
            };
        };
    }

    /// Lets those that hang go on, and waits until they have.
    void release(int expected) {
        hangs = false;
        promise.set_value();
        while (returned < expected) std::this_thread::yield();
    }
};

TEST(GuardedSource, PassesSamplesThrough) {
    Daemon daemon;
    GuardedSource source(daemon.factory(), milliseconds(5000), "host");
    EXPECT_EQ(source.sample()->host, "sampler 1");
    EXPECT_EQ(source.sample()->host, "sampler 1");
    EXPECT_EQ(daemon.samplers, 1);
}

TEST(GuardedSource, OneThatHangsIsReplacedAndItsAnswerIsNotUsed) {
    Daemon daemon;
    GuardedSource source(daemon.factory(), milliseconds(20), "host");
    daemon.hangs = true;
    Result<Sample> sample = source.sample();
    ASSERT_FALSE(sample);
    EXPECT_EQ(sample.error().kind, ErrorKind::Gone);
    EXPECT_EQ(sample.error().message, "host did not answer within 0.02 s");
    daemon.release(1);
    // Time enough for the answer, however slow this machine is.
    GuardedSource patient(daemon.factory(), milliseconds(60000), "host");
    EXPECT_TRUE(patient.sample());
    for (int attempt = 0; attempt < 1000 && !(sample = source.sample()); ++attempt) {
    }
    ASSERT_TRUE(sample);
    EXPECT_NE(sample->host, "sampler 1");
}

TEST(GuardedSource, NoMoreThanAFewAreLeftHanging) {
    Daemon daemon;
    {
        GuardedSource source(daemon.factory(), milliseconds(300), "host");
        daemon.hangs = true;
        for (int i = 0; i < 10; ++i) EXPECT_FALSE(source.sample());
        EXPECT_EQ(daemon.samplers, static_cast<int>(GuardedSource::most_hanging));
    }
    daemon.release(static_cast<int>(GuardedSource::most_hanging));
}

TEST(GuardedSource, AnExceptionIsAnError) {
    SamplerFactory factory = []() -> Sampler {
        return []() -> Result<Sample> { throw std::runtime_error("out of order"); };
    };
    GuardedSource source(factory, milliseconds(5000), "host");
    Result<Sample> sample = source.sample();
    ASSERT_FALSE(sample);
    EXPECT_EQ(sample.error().message, "out of order");
}

TEST(GuardedSource, TheSamplerIsDestroyedByItsOwnThread) {
    std::thread::id used, destroyed;
    struct Owned {
        std::thread::id& where;
        explicit Owned(std::thread::id& given) : where(given) {}
        ~Owned() { where = std::this_thread::get_id(); }
    };
    SamplerFactory factory = [&]() -> Sampler {
        auto owned = std::make_shared<Owned>(destroyed);
        return [owned, &used]() -> Result<Sample> {
            used = std::this_thread::get_id();
            return Sample{};
        };
    };
    {
        GuardedSource source(factory, milliseconds(5000), "host");
        ASSERT_TRUE(source.sample());
    }
    EXPECT_TRUE(used == destroyed);
    EXPECT_TRUE(used != std::this_thread::get_id());
}

}  // namespace
}  // namespace virt_power::test
