// SPDX-License-Identifier: LGPL-2.1-or-later
#include "cpu_only.hpp"

#include <limits>
#include <utility>

#include "arithmetic.hpp"

namespace virt_power {
namespace {

/// CPU time that a host can give at most.
uint64_t capacity_ns(uint64_t duration_ns, uint32_t cpus) {
    Uint128 capacity = Uint128{duration_ns} * (cpus == 0 ? 1 : cpus);
    return static_cast<uint64_t>(std::min<Uint128>(capacity, std::numeric_limits<uint64_t>::max()));
}

/// A domain that is new, or whose counter went back, was started since: its
/// counter is its use, unless that is more than the host could give.
std::optional<uint64_t> use_of(uint64_t now, std::optional<uint64_t> before, uint64_t capacity) {
    if (before && now >= *before) return now - *before;
    if (now <= capacity) return now;
    return std::nullopt;
}

}  // namespace

std::string reason_for(EnergyStatus status, const std::string& given) {
    if (!given.empty()) return given;
    switch (status) {
        case EnergyStatus::Denied:
            return "this connection may not see energy figures";
        case EnergyStatus::NoPlugin:
            return "the daemon runs without the host power plugin";
        case EnergyStatus::NoSource:
            return "this host has no energy counter";
        case EnergyStatus::Error:
            return "the host's energy counters could not be read";
        case EnergyStatus::NoGroup:
            return "the daemon does not know the stats group energy";
        case EnergyStatus::Ok:
            break;
    }
    return "no energy zone of this host is counted";
}

std::optional<Interval> CpuOnly::advance(const Sample& sample) {
    std::unordered_map<std::string, uint64_t> now;
    now.reserve(sample.domains.size());
    for (const DomainSample& domain : sample.domains)
        if (domain.cpu_time_ns) now.emplace(domain.usage.uuid, *domain.cpu_time_ns);
    std::optional<int64_t> before_ns = std::exchange(before_ns_, sample.monotonic_ns);
    std::swap(now, cpu_time_ns_);
    if (!before_ns || sample.monotonic_ns <= *before_ns) return std::nullopt;

    Interval interval;
    interval.host = sample.host;
    interval.uri = sample.uri;
    interval.end_wall_ns = sample.wall_ns;
    interval.duration_ns = static_cast<uint64_t>(sample.monotonic_ns - *before_ns);
    interval.status = sample.status;
    interval.reason = reason_for(sample.status, sample.status_reason);
    uint64_t capacity = capacity_ns(interval.duration_ns, sample.host_cpus);
    interval.rows.reserve(sample.domains.size());
    for (const DomainSample& domain : sample.domains) {
        Row& row = interval.rows.emplace_back();
        row.name = domain.usage.name;
        row.uuid = domain.usage.uuid;
        if (domain.usage.instance != 0) row.instance = domain.usage.instance;
        if (!domain.cpu_time_ns) continue;
        auto found = now.find(row.uuid);
        row.cpu_time_ns = use_of(*domain.cpu_time_ns,
                                 found == now.end() ? std::nullopt : std::optional(found->second), capacity);
        if (row.cpu_time_ns && sample.host_cpus != 0)
            row.cpu_share = static_cast<double>(*row.cpu_time_ns) / static_cast<double>(capacity);
    }
    return interval;
}

}  // namespace virt_power
