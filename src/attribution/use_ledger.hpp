// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// What each domain used between two readings of one epoch.
#ifndef VIRT_POWER_ATTRIBUTION_USE_LEDGER_HPP
#define VIRT_POWER_ATTRIBUTION_USE_LEDGER_HPP

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "virt-power/interval.hpp"
#include "virt-power/reading.hpp"
#include "virt-power/sample.hpp"

namespace virt_power {

struct DomainUse {
    const DomainUsage* domain = nullptr;  ///< in the sample
    RowKind kind = RowKind::Domain;
    bool known = false;  ///< else its cells are 0
};

/// Uses of one interval. The cell of domain i and package p is i * packages + p.
struct DomainUses {
    size_t packages = 0;
    std::vector<DomainUse> domains;
    std::vector<uint64_t> time_ns;
    std::vector<uint64_t> cycles;
    bool cycles_known = true;  ///< for every domain whose use is known
    bool fallback = false;     ///< some domain was counted by /proc
    std::vector<std::string> notices;
};

/// The last seen counters of every instance, running and departed. A departed
/// domain is thus the same as it was while it ran.
class UseLedger {
public:
    /// Forgets all: the counters restarted.
    void clear() { seen_.clear(); }

    /// Takes counters without comparing: the first reading of an epoch.
    void rebase(const HostReading& reading, const std::vector<DomainSample>& running);

    /// Use since the instances were last seen; from zero for new ones.
    /// `vms_time_ns` is what all domains used together, for plausibility.
    DomainUses advance(const HostReading& reading, const std::vector<DomainSample>& running,
                       uint64_t vms_time_ns);

private:
    struct KeyView {
        std::string_view uuid;
        uint64_t instance = 0;
    };
    struct Key {
        std::string uuid;
        uint64_t instance = 0;
        operator KeyView() const { return {uuid, instance}; }  // NOLINT: what makes lookup transparent
    };
    struct Hash {
        using is_transparent = void;
        size_t operator()(const KeyView& key) const;
    };
    struct Equal {
        using is_transparent = void;
        bool operator()(const KeyView& a, const KeyView& b) const {
            return a.instance == b.instance && a.uuid == b.uuid;
        }
    };
    struct Seen {
        std::vector<Usage> packages;
        UsageSource source = UsageSource::Proc;
        uint64_t time_ns = 0;  ///< host time when it was last seen
        bool departed = false;
    };

    void add(DomainUses& uses, const DomainUsage& domain, RowKind kind, const HostReading& reading,
             uint64_t vms_time_ns);
    bool subtract(DomainUses& uses, const DomainUsage& domain, const Seen* before, UsageSource source,
                  size_t cell, uint64_t vms_time_ns);
    void remember(const DomainUsage& domain, const HostReading& reading, bool departed);
    void forget_old(uint64_t now_ns);

    std::unordered_map<Key, Seen, Hash, Equal> seen_;
    uint64_t swept_ns_ = 0;
};

}  // namespace virt_power

#endif
