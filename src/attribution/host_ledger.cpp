// SPDX-License-Identifier: LGPL-2.1-or-later
#include "host_ledger.hpp"

#include "arithmetic.hpp"

namespace virt_power {
namespace {

std::optional<uint64_t> rise(const std::optional<uint64_t>& before, const std::optional<uint64_t>& now) {
    if (!now || !before || *now < *before) return std::nullopt;
    return *now - *before;
}

/// False if the time went back. Cycles and weights that did so are not known.
bool subtract_usage(const Usage& before, const Usage& now, Usage& use) {
    if (now.time_ns < before.time_ns) return false;
    use.time_ns = now.time_ns - before.time_ns;
    use.cycles = rise(before.cycles, now.cycles);
    use.weight = is_one_unit(before, now) ? rise(before.weight, now.weight) : std::nullopt;
    return true;
}

}  // namespace

bool HostLedger::subtract(const Base& before, const HostReading& now, HostUses& uses) {
    size_t packages = now.packages.size();
    uses.duration_ns = now.time_ns - before.time_ns;
    uses.host.resize(packages);
    uses.vms.resize(packages);
    uses.cycles_known = packages != 0 && before.cycles_gaps == now.cycles_gaps;
    uses.weights_known = uses.cycles_known && before.weighing == now.weighing;
    for (size_t p = 0; p < packages; ++p) {
        if (!subtract_usage(before.packages[p].host, now.packages[p].host, uses.host[p])) return false;
        if (!subtract_usage(before.packages[p].vms, now.packages[p].vms, uses.vms[p])) return false;
        uses.cycles_known = uses.cycles_known && uses.host[p].cycles && uses.vms[p].cycles;
        uses.weights_known = uses.weights_known && uses.host[p].weight && uses.vms[p].weight;
        uses.counts_cycles = uses.counts_cycles || now.packages[p].host.cycles || now.packages[p].vms.cycles;
    }
    return true;
}

Step HostLedger::advance(const HostReading& reading, HostUses& uses, std::string& notice) {
    std::string why;
    if (base_ && base_->epoch == reading.epoch && base_->time_ns == reading.time_ns) return Step::Same;
    if (base_) {
        if (base_->epoch != reading.epoch)
            why = "the host's counters restarted";
        else if (reading.time_ns < base_->time_ns)
            why = "the host's clock went back";
        else if (base_->packages.size() != reading.packages.size())
            why = "the number of packages changed";
        else if (base_->usage_source != reading.usage_source)
            why = "the host counts CPU use in another way";
        else if (!subtract(*base_, reading, uses))
            why = "the host's CPU counters went back";
    }
    bool first = !base_;
    base_ = Base{reading.epoch,       reading.time_ns,  reading.usage_source,
                 reading.cycles_gaps, reading.weighing, reading.packages};
    if (first) return Step::First;
    if (why.empty()) return Step::Forward;
    notice = why + ": no figures for this interval";
    return Step::Restart;
}

}  // namespace virt_power
