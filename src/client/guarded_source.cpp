// SPDX-License-Identifier: LGPL-2.1-or-later
#include "guarded_source.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

namespace virt_power {

/// Shared by the source and the worker's thread: whoever ends last frees it.
struct GuardedSource::Worker {
    std::mutex mutex;
    std::condition_variable changed;
    bool asked = false;
    bool ends = false;   ///< the source does not want it any more
    bool ended = false;  ///< the thread is done with everything
    std::optional<Result<Sample>> answer;
    std::thread thread;

    /// The sampler is this thread's alone, and is destroyed in it: closing a connection may
    /// block as well.
    void run(Sampler sampler) {
        std::unique_lock lock(mutex);
        while (true) {
            changed.wait(lock, [this] { return asked || ends; });
            if (ends) break;
            asked = false;
            lock.unlock();
            Result<Sample> result = call(sampler);
            lock.lock();
            answer = std::move(result);
            changed.notify_all();
        }
        lock.unlock();
        sampler = nullptr;
        lock.lock();
        ended = true;
        changed.notify_all();
    }

    static Result<Sample> call(const Sampler& sampler) {
        try {
            return sampler();
        } catch (const std::exception& exception) {
            return Error{ErrorKind::Transient, 0, exception.what()};
        }
    }
};

GuardedSource::GuardedSource(SamplerFactory factory, std::chrono::milliseconds timeout, std::string what)
    : factory_(std::move(factory)), timeout_(timeout), what_(std::move(what)) {}

/// What the thread has ended is taken down here, with all that libraries keep per thread; one
/// that hangs is left alone.
void GuardedSource::part_from(Worker& worker, std::chrono::milliseconds patience) {
    std::unique_lock lock(worker.mutex);
    worker.ends = true;
    worker.changed.notify_all();
    bool ended = worker.changed.wait_for(lock, patience, [&worker] { return worker.ended; });
    lock.unlock();
    if (ended)
        worker.thread.join();
    else
        worker.thread.detach();
}

GuardedSource::~GuardedSource() {
    if (worker_) part_from(*worker_, std::chrono::milliseconds(300));
    for (const std::shared_ptr<Worker>& worker : abandoned_) part_from(*worker, {});
}

std::shared_ptr<GuardedSource::Worker> GuardedSource::start() const {
    auto worker = std::make_shared<Worker>();
    worker->thread =
        std::thread([worker, sampler = factory_()]() mutable { worker->run(std::move(sampler)); });
    return worker;
}

size_t GuardedSource::hanging() {
    std::erase_if(abandoned_, [](const std::shared_ptr<Worker>& worker) {
        {
            std::lock_guard lock(worker->mutex);
            if (!worker->ended) return false;
        }
        worker->thread.join();
        return true;
    });
    return abandoned_.size();
}

Error GuardedSource::timed_out() const {
    // Without zeros at the end: 0.5, 10.
    std::array<char, 32> seconds{};
    auto end = std::to_chars(seconds.data(), seconds.data() + seconds.size(),
                             static_cast<double>(timeout_.count()) / 1000, std::chars_format::fixed);
    return {ErrorKind::Gone, ETIMEDOUT,
            what_ + " did not answer within " + std::string(seconds.data(), end.ptr) + " s"};
}

Result<Sample> GuardedSource::sample() {
    if (!worker_) {
        bool rests = std::chrono::steady_clock::now() - abandoned_at_ < rest;
        if (hanging() >= most_hanging && rests) return timed_out();
        worker_ = start();
    }
    std::shared_ptr<Worker> worker = worker_;
    std::unique_lock lock(worker->mutex);
    worker->answer.reset();
    worker->asked = true;
    worker->changed.notify_all();
    if (worker->changed.wait_for(lock, timeout_, [&] { return worker->answer.has_value(); })) {
        Result<Sample> result = std::move(*worker->answer);
        worker->answer.reset();
        return result;
    }
    worker->ends = true;
    worker->changed.notify_all();
    lock.unlock();
    abandoned_.push_back(std::exchange(worker_, nullptr));
    abandoned_at_ = std::chrono::steady_clock::now();
    return timed_out();
}

}  // namespace virt_power
