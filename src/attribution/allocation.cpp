// SPDX-License-Identifier: LGPL-2.1-or-later
#include "allocation.hpp"

namespace virt_power {
namespace {

using Figure = std::optional<uint64_t> Allocation::*;

/// One of each domain; none at all where it is not known of one that runs. One that ended counts
/// with what was last known of it.
std::vector<uint64_t> figures_of(const std::vector<DomainUse>& domains, Figure figure, std::string_view what,
                                 std::string& unknown) {
    std::vector<uint64_t> figures;
    figures.reserve(domains.size() + 1);
    for (const DomainUse& use : domains) {
        const std::optional<uint64_t>& given = use.given.*figure;
        if (!given && use.kind == RowKind::Domain) {
            if (unknown.empty())
                unknown =
                    "it is not known " + std::string(what) + " domain " + use.domain->name + " was given";
            return {};
        }
        figures.push_back(given.value_or(0));
    }
    figures.push_back(0);
    return figures;
}

}  // namespace

Allocations allocations_of(const std::vector<DomainUse>& domains, uint64_t unseen) {
    Allocations result;
    if (unseen != 0) {
        result.hidden = std::to_string(unseen) + " of the domains cannot be seen by this client";
        return result;
    }
    result.vcpus = figures_of(domains, &Allocation::vcpus, "how many vCPUs", result.unknown);
    result.memory_kib = figures_of(domains, &Allocation::memory_kib, "how much memory", result.unknown);
    return result;
}

}  // namespace virt_power
