// SPDX-License-Identifier: LGPL-2.1-or-later
#include "counted_cpus.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

#include "clock.hpp"
#include "weighing.hpp"

namespace virt_power {
namespace {

/// Where events fail all the time, opening others is no use more often.
constexpr uint64_t mend_period_ns = 10'000'000'000;
/// But once: where counters are short, the event that was closed may hold one for a moment.
constexpr uint64_t mend_soon_ns = 1'000'000'000;

}  // namespace

CountedCpus::CountedCpus(const CpuTopology& topology, std::shared_ptr<UsageMaps> maps,
                         std::optional<CycleEvents> events)
    : topology_(topology), maps_(std::move(maps)), events_(std::move(events)) {
    if (events_ && maps_->taken_over()) {
        std::vector<uint32_t> counted;
        for (uint32_t cpu : topology_.online_cpus())
            if (cpu < maps_->cpu_count() && maps_->cpu(cpu).has_counter != 0) counted.push_back(cpu);
        events_->assume(counted);
    }
    for (uint32_t cpu = 0; cpu < maps_->cpu_count(); cpu++)
        has_siblings_ = has_siblings_ || load_once(maps_->cpu(cpu).shared) != 0;
    // What counted on while no daemon was there goes on weighing as it did, until another is told.
    if (maps_->taken_over())
        weighing_ = kept_weighing();
    else
        weigh(default_weighing);
    charge_running();  // from here on every CPU counts
    gaps_ = read_gaps();
}

void CountedCpus::charge_running() {
    follow_online();
    charge_all();
}

/// Charges the running slice of each online CPU: a vCPU that spins alone may not switch for seconds.
void CountedCpus::charge_all() {
    for (uint32_t cpu : topology_.online_cpus()) maps_->charge_running(cpu);
}

/// Leaves alone the CPUs that are idle, where that makes no difference: idle time is nobody's, idle cycles
/// are the rest's.
void CountedCpus::charge_busy() {
    for (uint32_t cpu : topology_.online_cpus()) {
        bool counts = cpu < maps_->cpu_count() && load_once(maps_->cpu(cpu).since_ns) != 0;
        if (!events_ && counts && (load_once(maps_->cpu(cpu).busy) & 1) == 0) continue;
        maps_->charge_running(cpu);
    }
}

void CountedCpus::refresh() {
    follow_online();
    charge_busy();
    if (events_) mend_events();
}

/// Opens cycle events on CPUs that came online, drops those of CPUs that left.
void CountedCpus::follow_online() {
    if (online_ == topology_.online_cpus()) return;
    if (events_) events_->cover(topology_.online_cpus(), maps_->cycle_events());
    online_ = topology_.online_cpus();
    package_of_cpu_.assign(maps_->cpu_count(), std::nullopt);
    for (uint32_t cpu = 0; cpu < maps_->cpu_count(); cpu++) {
        package_of_cpu_[cpu] = topology_.package_of_cpu(cpu);
        maps_->cpu(cpu).sibling_plus_1 = 0;
        if (!package_of_cpu_[cpu]) continue;
        // For a daemon that comes after this one, while that CPU may be offline.
        maps_->cpu(cpu).package_id = topology_.package_ids()[*package_of_cpu_[cpu]];
        store_last(maps_->cpu(cpu).package_plus_1, *package_of_cpu_[cpu] + 1);
    }
    charge_all();  // whether each is busy
    for (uint32_t cpu : online_) set_sibling(cpu);
}

/// From here on: what the sibling did before is nothing to this CPU.
void CountedCpus::set_sibling(uint32_t cpu) {
    std::optional<uint32_t> sibling = topology_.sibling_of(cpu);
    if (!sibling || cpu >= maps_->cpu_count() || *sibling >= maps_->cpu_count()) return;
    has_siblings_ = true;
    uint64_t busy = load_once(maps_->cpu(*sibling).busy);
    uint64_t now_ns = monotonic_ns() - static_cast<uint64_t>(load_once(maps_->cpu(*sibling).apart_ns));
    uint64_t busy_ns = ((busy >> 1) + ((busy & 1) != 0 ? now_ns : 0)) & CPU_USAGE_BUSY_MASK;
    maps_->cpu(cpu).sibling_busy_ns = busy_ns;
    store_last(maps_->cpu(cpu).sibling_plus_1, *sibling + 1);
}

/// Whether it was measured is only what it looks like.
Weighing CountedCpus::kept_weighing() const {
    auto permille = [](uint32_t q20) {
        return static_cast<uint32_t>((uint64_t{q20} * 1000 + CPU_USAGE_Q20 - 1) / CPU_USAGE_Q20);
    };
    const cpu_usage_settings& set = maps_->settings();
    Weighing kept{permille(set.shared_q20), permille(set.cycle_q20), permille(set.square_q20), false};
    kept.measured = !(kept == default_weighing);
    return kept;
}

void CountedCpus::weigh(const Weighing& weighing) {
    auto q20 = [](uint32_t permille) {
        return static_cast<uint32_t>(uint64_t{permille} * CPU_USAGE_Q20 / 1000);
    };
    weighing_ = weighing;
    maps_->settings().shared_q20 = q20(weighing.shared_permille);
    maps_->settings().cycle_q20 = q20(weighing.cycle_permille);
    maps_->settings().square_q20 = q20(weighing.square_permille);
}

/// Slices without cycles, by CPU.
std::vector<uint64_t> CountedCpus::read_gaps() const {
    std::vector<uint64_t> gaps(maps_->cpu_count());
    for (uint32_t cpu = 0; cpu < gaps.size(); cpu++) gaps[cpu] = load_once(maps_->cpu(cpu).gaps);
    return gaps;
}

/// An event that its CPU lost, by going offline for a moment say, never counts
/// again: where slices had no cycles, another one is opened.
void CountedCpus::mend_events() {
    std::vector<uint64_t> gaps = read_gaps();
    uint64_t now_ns = boottime_ns();
    if (gaps != gaps_ && now_ns >= mend_again_ns_) {
        std::vector<uint32_t> mended;
        for (uint32_t cpu = 0; cpu < gaps.size(); cpu++)
            if (gaps[cpu] != gaps_[cpu]) mended.push_back(cpu);
        for (uint32_t cpu : mended) events_->drop(cpu, maps_->cycle_events());
        events_->cover(topology_.online_cpus(), maps_->cycle_events());
        charge_all();  // the new events' first values; what came before them is a gap
        bool all = std::all_of(mended.begin(), mended.end(),
                               [&](uint32_t cpu) { return load_once(maps_->cpu(cpu).has_counter) != 0; });
        mended_soon_ = !all && !mended_soon_;
        mend_again_ns_ = now_ns + (mended_soon_ ? mend_soon_ns : mend_period_ns);
        gaps = read_gaps();
    }
    gaps_ = std::move(gaps);
}

OwnerUsage CountedCpus::read_slot(uint32_t slot) const {
    OwnerUsage usage;
    usage.source = UsageSource::Bpf;
    usage.packages.resize(topology_.package_ids().size());
    usage.helpers.resize(topology_.package_ids().size());
    read_slot(slot, usage.packages, usage.helpers);
    return usage;
}

void CountedCpus::read_slot(uint32_t slot, std::span<Usage> packages, std::span<Usage> helpers) const {
    Usage zero{0, std::nullopt, 0};
    std::fill(helpers.begin(), helpers.end(), zero);
    if (events_) zero.cycles = 0;
    std::fill(packages.begin(), packages.end(), zero);
    for (uint32_t cpu = 0; cpu < maps_->cpu_count(); cpu++) {
        if (!package_of_cpu_[cpu]) continue;
        Usage& all = packages[*package_of_cpu_[cpu]];
        Usage& helper = helpers[*package_of_cpu_[cpu]];
        for (int n = 0; n < CPU_USAGE_PARTS; n++) {
            const cpu_usage_part& part = maps_->value(cpu, slot).parts[n];
            uint64_t time_ns = load_once(part.time_ns), weight = load_once(part.weight);
            all.time_ns += time_ns;
            if (events_) *all.cycles += load_once(part.cycles);
            *all.weight += weight;
            if (n != CPU_USAGE_HELPERS) continue;
            helper.time_ns += time_ns;
            *helper.weight += weight;
        }
    }
}

/// What weights are made from.
void CountedCpus::add_sums(UsageReading& reading) const {
    if (events_) reading.cycles_gaps = std::accumulate(gaps_.begin(), gaps_.end(), uint64_t{0});
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

}  // namespace virt_power
