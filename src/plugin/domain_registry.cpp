// SPDX-License-Identifier: LGPL-2.1-or-later
#include "domain_registry.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

namespace virt_power {

std::string format_uuid(const Uuid& uuid) {
    std::string text;
    for (size_t n = 0; n < uuid.size(); n++) {
        if (n == 4 || n == 6 || n == 8 || n == 10) text += '-';
        fmt::format_to(std::back_inserter(text), "{:02x}", uuid[n]);
    }
    return text;
}

void add_usage(std::vector<Usage>& sum, std::span<const Usage> part) {
    if (sum.size() < part.size()) sum.resize(part.size());
    for (size_t n = 0; n < part.size(); n++) {
        sum[n].time_ns += part[n].time_ns;
        if (part[n].cycles) sum[n].cycles = sum[n].cycles.value_or(0) + *part[n].cycles;
        if (part[n].weight) sum[n].weight = sum[n].weight.value_or(0) + *part[n].weight;
    }
}

DomainUsage domain_usage(const Uuid& uuid, const DomainRegistry::Running& domain, const OwnerUsage& used,
                         UsageSource host_source) {
    DomainUsage usage{domain.name,   format_uuid(uuid), domain.process.instance(),
                      used.packages, std::nullopt,      used.helpers};
    if (used.source != host_source) usage.usage_source = used.source;
    return usage;
}

void DomainRegistry::depart(const Uuid& uuid, const OwnerUsage& used, UsageSource host_source,
                            uint64_t now_ns) {
    const Running* found = running_.find(uuid);
    if (!found) return;
    add_usage(totals_, used.packages);
    departed_.push_back({uuid, now_ns, domain_usage(uuid, *found, used, host_source), found->owner});
    running_.erase(uuid);
}

std::vector<Usage> DomainRegistry::departed_totals(size_t packages, const Usage& like) const {
    std::vector<Usage> totals = totals_;
    totals.resize(std::max(packages, totals.size()));
    for (Usage& usage : totals) {
        usage.cycles = like.cycles ? std::optional(usage.cycles.value_or(0)) : std::nullopt;
        usage.weight = like.weight ? std::optional(usage.weight.value_or(0)) : std::nullopt;
    }
    return totals;
}

std::optional<OwnerId> DomainRegistry::forget_oldest() {
    if (departed_.empty()) return std::nullopt;
    OwnerId gone = departed_.front().owner;
    departed_.pop_front();
    return gone;
}

std::vector<OwnerId> DomainRegistry::forget(uint64_t now_ns) {
    std::vector<OwnerId> gone;
    while (!departed_.empty() &&
           (departed_.size() > limits_.keep_max || now_ns - departed_.front().ended_ns > limits_.keep_ns))
        gone.push_back(*forget_oldest());
    return gone;
}

}  // namespace virt_power
