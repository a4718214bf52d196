// SPDX-License-Identifier: LGPL-2.1-or-later
#include "serial_worker.hpp"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <utility>

#include "own_thread.hpp"

namespace virt_power {
namespace {

/// How long the end of the daemon waits for a job.
constexpr std::chrono::milliseconds patience_at_end{500};

struct Job {
    std::function<void()> body;
    bool started = false;
    bool done = false;
};

}  // namespace

/// Lives until the thread lets go of it.
struct SerialWorker::Shared {
    std::mutex mutex;
    std::condition_variable changed;
    bool stopping = false;
    bool runs = false;  ///< the thread
    std::deque<std::shared_ptr<Job>> waiting;

    void work() {
        std::unique_lock lock(mutex);
        while (!stopping) {
            if (waiting.empty()) {
                changed.wait(lock);
                continue;
            }
            std::shared_ptr<Job> job = std::move(waiting.front());
            waiting.pop_front();
            job->started = true;
            lock.unlock();
            job->body();
            job->body = nullptr;  // what it holds goes without the lock
            lock.lock();
            job->done = true;
            changed.notify_all();
        }
        runs = false;
        changed.notify_all();
    }
};

SerialWorker::SerialWorker() : shared_(std::make_shared<Shared>()) {}

SerialWorker::~SerialWorker() {
    std::unique_lock lock(shared_->mutex);
    shared_->stopping = true;
    shared_->changed.notify_all();
    shared_->changed.wait_for(lock, patience_at_end, [this] { return !shared_->runs; });
}

SerialWorker::Outcome SerialWorker::run(std::function<void()> body, std::chrono::milliseconds patience) {
    auto job = std::make_shared<Job>();
    job->body = std::move(body);
    std::unique_lock lock(shared_->mutex);
    if (!shared_->runs) {
        start_own_thread([shared = shared_] { shared->work(); });
        shared_->runs = true;
    }
    shared_->waiting.push_back(job);
    shared_->changed.notify_all();
    shared_->changed.wait_for(lock, patience, [&] { return job->done; });
    if (job->done) return Outcome::Done;
    if (job->started) return Outcome::Unfinished;
    std::erase(shared_->waiting, job);
    return Outcome::NotStarted;
}

}  // namespace virt_power
