// SPDX-License-Identifier: LGPL-2.1-or-later
#ifndef VIRT_POWER_TESTS_BPF_USED_BY_HPP
#define VIRT_POWER_TESTS_BPF_USED_BY_HPP

#include "usage_counter.hpp"

namespace virt_power {

/// Throws where the reading has nothing of that owner.
inline OwnerUsage used_by(const UsageReading& reading, OwnerId id) {
    size_t row = reading.owners.find(id).value();
    auto copy = [](std::span<const Usage> usages) { return std::vector(usages.begin(), usages.end()); };
    return {copy(reading.owners.packages_of(row)), reading.owners.source_of(row),
            copy(reading.owners.helpers_of(row))};
}

}  // namespace virt_power

#endif
