// SPDX-License-Identifier: LGPL-2.1-or-later
#include "serial_worker.hpp"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <utility>

#include "own_thread.hpp"

namespace virt_power {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

/// A job that runs for longer seems to hang: few may then wait behind it.
constexpr milliseconds slow{1000};
constexpr size_t most_behind_slow = 3;

/// How long the end of the daemon waits for a job.
constexpr milliseconds patience_at_end{500};

struct Job {
    std::function<void()> body;
    SerialWorker::Urgency urgency = SerialWorker::Urgency::Normal;
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
    std::optional<steady_clock::time_point> since;  ///< when the job that runs began

    [[nodiscard]] bool is_slow() const { return since && steady_clock::now() - *since >= slow; }

    /// Behind those of the same urgency.
    void add(const std::shared_ptr<Job>& job) {
        auto place = std::find_if(waiting.begin(), waiting.end(), [&](const std::shared_ptr<Job>& other) {
            return other->urgency > job->urgency;
        });
        waiting.insert(place, job);
    }

    [[nodiscard]] bool is_one_too_many(const std::shared_ptr<Job>& job) const {
        if (job->started || !is_slow()) return false;
        auto place = std::find(waiting.begin(), waiting.end(), job) - waiting.begin();
        return static_cast<size_t>(place) >= most_behind_slow;
    }

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
            since = steady_clock::now();
            lock.unlock();
            job->body();
            job->body = nullptr;  // what it holds goes without the lock
            lock.lock();
            job->done = true;
            since.reset();
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

SerialWorker::Outcome SerialWorker::run(std::function<void()> body, milliseconds patience, Urgency urgency) {
    auto job = std::make_shared<Job>();
    job->body = std::move(body);
    job->urgency = urgency;
    std::unique_lock lock(shared_->mutex);
    if (!shared_->runs) {
        start_own_thread([shared = shared_] { shared->work(); });
        shared_->runs = true;
    }
    shared_->add(job);
    shared_->changed.notify_all();
    steady_clock::time_point deadline = steady_clock::now() + patience;
    // Woken now and then, to see whether the one before it has become slow.
    while (!job->done && steady_clock::now() < deadline && !shared_->is_one_too_many(job))
        shared_->changed.wait_until(lock, std::min(deadline, steady_clock::now() + slow));
    if (job->done) return Outcome::Done;
    if (job->started) return Outcome::Unfinished;
    std::erase(shared_->waiting, job);
    return Outcome::NotStarted;
}

}  // namespace virt_power
