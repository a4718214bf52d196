// SPDX-License-Identifier: LGPL-2.1-or-later
#include "usage_counter_bpf.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <numeric>
#include <utility>

#include "bpf/cpu_usage.h"
#include "clock.hpp"
#include "cycle_events.hpp"
#include "domain_cgroup.hpp"
#include "kernel_file.hpp"
#include "owner_slots.hpp"
#include "usage_counter_proc.hpp"
#include "usage_maps.hpp"
#include "weighing.hpp"

namespace virt_power {
namespace {

/// Inode of the initial PID namespace (include/uapi/linux/nsfs.h).
constexpr ino_t initial_pid_namespace = 0xEFFFFFFC;
/// Where events fail all the time, opening others is no use more often.
constexpr uint64_t mend_period_ns = 10'000'000'000;

/// How a domain is counted.
struct Owner {
    std::optional<uint32_t> slot;
    Process process;
    bool ended = false;
    std::optional<ProcOwner> fallback;  ///< where the maps had no room
};

class BpfUsageCounter : public UsageCounter {
public:
    BpfUsageCounter(const CpuTopology& topology, BpfOptions options, std::shared_ptr<UsageMaps> maps,
                    std::optional<CycleEvents> events)
        : topology_(topology),
          options_(std::move(options)),
          maps_(std::move(maps)),
          slots_(maps_),
          events_(std::move(events)) {}

    void start();

    [[nodiscard]] UsageSource source() const override { return UsageSource::Bpf; }
    [[nodiscard]] std::optional<Origin> origin() const override {
        return Origin{maps_->settings().epoch, maps_->settings().start_ns};
    }
    std::optional<KeptUsage> take_over(const std::function<OwnerId()>& next_id) override;
    [[nodiscard]] Status add(OwnerId id, const Process& process, std::string_view label) override;
    std::optional<OwnerUsage> end(OwnerId id, uint64_t now_ns) override;
    void forget(OwnerId id) override;
    void weigh(const Weighing& weighing) override;
    [[nodiscard]] Result<UsageReading> read() override;

private:
    void charge_running();
    void refresh_cpus();
    void set_sibling(uint32_t cpu);
    [[nodiscard]] Weighing kept_weighing() const;
    void insert_cgroup(uint32_t slot, const Process& process);
    void follow_one_cgroup();
    [[nodiscard]] OwnerUsage read_slot(uint32_t slot) const;
    [[nodiscard]] OwnerUsage usage_of(Owner& owner);
    [[nodiscard]] std::vector<uint64_t> read_gaps();
    void add_sums(UsageReading& reading);
    void mend_events();
    void take_from_rest(std::vector<Usage>& rest, const UsageReading& reading);

    const CpuTopology& topology_;
    BpfOptions options_;
    std::shared_ptr<UsageMaps> maps_;
    OwnerSlots slots_;
    std::optional<CycleEvents> events_;
    std::vector<uint32_t> counted_cpus_;
    std::vector<std::optional<uint32_t>> package_of_cpu_;  ///< of each possible CPU
    bool has_siblings_ = false;                            ///< or had, since counting began
    Weighing weighing_ = default_weighing;
    std::vector<uint64_t> gaps_;  ///< by CPU, at the last pass
    uint64_t mend_again_ns_ = 0;
    uint64_t follow_again_ns_ = 0;
    OwnerId followed_ = 0;
    bool told_cgroup_ = false;
    std::map<OwnerId, Owner> owners_;
    uint64_t failed_inserts_ = 0;
    std::vector<uint64_t> removed_fallback_ns_;  ///< of owners counted from /proc that are gone, by package
    std::vector<uint64_t> rest_ns_;              ///< never decreases
};

void BpfUsageCounter::start() {
    if (events_ && maps_->taken_over()) {
        std::vector<uint32_t> counted;
        for (uint32_t cpu : topology_.online_cpus())
            if (cpu < maps_->cpu_count() && maps_->cpu(cpu).has_counter != 0) counted.push_back(cpu);
        events_->assume(counted);
    }
    for (uint32_t cpu = 0; cpu < maps_->cpu_count(); cpu++)
        has_siblings_ = has_siblings_ || load_once(maps_->cpu(cpu).shared) != 0;
    // What counted on while no daemon was there goes on weighing as it did, until the engine says otherwise.
    if (maps_->taken_over())
        weighing_ = kept_weighing();
    else
        weigh(weighing_);
    refresh_cpus();
    charge_running();  // from here on every CPU counts
    gaps_ = read_gaps();
}

/// Charges the running slice of each online CPU: a vCPU that spins alone may not switch for seconds.
void BpfUsageCounter::charge_running() {
    for (uint32_t cpu : topology_.online_cpus()) maps_->charge_running(cpu);
}

/// Opens cycle events on CPUs that came online, drops those of CPUs that left.
void BpfUsageCounter::refresh_cpus() {
    if (counted_cpus_ == topology_.online_cpus()) return;
    if (events_) events_->cover(topology_.online_cpus(), maps_->cycle_events());
    counted_cpus_ = topology_.online_cpus();
    package_of_cpu_.assign(maps_->cpu_count(), std::nullopt);
    for (uint32_t cpu = 0; cpu < maps_->cpu_count(); cpu++) {
        package_of_cpu_[cpu] = topology_.package_of_cpu(cpu);
        maps_->cpu(cpu).sibling_plus_1 = 0;
    }
    charge_running();  // whether each is busy
    for (uint32_t cpu : counted_cpus_) set_sibling(cpu);
}

/// From here on: what the sibling did before is nothing to this CPU.
void BpfUsageCounter::set_sibling(uint32_t cpu) {
    std::optional<uint32_t> sibling = topology_.sibling_of(cpu);
    if (!sibling || cpu >= maps_->cpu_count() || *sibling >= maps_->cpu_count()) return;
    has_siblings_ = true;
    uint64_t busy = load_once(maps_->cpu(*sibling).busy);
    uint64_t busy_ns = ((busy >> 1) + ((busy & 1) != 0 ? monotonic_ns() : 0)) & CPU_USAGE_BUSY_MASK;
    maps_->cpu(cpu).sibling_busy_ns = busy_ns;
    store_last(maps_->cpu(cpu).sibling_plus_1, *sibling + 1);
}

/// Whether it was measured is only what it looks like.
Weighing BpfUsageCounter::kept_weighing() const {
    auto permille = [](uint32_t q20) {
        return static_cast<uint32_t>((uint64_t{q20} * 1000 + CPU_USAGE_Q20 - 1) / CPU_USAGE_Q20);
    };
    const cpu_usage_settings& set = maps_->settings();
    Weighing kept{permille(set.shared_q20), permille(set.cycle_q20), permille(set.square_q20), false};
    kept.measured = !(kept == default_weighing);
    return kept;
}

void BpfUsageCounter::weigh(const Weighing& weighing) {
    auto q20 = [](uint32_t permille) {
        return static_cast<uint32_t>(uint64_t{permille} * CPU_USAGE_Q20 / 1000);
    };
    weighing_ = weighing;
    maps_->settings().shared_q20 = q20(weighing.shared_permille);
    maps_->settings().cycle_q20 = q20(weighing.cycle_permille);
    maps_->settings().square_q20 = q20(weighing.square_permille);
}

/// Slices without cycles, by CPU.
std::vector<uint64_t> BpfUsageCounter::read_gaps() {
    std::vector<uint64_t> gaps(maps_->cpu_count());
    for (uint32_t cpu = 0; cpu < gaps.size(); cpu++) gaps[cpu] = load_once(maps_->cpu(cpu).gaps);
    return gaps;
}

/// An event that its CPU lost, by going offline for a moment say, never counts
/// again: where slices had no cycles, another one is opened.
void BpfUsageCounter::mend_events() {
    std::vector<uint64_t> gaps = read_gaps();
    uint64_t now_ns = boottime_ns();
    if (gaps != gaps_ && now_ns >= mend_again_ns_) {
        for (uint32_t cpu = 0; cpu < gaps.size(); cpu++)
            if (gaps[cpu] != gaps_[cpu]) events_->drop(cpu, maps_->cycle_events());
        events_->cover(topology_.online_cpus(), maps_->cycle_events());
        charge_running();  // the new events' first values; what came before them is a gap
        mend_again_ns_ = now_ns + mend_period_ns;
        gaps = read_gaps();
    }
    gaps_ = std::move(gaps);
}

std::optional<KeptUsage> BpfUsageCounter::take_over(const std::function<OwnerId()>& next_id) {
    if (!maps_->taken_over()) return std::nullopt;
    KeptUsage taken;
    for (OwnedSlot& owned : slots_.recover()) {
        Owner owner;
        owner.slot = owned.slot;
        owner.process = owned.process;
        owner.ended = owned.ended_ns.has_value();
        OwnerId id = next_id();
        taken.owners.push_back(
            {id, std::move(owned.label), owned.process, owned.ended_ns, read_slot(owned.slot)});
        owners_.emplace(id, std::move(owner));
    }
    taken.forgotten = read_slot(CPU_USAGE_SLOT_FORGOTTEN).packages;
    return taken;
}

/// Helper processes and, on older kernels, vhost threads are only in the domain's cgroup.
void BpfUsageCounter::insert_cgroup(uint32_t slot, const Process& process) {
    Result<DomainCgroup> cgroup = find_domain_cgroup(options_.root, process.pid);
    std::string problem;
    cpu_usage_settings& set = maps_->settings();
    if (!cgroup)
        problem = cgroup.error().message;
    else if (set.cgroup_level != 0 && set.cgroup_level != static_cast<uint32_t>(cgroup->level))
        problem =
            fmt::format("its cgroup is at depth {}, those of others at {}", cgroup->level, set.cgroup_level);
    uint64_t id = problem.empty() ? cgroup->id : 0;
    if (id == maps_->domain(slot).cgroup_id) return;
    if (!slots_.set_cgroup(slot, id)) problem = "the map of cgroups is full";
    if (problem.empty()) {
        store_last(set.cgroup_level, static_cast<uint32_t>(cgroup->level));
    } else if (!std::exchange(told_cgroup_, true)) {
        options_.warn(
            fmt::format("process {}: {}; helper processes of such domains are counted as the host's",
                        process.pid, problem));
    }
}

/// A domain may be moved to another cgroup. One is looked at in each second, since it takes some files.
void BpfUsageCounter::follow_one_cgroup() {
    constexpr uint64_t period_ns = 1'000'000'000;
    uint64_t now_ns = boottime_ns();
    if (now_ns < follow_again_ns_ || owners_.empty()) return;
    follow_again_ns_ = now_ns + period_ns;
    auto next = owners_.upper_bound(followed_);
    if (next == owners_.end()) next = owners_.begin();
    followed_ = next->first;
    const Owner& owner = next->second;
    if (!owner.slot || owner.ended) return;
    Result<Process> found = find_process(options_.root, owner.process.pid);
    if (found && *found == owner.process) insert_cgroup(*owner.slot, owner.process);
}

Status BpfUsageCounter::add(OwnerId id, const Process& process, std::string_view label) {
    Result<Process> found = find_process(options_.root, process.pid);
    if (!found) return found.error();
    if (!(*found == process))
        return Error{ErrorKind::Gone, 0, fmt::format("process {} has ended", process.pid)};
    Owner owner;
    owner.process = process;
    charge_running();  // what it used before belongs to the rest of the host
    if (Result<uint32_t> slot = slots_.take(process, label)) {
        owner.slot = *slot;
        insert_cgroup(*slot, process);
    } else {
        failed_inserts_++;
        options_.warn(fmt::format("process {} is counted from /proc: {} ({} so far)", process.pid,
                                  slot.error().message, failed_inserts_));
        Result<ProcOwner> started = ProcOwner::start(options_.root, read_process_clock, process, topology_);
        if (!started) return started.error();
        owner.fallback = std::move(*started);
    }
    owners_.emplace(id, std::move(owner));
    return ok();
}

std::optional<OwnerUsage> BpfUsageCounter::end(OwnerId id, uint64_t now_ns) {
    auto found = owners_.find(id);
    if (found == owners_.end() || found->second.ended) return std::nullopt;
    Owner& owner = found->second;
    charge_running();
    if (owner.slot) {
        slots_.end(*owner.slot, now_ns);
        charge_running();  // nobody writes there any more
        owner.ended = true;
        return read_slot(*owner.slot);
    }
    OwnerUsage usage = usage_of(owner);
    removed_fallback_ns_.resize(std::max(removed_fallback_ns_.size(), usage.packages.size()));
    for (size_t n = 0; n < usage.packages.size(); n++) removed_fallback_ns_[n] += usage.packages[n].time_ns;
    owners_.erase(found);
    return usage;
}

void BpfUsageCounter::forget(OwnerId id) {
    auto found = owners_.find(id);
    if (found == owners_.end() || !found->second.ended) return;
    slots_.forget(*found->second.slot);
    owners_.erase(found);
}

OwnerUsage BpfUsageCounter::read_slot(uint32_t slot) const {
    OwnerUsage usage;
    usage.source = UsageSource::Bpf;
    size_t packages = topology_.package_ids().size();
    bool weighs = events_ || has_siblings_;
    Usage zero{0, events_ ? std::optional<uint64_t>(0) : std::nullopt,
               weighs ? std::optional<uint64_t>(0) : std::nullopt};
    usage.packages.assign(packages, zero);
    zero.cycles.reset();
    usage.helpers.assign(packages, zero);
    for (uint32_t cpu = 0; cpu < maps_->cpu_count(); cpu++) {
        if (!package_of_cpu_[cpu]) continue;
        Usage& all = usage.packages[*package_of_cpu_[cpu]];
        Usage& helper = usage.helpers[*package_of_cpu_[cpu]];
        for (int n = 0; n < CPU_USAGE_PARTS; n++) {
            const cpu_usage_part& part = maps_->value(cpu, slot).parts[n];
            uint64_t time_ns = load_once(part.time_ns), weight = load_once(part.weight);
            all.time_ns += time_ns;
            if (events_) *all.cycles += load_once(part.cycles);
            if (weighs) *all.weight += weight;
            if (n != CPU_USAGE_HELPERS) continue;
            helper.time_ns += time_ns;
            if (weighs) *helper.weight += weight;
        }
    }
    return usage;
}

OwnerUsage BpfUsageCounter::usage_of(Owner& owner) {
    if (owner.slot) return read_slot(*owner.slot);
    owner.fallback->read(topology_);
    OwnerUsage usage;
    usage.source = UsageSource::Proc;
    for (uint64_t ns : owner.fallback->packages_ns()) usage.packages.push_back({ns, std::nullopt});
    usage.packages.resize(topology_.package_ids().size());
    return usage;
}

Result<UsageReading> BpfUsageCounter::read() {
    refresh_cpus();
    charge_running();
    if (events_) mend_events();
    follow_one_cgroup();
    UsageReading reading;
    reading.rest = read_slot(CPU_USAGE_SLOT_REST).packages;
    if (events_) {
        std::vector<Usage> idle = read_slot(CPU_USAGE_SLOT_IDLE).packages;
        for (size_t n = 0; n < reading.rest.size(); n++) {
            *reading.rest[n].cycles += *idle[n].cycles;
            *reading.rest[n].weight += *idle[n].weight;
        }
        reading.cycles_gaps = std::accumulate(gaps_.begin(), gaps_.end(), uint64_t{0});
    }
    reading.owners.reserve(owners_.size());
    for (auto& [id, owner] : owners_)
        if (!owner.ended) reading.owners.emplace(id, usage_of(owner));
    add_sums(reading);
    take_from_rest(reading.rest, reading);
    return reading;
}

/// What weights are made from.
void BpfUsageCounter::add_sums(UsageReading& reading) {
    if (events_ || has_siblings_) reading.weighing = weighing_;
    size_t packages = topology_.package_ids().size();
    if (has_siblings_) reading.shared.resize(packages);
    if (events_) reading.squared.resize(packages);
    for (uint32_t cpu = 0; cpu < maps_->cpu_count(); cpu++) {
        if (!package_of_cpu_[cpu]) continue;
        if (has_siblings_) reading.shared[*package_of_cpu_[cpu]] += load_once(maps_->cpu(cpu).shared);
        if (events_) reading.squared[*package_of_cpu_[cpu]] += load_once(maps_->cpu(cpu).squared);
    }
}

/// The program does not know the domains that are counted from /proc: it counted them as the rest.
void BpfUsageCounter::take_from_rest(std::vector<Usage>& rest, const UsageReading& reading) {
    std::vector<uint64_t> known_ns = removed_fallback_ns_;
    known_ns.resize(rest.size());
    rest_ns_.resize(rest.size());
    for (const auto& [id, usage] : reading.owners)
        if (usage.source == UsageSource::Proc)
            for (size_t n = 0; n < usage.packages.size(); n++) known_ns[n] += usage.packages[n].time_ns;
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

Result<BpfCounting> make_bpf_usage_counter(const CpuTopology& topology, BpfOptions options) {
    if (Status initial = check_pid_namespace(options.root); !initial) return initial.error();
    if (Status btf = check_btf(options.root); !btf) return btf.error();
    std::optional<CycleEvents> events;
    if (options.cycles && !kvm_mediates_pmu(options.root))
        events = CycleEvents::probe(PerfSystem::kernel(), *options.cycles, topology.online_cpus());
    UsageMapsOptions with;
    with.root = options.root;
    if (options.pin)
        with.bpf_fs = options.bpf_fs;
    else
        PinDirectory::remove(options.bpf_fs, PinDirectory::name_of(options.state_dir));
    with.state_dir = options.state_dir;
    with.count_cycles = events.has_value();
    with.warn = options.warn;
    with.inform = options.inform;
    Result<std::shared_ptr<UsageMaps>> maps = UsageMaps::open(with);
    if (!maps) return maps.error();
    auto counter = std::make_unique<BpfUsageCounter>(topology, std::move(options), *maps, std::move(events));
    counter->start();
    return BpfCounting{std::move(counter), std::move(*maps)};
}

}  // namespace virt_power
