// SPDX-License-Identifier: LGPL-2.1-or-later
#include "division.hpp"

#include "arithmetic.hpp"

namespace virt_power {
namespace {

/// Weights in a zone: those of its package, or the sums over all.
class Weights {
public:
    Weights(const Participants& who, std::optional<uint32_t> package) : who_(who), package_(package) {
        for (size_t row = 0; row < who.vm_rows(); ++row) vms_ = add_capped(vms_, vm(row));
    }

    [[nodiscard]] uint64_t vm(size_t row) const { return cell(who_.vm_use.data() + row * who_.packages); }
    [[nodiscard]] uint64_t vms() const { return vms_; }
    [[nodiscard]] uint64_t host_rest() const { return cell(who_.host_rest.data()); }

private:
    [[nodiscard]] uint64_t cell(const uint64_t* packages) const {
        if (package_) return packages[*package_];
        uint64_t sum = 0;
        for (size_t p = 0; p < who_.packages; ++p) sum = add_capped(sum, packages[p]);
        return sum;
    }

    const Participants& who_;
    std::optional<uint32_t> package_;
    uint64_t vms_ = 0;
};

void deal_by_use(ZoneParts& parts, uint64_t energy, uint64_t total, const Weights& weights) {
    Divider divider(energy, total);
    for (size_t row = 0; row < parts.vms.size(); ++row) parts.vms[row] += divider.next(weights.vm(row));
}

/// False if there is nobody to deal it to.
bool deal_by(ZoneParts& parts, uint64_t energy, const std::vector<uint64_t>& counts) {
    uint64_t total = 0;
    for (uint64_t count : counts) total = add_capped(total, count);
    if (total == 0) return false;
    Divider divider(energy, total);
    for (size_t row = 0; row < parts.vms.size(); ++row) parts.vms[row] += divider.next(counts[row]);
    return true;
}

void deal_static(ZoneParts& parts, uint64_t energy, const Participants& who, const Weights& weights,
                 StaticPolicy policy, bool is_memory) {
    bool dealt = false;
    switch (policy) {
        case StaticPolicy::Separate:
            break;
        case StaticPolicy::Even:
            dealt = deal_by(parts, energy, who.running);
            break;
        case StaticPolicy::Proportional:
            dealt = weights.vms() != 0;
            deal_by_use(parts, energy, weights.vms(), weights);
            break;
        case StaticPolicy::Allocation:
            dealt = deal_by(parts, energy, is_memory ? who.memory_kib : who.vcpus);
            break;
    }
    if (!dealt) parts.static_power = energy;
}

}  // namespace

ZoneParts divide_zone(const ZoneToDivide& zone, const Participants& who, Model model, StaticPolicy policy,
                      uint64_t duration_ns) {
    ZoneParts parts;
    parts.vms.resize(who.vm_rows(), 0);
    Weights weights(who, zone.package);
    uint64_t fixed = zone.static_uw ? std::min(energy_of(*zone.static_uw, duration_ns), zone.energy_uj) : 0;
    uint64_t moving = zone.energy_uj - fixed;
    uint64_t total = model == Model::VmShare ? weights.vms() : add_capped(weights.vms(), weights.host_rest());
    deal_by_use(parts, moving, total, weights);
    parts.by_use = parts.vms;
    parts.host = moving;
    for (uint64_t part : parts.vms) parts.host -= part;
    if (fixed != 0) deal_static(parts, fixed, who, weights, policy, zone.is_memory);
    return parts;
}

}  // namespace virt_power
