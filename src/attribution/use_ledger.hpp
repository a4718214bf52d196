// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// What each domain used between two readings of one epoch.
#ifndef VIRT_POWER_ATTRIBUTION_USE_LEDGER_HPP
#define VIRT_POWER_ATTRIBUTION_USE_LEDGER_HPP

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "virt-power/interval.hpp"
#include "virt-power/reading.hpp"
#include "virt-power/sample.hpp"

namespace virt_power {

/// What a domain was given; what is not known is absent.
struct Allocation {
    std::optional<uint64_t> vcpus, memory_kib;
};

struct DomainUse {
    const DomainUsage* domain = nullptr;  ///< in the sample
    RowKind kind = RowKind::Domain;
    bool known = false;                 ///< else its cells are 0
    bool helpers_known = false;         ///< its helper_ns
    bool helper_weights_known = false;  ///< its helper_weights
    Allocation given;                   ///< a departed domain's as it was last known
};

/// Uses of one interval. The cell of domain i and package p is i * packages + p.
struct DomainUses {
    size_t packages = 0;
    std::vector<DomainUse> domains;
    std::vector<uint64_t> time_ns;
    std::vector<uint64_t> cycles;
    std::vector<uint64_t> weights;
    std::vector<uint64_t> helper_ns;       ///< never more than time_ns
    std::vector<uint64_t> helper_weights;  ///< never more than weights
    bool cycles_known = true;              ///< for every domain whose use is known
    bool weights_known = true;             ///< likewise
    bool counts_cycles = false;            ///< some domain has them
    bool fallback = false;                 ///< some domain was counted by /proc
    std::vector<std::string> notices;

    void reserve(size_t cells);
    /// New cells are 0.
    void resize(size_t cells);

private:
    std::array<std::vector<uint64_t>*, 5> columns() {
        return {&time_ns, &cycles, &weights, &helper_ns, &helper_weights};
    }
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
        std::vector<Usage> packages, helpers;
        std::optional<Weighing> weighing;
        Allocation given;
        UsageSource source = UsageSource::Proc;
        uint64_t time_ns = 0;  ///< host time when it was last seen
        bool departed = false;
    };

    /// Of one domain, what is subtracted from what, and into which cells.
    struct Pair {
        const DomainUsage& now;
        const Seen* before;  ///< none: from zero
        bool one_weighing;   ///< weights may be compared
        size_t cell;
    };

    void add(DomainUses& uses, const DomainUsage& domain, const Allocation* given, const HostReading& reading,
             uint64_t vms_time_ns);
    static bool subtract(DomainUses& uses, const Pair& pair, uint64_t vms_time_ns);
    static void subtract_helpers(DomainUses& uses, DomainUse& use, const Pair& pair);
    void remember(const DomainUsage& domain, const Allocation* given, const HostReading& reading);
    void forget_old(uint64_t now_ns);

    std::unordered_map<Key, Seen, Hash, Equal> seen_;
    uint64_t swept_ns_ = 0;
};

}  // namespace virt_power

#endif
