// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// What the domains of an interval were given, for static power that goes by it.
#ifndef VIRT_POWER_ATTRIBUTION_ALLOCATION_HPP
#define VIRT_POWER_ATTRIBUTION_ALLOCATION_HPP

#include <cstdint>
#include <string>
#include <vector>

#include "use_ledger.hpp"

namespace virt_power {

/// By row, the last is `other`, which gets nothing.
struct Allocations {
    std::vector<uint64_t> vcpus;       ///< empty: static power of packages cannot go by them
    std::vector<uint64_t> memory_kib;  ///< empty: that of memory cannot go by it
    std::string hidden;                ///< why one is empty: domains that may not be seen; for people
    std::string unknown;               ///< likewise: a domain that runs, and what it was given is not known
};

/// \param unseen how many domains run that this client may not see
Allocations allocations_of(const std::vector<DomainUse>& domains, uint64_t unseen);

}  // namespace virt_power

#endif
