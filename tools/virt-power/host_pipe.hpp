// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// One host's way from samples to intervals, whatever the samples come from.
#ifndef VIRT_POWER_TOOL_HOST_PIPE_HPP
#define VIRT_POWER_TOOL_HOST_PIPE_HPP

#include <optional>
#include <string>
#include <vector>

#include "host_names.hpp"
#include "options.hpp"
#include "virt-power/pipeline.hpp"

namespace virt_power {

/// What one request to a host led to.
struct Delivery {
    size_t host = 0;             ///< index into the run's hosts
    std::optional<Error> error;  ///< no sample
    std::optional<Interval> interval;
    std::optional<HostIdentity> identity;  ///< as its sample told
    bool waiting = false;                  ///< as Attributed::waiting
    bool lost = false;                     ///< with the error: the first after a sample, or of all
    std::vector<std::string> notices;
    std::optional<Sample> sample;  ///< what it came from; only of a live host
};

/// Attribution of one host, and what people are told of its state. Knows no clock.
class HostPipe {
public:
    explicit HostPipe(const AttributionOptions& options);

    Delivery take(const Sample& sample);
    Delivery take(const Error& error);

private:
    Attributor attributor_;
    StaticPolicy static_policy_;
    bool told_static_ = false;
    bool lost_ = false;
    bool told_coarse_ = false;
};

/// One for each host of a run.
std::vector<HostPipe> make_pipes(size_t hosts, const AttributionOptions& options);

}  // namespace virt_power

#endif
