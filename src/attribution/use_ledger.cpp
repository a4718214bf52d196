// SPDX-License-Identifier: LGPL-2.1-or-later
#include "use_ledger.hpp"

#include <algorithm>

#include "arithmetic.hpp"

namespace virt_power {
namespace {

/// How long a domain is remembered after the host ceased to list it.
constexpr uint64_t memory_ns = 3600ULL * 1'000'000'000U;

/// A domain that was never seen cannot have used more than all domains did
/// together, but for the time between the readings of the two counters.
bool plausible_for_new(uint64_t time_ns, uint64_t vms_time_ns) {
    constexpr uint64_t slack_ns = 10'000'000;
    return time_ns <= add_capped(add_capped(vms_time_ns, vms_time_ns / 20), slack_ns);
}

/// What a new life of a domain is compared with.
Usage zero_of(const Usage& now) {
    Usage zero;
    if (now.cycles) zero.cycles = 0;
    if (now.weight) zero.weight = 0;
    return zero;
}

}  // namespace

size_t UseLedger::Hash::operator()(const KeyView& key) const {
    return std::hash<std::string_view>{}(key.uuid) ^
           (std::hash<uint64_t>{}(key.instance) * 0x9e3779b97f4a7c15U);
}

void DomainUses::reserve(size_t cells) {
    for (std::vector<uint64_t>* column : columns()) column->reserve(cells);
}

void DomainUses::resize(size_t cells) {
    for (std::vector<uint64_t>* column : columns()) column->resize(cells, 0);
}

void UseLedger::remember(const DomainUsage& domain, const Allocation* given, const HostReading& reading) {
    auto found = seen_.find(KeyView{domain.uuid, domain.instance});
    if (found == seen_.end()) found = seen_.emplace(Key{domain.uuid, domain.instance}, Seen{}).first;
    Seen& seen = found->second;
    seen.packages = domain.packages;
    seen.helpers = domain.helpers;
    seen.weighing = reading.weighing;
    if (given && given->vcpus) seen.given.vcpus = given->vcpus;
    if (given && given->memory_kib) seen.given.memory_kib = given->memory_kib;
    seen.source = domain.usage_source.value_or(reading.usage_source);
    seen.time_ns = reading.time_ns;
    seen.departed = given == nullptr;
}

void UseLedger::rebase(const HostReading& reading, const std::vector<DomainSample>& running) {
    size_t packages = reading.packages.size();
    seen_.reserve(running.size() + reading.departed.size());
    for (const DomainUsage& domain : reading.departed)
        if (domain.packages.size() == packages) remember(domain, nullptr, reading);
    for (const DomainSample& sample : running) {
        Allocation given{sample.vcpus, sample.memory_kib};
        if (sample.usage.packages.size() == packages) remember(sample.usage, &given, reading);
    }
}

/// Fills the cells; false where the use cannot be known.
bool UseLedger::subtract(DomainUses& uses, const Pair& pair, uint64_t vms_time_ns) {
    bool cycles_known = true, weights_known = true, counts_cycles = false;
    uint64_t total_ns = 0;
    for (size_t p = 0; p < pair.now.packages.size(); ++p) {
        const Usage& now = pair.now.packages[p];
        Usage then = pair.before ? pair.before->packages[p] : zero_of(now);
        bool has_cycles = now.cycles && then.cycles;
        bool has_weight = pair.one_weighing && is_one_unit(then, now) && now.weight && then.weight;
        if (now.time_ns < then.time_ns || (has_cycles && *now.cycles < *then.cycles) ||
            (has_weight && *now.weight < *then.weight)) {
            uses.notices.push_back("domain " + pair.now.name +
                                   ": its counters went back; left out of this interval");
            return false;
        }
        size_t cell = pair.cell + p;
        uses.time_ns[cell] = now.time_ns - then.time_ns;
        uses.cycles[cell] = has_cycles ? *now.cycles - *then.cycles : 0;
        uses.weights[cell] = has_weight ? *now.weight - *then.weight : 0;
        cycles_known = cycles_known && has_cycles;
        weights_known = weights_known && has_weight;
        counts_cycles = counts_cycles || now.cycles;
        total_ns = add_capped(total_ns, uses.time_ns[cell]);
    }
    if (!pair.before && !plausible_for_new(total_ns, vms_time_ns)) {
        uses.notices.push_back("domain " + pair.now.name + ": was not visible before; counted from now on");
        return false;
    }
    uses.cycles_known = uses.cycles_known && cycles_known;
    uses.weights_known = uses.weights_known && weights_known;
    uses.counts_cycles = uses.counts_cycles || counts_cycles;
    return true;
}

/// A part that went back, or that is absent on one side, is not known; the domain's use is.
void UseLedger::subtract_helpers(DomainUses& uses, DomainUse& use, const Pair& pair) {
    if (pair.now.helpers.size() != uses.packages) return;
    if (pair.before && pair.before->helpers.size() != uses.packages) return;
    bool weights_known = pair.one_weighing;
    for (size_t p = 0; p < uses.packages; ++p) {
        const Usage& now = pair.now.helpers[p];
        Usage then = pair.before ? pair.before->helpers[p] : zero_of(now);
        if (now.time_ns < then.time_ns) return;
        size_t cell = pair.cell + p;
        uses.helper_ns[cell] = std::min(now.time_ns - then.time_ns, uses.time_ns[cell]);
        weights_known = weights_known && now.weight && then.weight && *now.weight >= *then.weight;
        if (weights_known)
            uses.helper_weights[cell] = std::min(*now.weight - *then.weight, uses.weights[cell]);
    }
    use.helpers_known = true;
    use.helper_weights_known = weights_known;
}

/// `given` is absent for a departed domain.
void UseLedger::add(DomainUses& uses, const DomainUsage& domain, const Allocation* given,
                    const HostReading& reading, uint64_t vms_time_ns) {
    size_t cell = uses.time_ns.size();
    uses.resize(cell + uses.packages);
    DomainUse use;
    use.domain = &domain;
    use.kind = given ? RowKind::Domain : RowKind::Departed;
    if (given) use.given = *given;
    if (uses.packages != 0 && domain.packages.size() == uses.packages) {
        auto found = seen_.find(KeyView{domain.uuid, domain.instance});
        const Seen* before = found == seen_.end() ? nullptr : &found->second;
        UsageSource source = domain.usage_source.value_or(reading.usage_source);
        Pair pair{domain, before, !before || before->weighing == reading.weighing, cell};
        // Another way of counting has another zero.
        use.known = (!before || before->source == source) && subtract(uses, pair, vms_time_ns);
        uses.fallback = uses.fallback || (use.known && source == UsageSource::Proc);
        if (use.known) {
            subtract_helpers(uses, use, pair);
        } else {
            uses.resize(cell);  // what was filled
            uses.resize(cell + uses.packages);
        }
        if (!given && before) use.given = before->given;
        remember(domain, given, reading);
    }
    uses.domains.push_back(use);
}

DomainUses UseLedger::advance(const HostReading& reading, const std::vector<DomainSample>& running,
                              uint64_t vms_time_ns) {
    DomainUses uses;
    uses.packages = reading.packages.size();
    uses.domains.reserve(running.size() + 4);
    uses.reserve((running.size() + 4) * uses.packages);
    for (const DomainSample& sample : running) {
        Allocation given{sample.vcpus, sample.memory_kib};
        add(uses, sample.usage, &given, reading, vms_time_ns);
    }
    for (const DomainUsage& domain : reading.departed) {
        auto found = seen_.find(KeyView{domain.uuid, domain.instance});
        // Listed both as running and as departed: the former was taken above.
        if (found != seen_.end() && !found->second.departed && found->second.time_ns == reading.time_ns)
            continue;
        add(uses, domain, nullptr, reading, vms_time_ns);
        size_t cell = uses.time_ns.size() - uses.packages;
        bool used = false;
        for (size_t i = cell; i < uses.time_ns.size(); ++i) used = used || uses.time_ns[i] || uses.cycles[i];
        if (used) continue;
        uses.domains.pop_back();  // it ended earlier, or used nothing: no row
        uses.resize(cell);
    }
    forget_old(reading.time_ns);
    return uses;
}

void UseLedger::forget_old(uint64_t now_ns) {
    if (now_ns - swept_ns_ < memory_ns) return;
    swept_ns_ = now_ns;
    std::erase_if(seen_, [&](const auto& entry) { return now_ns - entry.second.time_ns >= memory_ns; });
}

}  // namespace virt_power
