// SPDX-License-Identifier: LGPL-2.1-or-later
#include "usage_counter_bpf.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <map>
#include <utility>

#include "bpf/cpu_usage.h"
#include "clock.hpp"
#include "counted_cpus.hpp"
#include "domain_cgroup.hpp"
#include "flat_map.hpp"
#include "kernel_file.hpp"
#include "owner_slots.hpp"
#include "usage_counter_proc.hpp"
#include "usage_maps.hpp"

namespace virt_power {
namespace {

/// Inode of the initial PID namespace (include/uapi/linux/nsfs.h).
constexpr ino_t initial_pid_namespace = 0xEFFFFFFC;

/// How a domain is counted.
struct Owner {
    std::optional<uint32_t> slot;
    Process process;
    bool ended = false;
    std::optional<CgroupTrace> trace;     ///< of its cgroup, where all that was found is done
    std::unique_ptr<ProcOwner> fallback;  ///< where the maps had no room
};

class BpfUsageCounter : public UsageCounter {
public:
    BpfUsageCounter(const CpuTopology& topology, BpfOptions options, std::shared_ptr<UsageMaps> maps,
                    std::optional<CycleEvents> events)
        : topology_(topology),
          options_(std::move(options)),
          maps_(std::move(maps)),
          slots_(maps_),
          cpus_(topology_, maps_, std::move(events)),
          cgroups_(options_.root) {}

    [[nodiscard]] UsageSource source() const override { return UsageSource::Bpf; }
    [[nodiscard]] std::optional<Origin> origin() const override {
        return Origin{maps_->settings().epoch, maps_->settings().start_ns};
    }
    std::optional<KeptUsage> take_over(const std::function<OwnerId()>& next_id) override;
    [[nodiscard]] Status add(OwnerId id, const Process& process, std::string_view label) override;
    std::optional<OwnerUsage> end(OwnerId id, uint64_t now_ns) override;
    void forget(OwnerId id) override;
    void weigh(const Weighing& weighing) override { cpus_.weigh(weighing); }
    [[nodiscard]] bool full() const override { return slots_.full(); }
    [[nodiscard]] Result<UsageReading> read() override;

private:
    void follow_helpers(Owner& owner);
    bool take_level(uint32_t slot, uint32_t level);
    void follow_cgroups();
    void add_usage_of(OwnerId id, const Owner& owner, OwnerUsages& usages) const;
    void take_from_rest(std::vector<Usage>& rest, const OwnerUsages& owners);

    const CpuTopology& topology_;
    BpfOptions options_;
    std::shared_ptr<UsageMaps> maps_;
    OwnerSlots slots_;
    CountedCpus cpus_;
    DomainCgroups cgroups_;
    uint64_t follow_again_ns_ = 0;
    OwnerId followed_ = 0;
    bool told_cgroup_ = false;
    std::map<uint32_t, uint32_t> level_of_slot_;  ///< of its cgroup
    FlatMap<OwnerId, Owner> owners_;
    uint64_t failed_inserts_ = 0;
    std::vector<uint64_t> removed_fallback_ns_;  ///< of owners counted from /proc that are gone, by package
    std::vector<uint64_t> rest_ns_;              ///< never decreases
};

std::optional<KeptUsage> BpfUsageCounter::take_over(const std::function<OwnerId()>& next_id) {
    if (!maps_->taken_over()) return std::nullopt;
    KeptUsage taken;
    for (OwnedSlot& owned : slots_.recover()) {
        Owner owner;
        owner.slot = owned.slot;
        owner.process = owned.process;
        owner.ended = owned.ended_ns.has_value();
        OwnerId id = next_id();
        if (Result<Process> found = find_process(options_.root, owned.process.pid);
            !owner.ended && found && *found == owned.process)
            follow_helpers(owner);
        taken.owners.push_back(
            {id, std::move(owned.label), owned.process, owned.ended_ns, cpus_.read_slot(owned.slot)});
        owners_[id] = std::move(owner);
    }
    taken.forgotten = cpus_.read_slot(CPU_USAGE_SLOT_FORGOTTEN).packages;
    return taken;
}

/// Cgroups of domains may lie at different depths: <partition> moves them.
bool BpfUsageCounter::take_level(uint32_t slot, uint32_t level) {
    level_of_slot_[slot] = level;
    auto& known = maps_->settings().cgroup_levels;
    if (std::find(std::begin(known), std::end(known), level) != std::end(known)) return true;
    for (unsigned& place : known) {
        bool used = std::any_of(level_of_slot_.begin(), level_of_slot_.end(),
                                [&](const auto& entry) { return entry.second == place; });
        if (used) continue;
        store_last(place, level);
        maps_->owners_changed();
        return true;
    }
    return false;
}

/// Helper processes and, on older kernels, vhost threads are only in the domain's cgroup. Where the program
/// cannot know that (version 1), the processes in it are told one by one.
void BpfUsageCounter::follow_helpers(Owner& owner) {
    const Process& process = owner.process;
    uint32_t slot = *owner.slot;
    auto [cgroup, others, trace] = cgroups_.find(process.pid);
    std::string problem;
    // What cannot be looked at just now stays as it was.
    bool known = cgroup || cgroup.error().kind == ErrorKind::Unsupported;
    if (cgroup && !take_level(slot, static_cast<uint32_t>(cgroup->level)))
        problem = fmt::format("its cgroup is at depth {}, those of others at {} other depths", cgroup->level,
                              CPU_USAGE_MAX_LEVELS);
    uint64_t id = cgroup && problem.empty() ? cgroup->id : 0;
    if (known)
        if (Status set = slots_.set_cgroup(slot, id); !set) problem = set.error().message;
    if (others)
        if (Status set = slots_.set_helpers(slot, *others); !set) problem = set.error().message;
    owner.trace = problem.empty() ? std::move(trace) : std::nullopt;
    if (!cgroup && !others) problem = cgroup.error().message;
    if (!problem.empty() && !std::exchange(told_cgroup_, true))
        options_.warn(
            fmt::format("process {}: {}; helper processes of such domains are counted as the host's",
                        process.pid, problem));
}

/// A domain may be moved to another cgroup. One is looked at for each second since the last reading, since it
/// takes some files; but not too many at once.
void BpfUsageCounter::follow_cgroups() {
    constexpr uint64_t period_ns = 1'000'000'000;
    constexpr uint64_t most = 16;
    uint64_t now_ns = boottime_ns();
    if (now_ns < follow_again_ns_) return;
    uint64_t due = std::min<uint64_t>({1 + (now_ns - follow_again_ns_) / period_ns, owners_.size(), most});
    follow_again_ns_ = now_ns + period_ns;
    for (; due > 0; due--) {
        auto next = owners_.next_in_turn(followed_);
        followed_ = next->first;
        Owner& owner = next->second;
        if (!owner.slot || owner.ended) continue;
        if (owner.trace && cgroups_.is_as(owner.process.pid, *owner.trace)) continue;
        Result<Process> found = find_process(options_.root, owner.process.pid);
        if (found && *found == owner.process) follow_helpers(owner);
    }
}

Status BpfUsageCounter::add(OwnerId id, const Process& process, std::string_view label) {
    Result<Process> found = find_process(options_.root, process.pid);
    if (!found) return found.error();
    if (!(*found == process))
        return Error{ErrorKind::Gone, 0, fmt::format("process {} has ended", process.pid)};
    Owner owner;
    owner.process = process;
    cpus_.charge_running();  // what it used before belongs to the rest of the host
    if (Result<uint32_t> slot = slots_.take(process, label)) {
        owner.slot = *slot;
        follow_helpers(owner);
    } else {
        failed_inserts_++;
        options_.warn(fmt::format("process {} is counted from /proc: {} ({} so far)", process.pid,
                                  slot.error().message, failed_inserts_));
        Result<ProcOwner> started = ProcOwner::start(options_.root, read_process_clock, process, topology_);
        if (!started) return started.error();
        owner.fallback = std::make_unique<ProcOwner>(std::move(*started));
    }
    owners_[id] = std::move(owner);
    return ok();
}

std::optional<OwnerUsage> BpfUsageCounter::end(OwnerId id, uint64_t now_ns) {
    Owner* found = owners_.find(id);
    if (!found || found->ended) return std::nullopt;
    Owner& owner = *found;
    cpus_.charge_running();
    if (owner.slot) {
        slots_.end(*owner.slot, now_ns);
        level_of_slot_.erase(*owner.slot);
        cpus_.charge_running();  // nobody writes there any more
        owner.ended = true;
        return cpus_.read_slot(*owner.slot);
    }
    owner.fallback->read(topology_);
    OwnerUsage usage = owner.fallback->usage(topology_.package_ids().size());
    removed_fallback_ns_.resize(std::max(removed_fallback_ns_.size(), usage.packages.size()));
    for (size_t n = 0; n < usage.packages.size(); n++) removed_fallback_ns_[n] += usage.packages[n].time_ns;
    owners_.erase(id);
    return usage;
}

void BpfUsageCounter::forget(OwnerId id) {
    const Owner* found = owners_.find(id);
    if (!found || !found->ended) return;
    slots_.forget(*found->slot);
    owners_.erase(id);
}

void BpfUsageCounter::add_usage_of(OwnerId id, const Owner& owner, OwnerUsages& usages) const {
    if (!owner.slot) {
        owner.fallback->read(topology_);
        usages.add(id, owner.fallback->usage(topology_.package_ids().size()));
        return;
    }
    size_t row = usages.add(id, UsageSource::Bpf, true);
    cpus_.read_slot(*owner.slot, usages.packages_of(row), usages.helpers_of(row));
    if (cpus_.weighs()) return;
    drop_weights(usages.packages_of(row));
    drop_weights(usages.helpers_of(row));
}

Result<UsageReading> BpfUsageCounter::read() {
    cpus_.refresh();
    follow_cgroups();
    UsageReading reading;
    reading.rest = cpus_.read_slot(CPU_USAGE_SLOT_REST).packages;
    if (!cpus_.weighs()) drop_weights(reading.rest);
    if (cpus_.counts_cycles()) {
        std::vector<Usage> idle = cpus_.read_slot(CPU_USAGE_SLOT_IDLE).packages;
        for (size_t n = 0; n < reading.rest.size(); n++) {
            *reading.rest[n].cycles += *idle[n].cycles;
            *reading.rest[n].weight += *idle[n].weight;
        }
    }
    reading.owners = OwnerUsages(topology_.package_ids().size());
    reading.owners.reserve(owners_.size());
    for (const auto& [id, owner] : owners_)
        if (!owner.ended) add_usage_of(id, owner, reading.owners);
    cpus_.add_sums(reading);
    take_from_rest(reading.rest, reading.owners);
    return reading;
}

/// The program does not know the domains that are counted from /proc: it counted them as the rest.
void BpfUsageCounter::take_from_rest(std::vector<Usage>& rest, const OwnerUsages& owners) {
    std::vector<uint64_t> known_ns = removed_fallback_ns_;
    known_ns.resize(rest.size());
    rest_ns_.resize(rest.size());
    for (size_t row = 0; row < owners.size(); row++)
        if (owners.source_of(row) == UsageSource::Proc)
            for (size_t n = 0; n < rest.size(); n++) known_ns[n] += owners.packages_of(row)[n].time_ns;
    for (size_t n = 0; n < rest.size(); n++) {
        if (rest[n].time_ns > known_ns[n]) rest_ns_[n] = std::max(rest_ns_[n], rest[n].time_ns - known_ns[n]);
        rest[n].time_ns = rest_ns_[n];
    }
}

Status check_pid_namespace(const std::filesystem::path& root) {
    struct stat status {};
    std::filesystem::path path = root / "proc/self/ns/pid";
    if (::stat(path.c_str(), &status) != 0) return system_error(errno, "read", path);
    if (status.st_ino == initial_pid_namespace) return ok();
    return Error{ErrorKind::Denied, 0,
                 "this daemon is in a PID namespace of its own, where pids are not the kernel's"};
}

/// Without it the program is attached to nothing, and libbpf's own message says little.
Status check_btf(const std::filesystem::path& root) {
    if (::access((root / "sys/kernel/btf/vmlinux").c_str(), R_OK) == 0) return ok();
    return Error{ErrorKind::Unsupported, errno, "this kernel has no BTF (/sys/kernel/btf/vmlinux)"};
}

}  // namespace

bool kvm_mediates_pmu(const std::filesystem::path& root) {
    for (const char* module : {"kvm", "kvm_intel", "kvm_amd"}) {
        Result<std::string> text =
            read_kernel_file(root / "sys/module" / module / "parameters/enable_mediated_pmu");
        if (text && (trim(*text) == "Y" || trim(*text) == "1")) return true;
    }
    return false;
}

bool has_kept_counting(const BpfOptions& options) {
    return PinDirectory::exists(options.bpf_fs, PinDirectory::name_of(options.state_dir));
}

Status remove_kept_counting(const BpfOptions& options) {
    return PinDirectory::remove(options.bpf_fs, PinDirectory::name_of(options.state_dir));
}

Result<BpfCounting> make_bpf_usage_counter(CpuTopology& topology, BpfOptions options) {
    if (!options.pin)
        if (Status removed = remove_kept_counting(options); !removed) options.warn(removed.error().message);
    if (Status initial = check_pid_namespace(options.root); !initial) return initial.error();
    if (Status btf = check_btf(options.root); !btf) return btf.error();
    std::optional<CycleEvents> events;
    if (options.cycles && !kvm_mediates_pmu(options.root))
        events = CycleEvents::probe(*options.perf, *options.cycles, topology.online_cpus());
    UsageMapsOptions with;
    with.root = options.root;
    if (options.pin) with.bpf_fs = options.bpf_fs;
    with.state_dir = options.state_dir;
    with.count_cycles = events.has_value();
    with.warn = options.warn;
    with.inform = options.inform;
    Result<std::shared_ptr<UsageMaps>> maps = UsageMaps::open(with);
    if (!maps) return maps.error();
    if ((*maps)->taken_over()) topology.resume((*maps)->known_cpus());
    auto counter = std::make_unique<BpfUsageCounter>(topology, std::move(options), *maps, std::move(events));
    return BpfCounting{std::move(counter), std::move(*maps)};
}

}  // namespace virt_power
