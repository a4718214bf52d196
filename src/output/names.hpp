// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// The words that outputs use for enumerators, and how they show time.
#ifndef VIRT_POWER_OUTPUT_NAMES_HPP
#define VIRT_POWER_OUTPUT_NAMES_HPP

#include <cstdint>
#include <string>
#include <string_view>

#include "virt-power/interval.hpp"

namespace virt_power {

std::string_view name_of(Model model);
std::string_view name_of(StaticPolicy policy);
std::string_view name_of(Basis basis);
std::string_view name_of(RowKind kind);
std::string_view name_of(EnergyStatus status);

/// Is anything of it measured in joules?
bool has_energy(const Interval& interval);

/// RFC 3339 in UTC with milliseconds, rounded down.
std::string utc_time(int64_t wall_ns);

/// Start of the interval by the client's wall clock.
int64_t start_wall_ns(const Interval& interval);

/// Mean watts over the interval.
double power_w(uint64_t energy_uj, uint64_t duration_ns);

/// The distinct sources of the counted zones, joined by `+`; empty without any.
std::string sources_of(const Interval& interval);

}  // namespace virt_power

#endif
