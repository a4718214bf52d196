// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// CPU use of the host and of the domains that libvirt tells about.
#ifndef VIRT_POWER_PLUGIN_USAGE_KEEPER_HPP
#define VIRT_POWER_PLUGIN_USAGE_KEEPER_HPP

#include <memory>
#include <mutex>

#include "clock.hpp"
#include "cpu_topology.hpp"
#include "domain_registry.hpp"
#include "usage_counter.hpp"

namespace virt_power {

/// One pass over the usage counters, without zones.
struct UsageSnapshot {
    HostReading host;  ///< its zones are empty
    std::vector<DepartedDomain> departed;
    std::map<Uuid, DomainUsage> domains;
};

/// Threads: any. Its lock is held over short system calls only.
class UsageKeeper {
public:
    UsageKeeper(std::unique_ptr<CpuTopology> topology, std::unique_ptr<UsageCounter> counter,
                DomainRegistry::Limits limits, Clock now_ns);

    [[nodiscard]] Status domain_started(const Uuid& uuid, const std::string& name, const Process& process);
    void domain_stopped(const Uuid& uuid);

    [[nodiscard]] Result<UsageSnapshot> read();

    /// What a domain used since the last read() is lost when it ends.
    [[nodiscard]] bool must_be_read() const { return counter_->source() == UsageSource::Proc; }

    /// Calls with the topology under the lock.
    template <typename Function>
    auto with_topology(Function function) {
        std::lock_guard lock(mutex_);
        return function(*topology_);
    }

private:
    void stop_locked(const Uuid& uuid);

    std::mutex mutex_;
    std::unique_ptr<CpuTopology> topology_;
    std::unique_ptr<UsageCounter> counter_;
    DomainRegistry registry_;
    Clock now_ns_;
    OwnerId next_owner_ = 1;
};

}  // namespace virt_power

#endif
