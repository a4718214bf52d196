// SPDX-License-Identifier: LGPL-2.1-or-later
#include "usage_keeper.hpp"

#include <algorithm>
#include <utility>

namespace virt_power {

UsageKeeper::UsageKeeper(std::unique_ptr<CpuTopology> topology, std::unique_ptr<UsageCounter> counter,
                         DomainRegistry::Limits limits, Clock now_ns)
    : topology_(std::move(topology)),
      counter_(std::move(counter)),
      registry_(limits),
      now_ns_(std::move(now_ns)) {}

Status UsageKeeper::domain_started(const Uuid& uuid, const std::string& name, const Process& process) {
    std::lock_guard lock(mutex_);
    if (const DomainRegistry::Running* known = registry_.find(uuid)) {
        if (known->process == process) return ok();
        stop_locked(uuid);
    }
    OwnerId owner = next_owner_++;
    if (Status added = counter_->add(owner, process); !added) return added;
    registry_.add(uuid, {name, process, owner});
    return ok();
}

void UsageKeeper::domain_stopped(const Uuid& uuid) {
    std::lock_guard lock(mutex_);
    stop_locked(uuid);
}

void UsageKeeper::stop_locked(const Uuid& uuid) {
    const DomainRegistry::Running* known = registry_.find(uuid);
    if (!known) return;
    std::optional<OwnerUsage> used = counter_->remove(known->owner);
    registry_.depart(uuid, used.value_or(OwnerUsage{}), counter_->source(), now_ns_());
}

Result<UsageSnapshot> UsageKeeper::read() {
    std::lock_guard lock(mutex_);
    // A mask that cannot be read leaves the CPUs as they were.
    (void)topology_->refresh();
    UsageSnapshot snapshot;
    HostReading& host = snapshot.host;
    host.time_ns = now_ns_();
    Result<UsageReading> reading = counter_->read();
    if (!reading) return reading.error();
    host.usage_source = counter_->source();
    host.cycles_gaps = reading->cycles_gaps;

    size_t packages = topology_->package_ids().size();
    host.departed_totals = registry_.departed_totals(packages, host.cycles_gaps.has_value());
    std::vector<Usage> vms = host.departed_totals;
    for (const auto& [uuid, domain] : registry_.running()) {
        auto used = reading->owners.find(domain.owner);
        if (used == reading->owners.end()) continue;
        add_usage(vms, used->second.packages);
        snapshot.domains.emplace(uuid, domain_usage(uuid, domain, used->second, host.usage_source));
    }
    host.vm_count = static_cast<uint32_t>(snapshot.domains.size());
    for (size_t n = 0; n < packages; n++) {
        std::vector<Usage> sum = {n < reading->rest.size() ? reading->rest[n] : Usage{}};
        add_usage(sum, {vms[n]});
        host.packages.push_back({topology_->package_ids()[n], sum[0], vms[n]});
    }
    const std::deque<DepartedDomain>& departed = registry_.departed(host.time_ns);
    snapshot.departed.assign(departed.begin(), departed.end());
    return snapshot;
}

}  // namespace virt_power
