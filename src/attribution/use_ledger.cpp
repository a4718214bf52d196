// SPDX-License-Identifier: LGPL-2.1-or-later
#include "use_ledger.hpp"

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

}  // namespace

size_t UseLedger::Hash::operator()(const KeyView& key) const {
    return std::hash<std::string_view>{}(key.uuid) ^
           (std::hash<uint64_t>{}(key.instance) * 0x9e3779b97f4a7c15U);
}

void UseLedger::remember(const DomainUsage& domain, const HostReading& reading, bool departed) {
    auto found = seen_.find(KeyView{domain.uuid, domain.instance});
    if (found == seen_.end()) found = seen_.emplace(Key{domain.uuid, domain.instance}, Seen{}).first;
    Seen& seen = found->second;
    seen.packages = domain.packages;
    seen.source = domain.usage_source.value_or(reading.usage_source);
    seen.time_ns = reading.time_ns;
    seen.departed = departed;
}

void UseLedger::rebase(const HostReading& reading, const std::vector<DomainSample>& running) {
    size_t packages = reading.packages.size();
    seen_.reserve(running.size() + reading.departed.size());
    for (const DomainUsage& domain : reading.departed)
        if (domain.packages.size() == packages) remember(domain, reading, true);
    for (const DomainSample& sample : running)
        if (sample.usage.packages.size() == packages) remember(sample.usage, reading, false);
}

/// Fills the cells; false where the use cannot be known.
bool UseLedger::subtract(DomainUses& uses, const DomainUsage& domain, const Seen* before, UsageSource source,
                         size_t cell, uint64_t vms_time_ns) {
    if (before && before->source != source) return false;  // another way of counting, another zero
    bool cycles_known = true;
    uint64_t total_ns = 0;
    for (size_t p = 0; p < domain.packages.size(); ++p) {
        const Usage& now = domain.packages[p];
        Usage then = before ? before->packages[p] : Usage{0, 0};
        bool has_cycles = now.cycles && then.cycles;
        if (now.time_ns < then.time_ns || (has_cycles && *now.cycles < *then.cycles)) {
            uses.notices.push_back("domain " + domain.name +
                                   ": its counters went back; left out of this interval");
            return false;
        }
        uses.time_ns[cell + p] = now.time_ns - then.time_ns;
        uses.cycles[cell + p] = has_cycles ? *now.cycles - *then.cycles : 0;
        cycles_known = cycles_known && has_cycles;
        total_ns = add_capped(total_ns, uses.time_ns[cell + p]);
    }
    if (!before && !plausible_for_new(total_ns, vms_time_ns)) {
        uses.notices.push_back("domain " + domain.name + ": was not visible before; counted from now on");
        return false;
    }
    uses.cycles_known = uses.cycles_known && cycles_known;
    return true;
}

void UseLedger::add(DomainUses& uses, const DomainUsage& domain, RowKind kind, const HostReading& reading,
                    uint64_t vms_time_ns) {
    size_t cell = uses.time_ns.size();
    uses.time_ns.resize(cell + uses.packages, 0);
    uses.cycles.resize(cell + uses.packages, 0);
    DomainUse use{&domain, kind, false};
    if (uses.packages != 0 && domain.packages.size() == uses.packages) {
        auto found = seen_.find(KeyView{domain.uuid, domain.instance});
        const Seen* before = found == seen_.end() ? nullptr : &found->second;
        UsageSource source = domain.usage_source.value_or(reading.usage_source);
        use.known = subtract(uses, domain, before, source, cell, vms_time_ns);
        uses.fallback = uses.fallback || (use.known && source == UsageSource::Proc);
        if (!use.known) {
            std::fill(uses.time_ns.begin() + static_cast<ptrdiff_t>(cell), uses.time_ns.end(), 0);
            std::fill(uses.cycles.begin() + static_cast<ptrdiff_t>(cell), uses.cycles.end(), 0);
        }
        remember(domain, reading, kind == RowKind::Departed);
    }
    uses.domains.push_back(use);
}

DomainUses UseLedger::advance(const HostReading& reading, const std::vector<DomainSample>& running,
                              uint64_t vms_time_ns) {
    DomainUses uses;
    uses.packages = reading.packages.size();
    uses.domains.reserve(running.size() + 4);
    uses.time_ns.reserve((running.size() + 4) * uses.packages);
    uses.cycles.reserve((running.size() + 4) * uses.packages);
    for (const DomainSample& sample : running) add(uses, sample.usage, RowKind::Domain, reading, vms_time_ns);
    for (const DomainUsage& domain : reading.departed) {
        auto found = seen_.find(KeyView{domain.uuid, domain.instance});
        // Listed both as running and as departed: the former was taken above.
        if (found != seen_.end() && !found->second.departed && found->second.time_ns == reading.time_ns)
            continue;
        add(uses, domain, RowKind::Departed, reading, vms_time_ns);
        size_t cell = uses.time_ns.size() - uses.packages;
        bool used = false;
        for (size_t i = cell; i < uses.time_ns.size(); ++i) used = used || uses.time_ns[i] || uses.cycles[i];
        if (used) continue;
        uses.domains.pop_back();  // it ended earlier, or used nothing: no row
        uses.time_ns.resize(cell);
        uses.cycles.resize(cell);
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
