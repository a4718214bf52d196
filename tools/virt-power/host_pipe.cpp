// SPDX-License-Identifier: LGPL-2.1-or-later
#include "host_pipe.hpp"

#include <utility>

namespace virt_power {

HostPipe::HostPipe(const AttributionOptions& options)
    : attributor_(options), static_policy_(options.static_policy) {}

/// One notice when a host is lost and one when it is back, however often it is tried.
Delivery HostPipe::take(const Error& error) {
    Delivery delivery;
    delivery.error = error;
    delivery.lost = !std::exchange(lost_, true);
    return delivery;
}

Delivery HostPipe::take(const Sample& sample) {
    Delivery delivery;
    HostIdentity& identity = delivery.identity.emplace();
    identity = {sample.host, sample.uri, std::nullopt};
    if (sample.reading) identity.epoch = sample.reading->epoch;
    if (std::exchange(lost_, false)) delivery.notices.emplace_back("connected");
    delivery.notices.insert(delivery.notices.end(), sample.notices.begin(), sample.notices.end());
    bool coarse = sample.reading && sample.reading->interval_ns;
    if (coarse && !std::exchange(told_coarse_, true))
        delivery.notices.push_back("this connection gets a reading every " +
                                   std::to_string(*sample.reading->interval_ns / 1'000'000'000) + " s");
    Attributed attributed = attributor_.add(sample);
    delivery.notices.insert(delivery.notices.end(), attributed.notices.begin(), attributed.notices.end());
    bool unknown =
        attributed.interval && attributed.interval->reason.empty() && attributed.interval->idle_included;
    if (unknown && static_policy_ != StaticPolicy::Separate && !std::exchange(told_static_, true))
        delivery.notices.emplace_back(
            "--static has no effect where static power is not known: see virt-power calibrate, or "
            "--static-watts");
    delivery.interval = std::move(attributed.interval);
    delivery.waiting = attributed.waiting;
    return delivery;
}

std::vector<HostPipe> make_pipes(size_t hosts, const AttributionOptions& options) {
    std::vector<HostPipe> pipes;
    for (size_t host = 0; host < hosts; ++host) pipes.emplace_back(options);
    return pipes;
}

}  // namespace virt_power
