// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// One source, asked in a thread of its own, so that a signal ends the wait for it.
#ifndef VIRT_POWER_TOOL_ASKER_HPP
#define VIRT_POWER_TOOL_ASKER_HPP

#include <chrono>
#include <memory>
#include <optional>
#include <thread>

#include "virt-power/pipeline.hpp"

namespace virt_power {

class Asker {
public:
    /// \param stop_fd readable: no more waiting
    Asker(std::unique_ptr<Source> source, int stop_fd);
    Asker(const Asker&) = delete;
    Asker& operator=(const Asker&) = delete;
    /// Leaves the thread alone if its host has not answered: the process is to end.
    ~Asker();

    /// A sample or an error; nothing if it was stopped.
    std::optional<Result<Sample>> ask();

    /// False if it was stopped.
    [[nodiscard]] bool wait_until(std::chrono::steady_clock::time_point when) const;

    /// Was stopped while the host owed an answer.
    [[nodiscard]] bool busy() const { return busy_; }

private:
    struct Shared;

    std::shared_ptr<Shared> shared_;
    std::thread thread_;
    int stop_fd_;
    bool busy_ = false;
};

}  // namespace virt_power

#endif
