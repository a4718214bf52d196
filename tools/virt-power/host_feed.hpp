// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// Hosts that are asked for samples, many of them at once.
#ifndef VIRT_POWER_TOOL_HOST_FEED_HPP
#define VIRT_POWER_TOOL_HOST_FEED_HPP

#include <memory>
#include <vector>

#include "host_pipe.hpp"
#include "virt-power/pipeline.hpp"

namespace virt_power {

/// A host's source, and what its samples go through.
class HostFeed {
public:
    HostFeed(std::unique_ptr<Source> source, HostPipe pipe);

    /// Asks the source and waits. The sample is in the delivery.
    Delivery take();

private:
    std::unique_ptr<Source> source_;
    HostPipe pipe_;
};

/// Asks all hosts at once, each in a thread of its own.
class HostFeeds {
public:
    explicit HostFeeds(std::vector<HostFeed> feeds);
    HostFeeds(const HostFeeds&) = delete;
    HostFeeds& operator=(const HostFeeds&) = delete;
    /// Leaves threads alone whose host has not answered: the process is to end.
    ~HostFeeds();

    /// Asks each host that owes no answer. Returns how many.
    size_t request();

    /// What came in since the last call.
    std::vector<Delivery> collect();

    /// Readable while something is to be collected.
    [[nodiscard]] int ready_fd() const;

    /// Some host owes an answer.
    [[nodiscard]] bool busy() const;

private:
    struct Shared;
    struct Thread;

    std::shared_ptr<Shared> shared_;
    std::vector<std::shared_ptr<Thread>> threads_;
};

}  // namespace virt_power

#endif
