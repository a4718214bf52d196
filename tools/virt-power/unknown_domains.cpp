// SPDX-License-Identifier: LGPL-2.1-or-later
#include "unknown_domains.hpp"

#include <utility>

#include "virt-power/sinks.hpp"

namespace virt_power {

UnknownDomains::UnknownDomains(std::vector<std::string> wanted) : wanted_(std::move(wanted)) {}

std::vector<std::string> UnknownDomains::check(const std::vector<Interval>& intervals, size_t hosts) {
    if (told_ || wanted_.empty()) return {};
    for (const Interval& interval : intervals) {
        seen_hosts_.insert(interval.uri);
        for (const Row& row : interval.rows)
            std::erase_if(wanted_, [&row](const std::string& wanted) { return means_domain(wanted, row); });
    }
    if (seen_hosts_.size() < hosts) return {};
    told_ = true;
    return std::exchange(wanted_, {});
}

}  // namespace virt_power
