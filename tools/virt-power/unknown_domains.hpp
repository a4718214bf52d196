// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// Which of the domains that were asked for does not run anywhere.
#ifndef VIRT_POWER_TOOL_UNKNOWN_DOMAINS_HPP
#define VIRT_POWER_TOOL_UNKNOWN_DOMAINS_HPP

#include <set>
#include <string>
#include <vector>

#include "virt-power/interval.hpp"

namespace virt_power {

class UnknownDomains {
public:
    explicit UnknownDomains(std::vector<std::string> wanted);

    /// Once every host has given an interval: those that none has. Later: nothing.
    std::vector<std::string> check(const std::vector<Interval>& intervals, size_t hosts);

private:
    std::vector<std::string> wanted_;
    std::set<std::string> seen_hosts_;
    bool told_ = false;
};

}  // namespace virt_power

#endif
