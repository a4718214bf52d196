// SPDX-License-Identifier: LGPL-2.1-or-later
#include "host_feed.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <condition_variable>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

namespace virt_power {

HostFeed::HostFeed(std::unique_ptr<Source> source, HostPipe pipe)
    : source_(std::move(source)), pipe_(std::move(pipe)) {}

Delivery HostFeed::take() {
    Result<Sample> sample = source_->sample();
    if (!sample) return pipe_.take(sample.error());
    Delivery delivery = pipe_.take(*sample);
    delivery.sample = *std::move(sample);
    return delivery;
}

struct HostFeeds::Shared {
    std::mutex mutex;
    std::condition_variable changed;
    std::vector<Delivery> deliveries;
    int ready_fd = -1;
    bool ends = false;

    Shared() : ready_fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
        if (ready_fd < 0) throw std::system_error(errno, std::generic_category(), "eventfd");
    }
    Shared(const Shared&) = delete;
    Shared& operator=(const Shared&) = delete;
    ~Shared() { close(ready_fd); }
};

struct HostFeeds::Thread {
    HostFeed feed;
    size_t host = 0;
    bool asked = false;  ///< under Shared::mutex, as the next one
    bool busy = false;
    std::thread handle;

    explicit Thread(HostFeed given, size_t index) : feed(std::move(given)), host(index) {}

    void run(Shared& shared) {
        std::unique_lock lock(shared.mutex);
        while (true) {
            shared.changed.wait(lock, [&] { return asked || shared.ends; });
            if (shared.ends) break;
            asked = false;
            lock.unlock();
            Delivery delivery = feed.take();
            delivery.host = host;
            lock.lock();
            busy = false;
            shared.deliveries.push_back(std::move(delivery));
            uint64_t one = 1;
            [[maybe_unused]] ssize_t done = write(shared.ready_fd, &one, sizeof one);
        }
    }
};

HostFeeds::HostFeeds(std::vector<HostFeed> feeds) : shared_(std::make_shared<Shared>()) {
    for (HostFeed& feed : feeds)
        threads_.push_back(std::make_shared<Thread>(std::move(feed), threads_.size()));
    for (const std::shared_ptr<Thread>& thread : threads_)
        thread->handle = std::thread([thread, shared = shared_] { thread->run(*shared); });
}

HostFeeds::~HostFeeds() {
    std::vector<bool> busy;
    {
        std::lock_guard lock(shared_->mutex);
        shared_->ends = true;
        shared_->changed.notify_all();
        for (const std::shared_ptr<Thread>& thread : threads_) busy.push_back(thread->busy);
    }
    for (size_t i = 0; i < threads_.size(); ++i)
        if (busy[i])
            threads_[i]->handle.detach();
        else
            threads_[i]->handle.join();
}

size_t HostFeeds::request() {
    std::lock_guard lock(shared_->mutex);
    size_t count = 0;
    for (const std::shared_ptr<Thread>& thread : threads_) {
        if (thread->busy) continue;
        thread->busy = thread->asked = true;
        ++count;
    }
    shared_->changed.notify_all();
    return count;
}

std::vector<Delivery> HostFeeds::collect() {
    std::lock_guard lock(shared_->mutex);
    uint64_t count = 0;
    [[maybe_unused]] ssize_t done = read(shared_->ready_fd, &count, sizeof count);
    return std::exchange(shared_->deliveries, {});
}

int HostFeeds::ready_fd() const { return shared_->ready_fd; }

bool HostFeeds::busy() const {
    std::lock_guard lock(shared_->mutex);
    for (const std::shared_ptr<Thread>& thread : threads_)
        if (thread->busy) return true;
    return false;
}

}  // namespace virt_power
