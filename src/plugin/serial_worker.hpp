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
        NotStarted,  ///< another job takes too long; this one will never run
        Unfinished,  ///< it runs, and will be done some time, or never
    };

    /// What goes first, of the jobs that wait.
    enum class Urgency { High, Normal, Low };

    SerialWorker();
    /// Waits for the job that runs, but not long: what jobs use must be theirs.
    ~SerialWorker();
    SerialWorker(const SerialWorker&) = delete;
    SerialWorker& operator=(const SerialWorker&) = delete;

    /// Waits until the job is done, no longer than `patience`. Where the job that runs seems to hang, all but
    /// a few are told at once: each that waits holds a thread of the daemon, which has some twenty for all
    /// that its clients ask. The job must not throw. Throws if the thread cannot be started.
    Outcome run(std::function<void()> job, std::chrono::milliseconds patience,
                Urgency urgency = Urgency::Normal);

private:
    struct Shared;
    std::shared_ptr<Shared> shared_;
};

}  // namespace virt_power

#endif
