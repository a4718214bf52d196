// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// One thread that does jobs one after the other, so that a kernel file that hangs
/// holds that thread and nobody else.
#ifndef VIRT_POWER_PLUGIN_SERIAL_WORKER_HPP
#define VIRT_POWER_PLUGIN_SERIAL_WORKER_HPP

#include <chrono>
#include <functional>
#include <memory>

namespace virt_power {

/// Threads: any.
class SerialWorker {
public:
    enum class Outcome {
        Done,
        NotStarted,  ///< another job took too long; this one will never run
        Unfinished,  ///< it runs, and will be done some time, or never
    };

    SerialWorker();
    /// Waits for the job that runs, but not long: what jobs use must be theirs.
    ~SerialWorker();
    SerialWorker(const SerialWorker&) = delete;
    SerialWorker& operator=(const SerialWorker&) = delete;

    /// Waits until the job is done, no longer than `patience`. The job must not throw. Throws
    /// if the thread cannot be started.
    Outcome run(std::function<void()> job, std::chrono::milliseconds patience);

private:
    struct Shared;
    std::shared_ptr<Shared> shared_;
};

}  // namespace virt_power

#endif
