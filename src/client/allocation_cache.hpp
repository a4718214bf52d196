// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// What the domains of one host were given. It seldom changes, so it is seldom asked for.
#ifndef VIRT_POWER_CLIENT_ALLOCATION_CACHE_HPP
#define VIRT_POWER_CLIENT_ALLOCATION_CACHE_HPP

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "connection.hpp"
#include "virt-power/sample.hpp"

namespace virt_power {

class AllocationCache {
public:
    /// Nothing was asked yet, some domain is new, or a minute is over.
    [[nodiscard]] bool are_due(const Sample& sample, int64_t now_ns) const;

    /// The answer of Groups::Allocation that came with this sample; none where it failed. What it does not
    /// tell stays as it was for the same life of a domain, and is not asked for again before it is due.
    void take(const Sample& sample, const std::vector<DomainRecord>& records, int64_t now_ns);

    void fill(Sample& sample) const;

private:
    struct Given {
        uint64_t instance = 0;
        std::optional<uint32_t> vcpus;
        std::optional<uint64_t> memory_kib;
    };

    [[nodiscard]] const Given* find(const DomainUsage& domain) const;

    std::unordered_map<std::string, Given> given_;  ///< by uuid, of each domain that was asked for
    std::optional<int64_t> asked_ns_;
};

}  // namespace virt_power

#endif
