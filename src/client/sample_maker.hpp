// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// Records of a daemon to a Sample.
#ifndef VIRT_POWER_CLIENT_SAMPLE_MAKER_HPP
#define VIRT_POWER_CLIENT_SAMPLE_MAKER_HPP

#include <vector>

#include "connection.hpp"
#include "virt-power/sample.hpp"

namespace virt_power {

/// Fills status, reading, domains and notices. Without records the status is
/// left as it is.
void take_records(Sample& sample, const std::vector<DomainRecord>& records);

}  // namespace virt_power

#endif
