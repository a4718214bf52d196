// SPDX-License-Identifier: LGPL-2.1-or-later
#include "usage_keeper.hpp"

#include <endian.h>

#include <algorithm>
#include <cstring>
#include <utility>

namespace virt_power {

namespace {

/// What a counter keeps of a domain: its UUID, then its name.
std::string label_of(const Uuid& uuid, const std::string& name) {
    return std::string(uuid.begin(), uuid.end()) + name;
}

std::optional<std::pair<Uuid, std::string>> parse_label(const std::string& label) {
    Uuid uuid{};
    if (label.size() < uuid.size()) return std::nullopt;
    std::copy_n(label.begin(), uuid.size(), uuid.begin());
    return std::pair(uuid, label.substr(uuid.size()));
}

}  // namespace

UuidKey::UuidKey(const Uuid& uuid) : high(0), low(0) {
    static_assert(sizeof(high) + sizeof(low) == sizeof(uuid));
    std::memcpy(&high, uuid.data(), sizeof(high));
    std::memcpy(&low, uuid.data() + sizeof(high), sizeof(low));
    high = be64toh(high);
    low = be64toh(low);
}

std::optional<size_t> DomainUsages::add(const Uuid& uuid, uint64_t instance, OwnerId owner) {
    std::optional<size_t> row = used_.find(owner);
    if (row) rows_[UuidKey(uuid)] = {instance, *row};
    return row;
}

std::optional<DomainFigures> DomainUsages::find(const Uuid& uuid) const {
    const Row* row = rows_.find(UuidKey(uuid));
    if (!row) return std::nullopt;
    DomainFigures figures{row->instance, std::nullopt, used_.packages_of(row->used),
                          used_.helpers_of(row->used)};
    if (used_.source_of(row->used) != host_source_) figures.usage_source = used_.source_of(row->used);
    return figures;
}

UsageKeeper::UsageKeeper(std::unique_ptr<CpuTopology> topology, std::unique_ptr<UsageCounter> counter,
                         DomainRegistry::Limits limits, Clock now_ns,
                         std::function<Result<Process>(pid_t)> find)
    : topology_(std::move(topology)),
      counter_(std::move(counter)),
      registry_(limits),
      now_ns_(std::move(now_ns)),
      find_(std::move(find)),
      begun_ns_(now_ns_()) {
    take_over();
}

/// Those that ended in the order in which they did.
void UsageKeeper::take_over() {
    std::optional<KeptUsage> taken = counter_->take_over([this] { return next_owner_++; });
    if (!taken) return;
    registry_.add_totals(taken->forgotten);
    std::stable_sort(taken->owners.begin(), taken->owners.end(), [](const KeptOwner& a, const KeptOwner& b) {
        return a.ended_ns.value_or(UINT64_MAX) < b.ended_ns.value_or(UINT64_MAX);
    });
    for (const KeptOwner& kept : taken->owners) {
        auto named = parse_label(kept.label);
        if (!named) {  // nobody's name, but its use was somebody's
            std::optional<OwnerUsage> last = counter_->end(kept.id, now_ns_());
            registry_.add_totals(last.value_or(kept.used).packages);
            counter_->forget(kept.id);
            continue;
        }
        registry_.add(named->first, {named->second, kept.process, kept.id});
        if (kept.ended_ns)
            registry_.depart(named->first, kept.used, counter_->source(), *kept.ended_ns);
        else
            unclaimed_.insert(named->first);
    }
    stop_ended_locked();
    forget_locked();
}

/// What ended while no daemon was there to be told.
void UsageKeeper::stop_ended_locked() {
    for (auto it = unclaimed_.begin(); it != unclaimed_.end();) {
        Uuid uuid = *it;
        const DomainRegistry::Running* known = registry_.find(uuid);
        Result<Process> found = known ? find_(known->process.pid) : Error{};
        bool ended = found ? !known || *found != known->process : found.error().kind == ErrorKind::Gone;
        if (known && !ended) {
            ++it;
            continue;
        }
        it = unclaimed_.erase(it);
        if (known) ended_unseen_[uuid] = known->process;
        stop_locked(uuid);
    }
}

std::optional<Origin> UsageKeeper::origin() {
    std::lock_guard lock(mutex_);
    return counter_->origin();
}

void UsageKeeper::weigh(const Weighing& weighing) {
    std::lock_guard lock(mutex_);
    if (weighing_ == weighing) return;
    weighing_ = weighing;
    counter_->weigh(weighing);
}

Status UsageKeeper::domain_started(const Uuid& uuid, const std::string& name, const Process& process) {
    std::lock_guard lock(mutex_);
    unclaimed_.erase(uuid);
    if (const DomainRegistry::Running* known = registry_.find(uuid)) {
        if (known->process == process) return ok();
        stop_locked(uuid);
    }
    // libvirt knows pids alone, and that one may be another process's by now.
    auto ended = ended_unseen_.find(uuid);
    if (ended != ended_unseen_.end() && ended->second.pid == process.pid && ended->second != process &&
        process.start_ticks * tick_ns() < begun_ns_)
        return Error{ErrorKind::Gone, 0, "its QEMU has ended, and another process has its pid"};
    ended_unseen_.erase(uuid);
    // Those that run come before those that have ended.
    while (counter_->full()) {
        std::optional<OwnerId> gone = registry_.forget_oldest();
        if (!gone) break;
        counter_->forget(*gone);
    }
    (void)topology_->refresh();
    OwnerId owner = next_owner_++;
    if (Status added = counter_->add(owner, process, label_of(uuid, name)); !added) return added;
    registry_.add(uuid, {name, process, owner});
    return ok();
}

void UsageKeeper::domain_stopped(const Uuid& uuid) {
    std::lock_guard lock(mutex_);
    unclaimed_.erase(uuid);
    stop_locked(uuid);
}

void UsageKeeper::stop_locked(const Uuid& uuid) {
    const DomainRegistry::Running* known = registry_.find(uuid);
    if (!known) return;
    (void)topology_->refresh();  // it may have run on a CPU that came online since
    uint64_t now_ns = now_ns_();
    std::optional<OwnerUsage> used = counter_->end(known->owner, now_ns);
    registry_.depart(uuid, used.value_or(OwnerUsage{}), counter_->source(), now_ns);
    forget_locked();
}

void UsageKeeper::forget_locked() {
    for (OwnerId owner : registry_.forget(now_ns_())) counter_->forget(owner);
}

Result<UsageSnapshot> UsageKeeper::read() {
    std::lock_guard lock(mutex_);
    // A mask that cannot be read leaves the CPUs as they were.
    (void)topology_->refresh();
    if (!unclaimed_.empty()) stop_ended_locked();
    forget_locked();
    UsageSnapshot snapshot;
    HostReading& host = snapshot.host;
    host.time_ns = now_ns_();
    Result<UsageReading> reading = counter_->read();
    if (!reading) return reading.error();
    host.usage_source = counter_->source();
    host.cycles_gaps = reading->cycles_gaps;

    size_t packages = topology_->package_ids().size();
    host.weighing = reading->weighing;
    host.departed_totals =
        registry_.departed_totals(packages, reading->rest.empty() ? Usage{} : reading->rest.front());
    std::vector<Usage> vms = host.departed_totals;
    snapshot.domains = DomainUsages(std::move(reading->owners), host.usage_source);
    snapshot.domains.reserve(registry_.running().size());
    for (const auto& [uuid, domain] : registry_.running())
        if (auto row = snapshot.domains.add(uuid, domain.process.instance(), domain.owner))
            add_usage(vms, snapshot.domains.used().packages_of(*row));
    host.vm_count = static_cast<uint32_t>(snapshot.domains.size());
    for (size_t n = 0; n < packages; n++) {
        std::vector<Usage> sum = {n < reading->rest.size() ? reading->rest[n] : Usage{}};
        add_usage(sum, std::span(&vms[n], 1));
        PackageReading& package = host.packages.emplace_back();
        package.id = topology_->package_ids()[n];
        package.host = sum[0];
        package.vms = vms[n];
        if (n < reading->shared.size()) package.shared = reading->shared[n];
        if (n < reading->squared.size()) package.squared = reading->squared[n];
    }
    const std::deque<DepartedDomain>& departed = registry_.departed();
    snapshot.departed.assign(departed.begin(), departed.end());
    if (!reading->rest.empty() && !reading->rest.front().weight)
        for (DepartedDomain& domain : snapshot.departed) {
            drop_weights(domain.usage.packages);
            drop_weights(domain.usage.helpers);
        }
    return snapshot;
}

}  // namespace virt_power
