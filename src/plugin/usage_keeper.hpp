// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// CPU use of the host and of the domains that libvirt tells about.
#ifndef VIRT_POWER_PLUGIN_USAGE_KEEPER_HPP
#define VIRT_POWER_PLUGIN_USAGE_KEEPER_HPP

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "clock.hpp"
#include "cpu_topology.hpp"
#include "domain_registry.hpp"
#include "reading_codec.hpp"
#include "usage_counter.hpp"

namespace virt_power {

/// A UUID as two numbers, which compare faster than its bytes do, and come in the same order.
struct UuidKey {
    explicit UuidKey(const Uuid& uuid);
    uint64_t high, low;
    bool operator==(const UuidKey&) const = default;
    bool operator<(const UuidKey& other) const {
        return high != other.high ? high < other.high : low < other.low;
    }
};

/// What running domains used.
class DomainUsages {
public:
    DomainUsages() = default;
    DomainUsages(OwnerUsages used, UsageSource host_source)
        : used_(std::move(used)), host_source_(host_source) {}

    /// In the order of UUIDs. Nothing for an owner that was not read.
    std::optional<size_t> add(const Uuid& uuid, uint64_t instance, OwnerId owner);

    [[nodiscard]] size_t size() const { return rows_.size(); }
    [[nodiscard]] bool empty() const { return rows_.empty(); }
    [[nodiscard]] bool contains(const Uuid& uuid) const { return rows_.find(UuidKey(uuid)) != nullptr; }
    [[nodiscard]] std::optional<DomainFigures> find(const Uuid& uuid) const;
    [[nodiscard]] const OwnerUsages& used() const { return used_; }
    void reserve(size_t domains) { rows_.reserve(domains); }

private:
    struct Row {
        uint64_t instance = 0;
        size_t used = 0;
    };

    OwnerUsages used_;
    UsageSource host_source_ = UsageSource::Proc;
    FlatMap<UuidKey, Row> rows_;
};

/// One pass over the usage counters, without zones.
struct UsageSnapshot {
    HostReading host;  ///< its zones are empty
    std::vector<DepartedDomain> departed;
    DomainUsages domains;
};

/// Threads: any. Its lock is held over short system calls only.
class UsageKeeper {
public:
    /// \param find tells whether a process is still there
    UsageKeeper(
        std::unique_ptr<CpuTopology> topology, std::unique_ptr<UsageCounter> counter,
        DomainRegistry::Limits limits, Clock now_ns,
        std::function<Result<Process>(pid_t)> find = [](pid_t pid) { return find_process("/", pid); });

    [[nodiscard]] Status domain_started(const Uuid& uuid, const std::string& name, const Process& process);
    void domain_stopped(const Uuid& uuid);

    [[nodiscard]] Result<UsageSnapshot> read();

    /// Of the counter; nothing where counting began with this daemon's life.
    [[nodiscard]] std::optional<Origin> origin();
    /// From now on.
    void weigh(const Weighing& weighing);

    /// What a domain used since the last read() is lost when it ends.
    [[nodiscard]] bool must_be_read() const { return counter_->source() == UsageSource::Proc; }

    /// Calls with the topology under the lock.
    template <typename Function>
    auto with_topology(Function function) {
        std::lock_guard lock(mutex_);
        return function(*topology_);
    }

private:
    void take_over();
    void stop_locked(const Uuid& uuid);
    void forget_locked();
    void stop_ended_locked();

    std::mutex mutex_;
    std::unique_ptr<CpuTopology> topology_;
    std::unique_ptr<UsageCounter> counter_;
    DomainRegistry registry_;
    Clock now_ns_;
    std::function<Result<Process>(pid_t)> find_;
    uint64_t begun_ns_;
    /// Taken over, and libvirt has not told of them yet. It may never: one that ended meanwhile.
    std::set<Uuid> unclaimed_;
    std::map<Uuid, Process> ended_unseen_;  ///< that libvirt may still take for running
    std::optional<Weighing> weighing_;      ///< as told last
    OwnerId next_owner_ = 1;
};

}  // namespace virt_power

#endif
