// SPDX-License-Identifier: LGPL-2.1-or-later
#include "asker.hpp"

#include <poll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <system_error>
#include <utility>

#include "file_descriptor.hpp"

namespace virt_power {

using Clock = std::chrono::steady_clock;

struct Asker::Shared {
    std::unique_ptr<Source> source;
    FileDescriptor ready{eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    std::mutex mutex;
    std::condition_variable changed;
    bool asked = false;
    bool ends = false;
    std::optional<Result<Sample>> answer;

    void run() {
        std::unique_lock lock(mutex);
        while (true) {
            changed.wait(lock, [this] { return asked || ends; });
            if (ends) return;
            asked = false;
            lock.unlock();
            Result<Sample> sample = Error{};
            try {
                sample = source->sample();
            } catch (const std::exception& exception) {
                sample = Error{ErrorKind::Malformed, 0, exception.what()};
            }
            lock.lock();
            answer = std::move(sample);
            uint64_t one = 1;
            [[maybe_unused]] ssize_t done = ::write(ready.get(), &one, sizeof one);
        }
    }
};

Asker::Asker(std::unique_ptr<Source> source, int stop_fd)
    : shared_(std::make_shared<Shared>()), stop_fd_(stop_fd) {
    if (!shared_->ready) throw std::system_error(errno, std::generic_category(), "eventfd");
    shared_->source = std::move(source);
    thread_ = std::thread([shared = shared_] { shared->run(); });
}

Asker::~Asker() {
    {
        std::lock_guard lock(shared_->mutex);
        shared_->ends = true;
        shared_->changed.notify_all();
    }
    if (busy_)
        thread_.detach();
    else
        thread_.join();
}

std::optional<Result<Sample>> Asker::ask() {
    std::unique_lock lock(shared_->mutex);
    shared_->asked = true;
    shared_->changed.notify_all();
    lock.unlock();
    std::array<pollfd, 2> fds{{{stop_fd_, POLLIN, 0}, {shared_->ready.get(), POLLIN, 0}}};
    while (::poll(fds.data(), fds.size(), -1) < 0 && errno == EINTR) {
    }
    if (fds[0].revents != 0) {
        busy_ = true;
        return std::nullopt;
    }
    uint64_t count = 0;
    [[maybe_unused]] ssize_t done = ::read(shared_->ready.get(), &count, sizeof count);
    lock.lock();
    return std::exchange(shared_->answer, std::nullopt);
}

bool Asker::wait_until(Clock::time_point when) const {
    while (true) {
        auto left = std::max(Clock::duration::zero(), when - Clock::now());
        timespec rest{};
        rest.tv_sec = std::chrono::duration_cast<std::chrono::seconds>(left).count();
        rest.tv_nsec = std::chrono::nanoseconds(left % std::chrono::seconds(1)).count();
        pollfd stop{stop_fd_, POLLIN, 0};
        int ready = ::ppoll(&stop, 1, &rest, nullptr);
        if (ready > 0) return false;
        if (Clock::now() >= when) return true;
    }
}

}  // namespace virt_power
