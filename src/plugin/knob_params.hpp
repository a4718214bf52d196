// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// The one place where the host's knobs meet the names of the typed parameters that
/// virNode{Get,Set}{Governor,Frequency,RaplLimit} take and give.
#ifndef VIRT_POWER_PLUGIN_KNOB_PARAMS_HPP
#define VIRT_POWER_PLUGIN_KNOB_PARAMS_HPP

#include <string>
#include <vector>

#include "cpufreq.hpp"
#include "knob_change.hpp"
#include "rapl_limits.hpp"
#include "reading_codec.hpp"

namespace virt_power {

using Params = std::vector<Param>;

Params governor_params(const std::vector<CpuFrequency>& cpus);
/// \param denied the current frequencies are not for this client; they are left out
Params frequency_params(const std::vector<CpuFrequency>& cpus, const HostFrequency& host, bool denied);
Params rapl_params(const std::vector<RaplZone>& zones);
Params change_params(const std::vector<KnobChange>& changes);

/// What is asked for. All throw KnobError (InvalidArgument) for a parameter that is not
/// known, comes twice or has another type.
std::string governor_request(const Params& params);
FrequencyRequest frequency_request(const Params& params);
RaplRequest rapl_request(const Params& params);

/// "governor", "max", "power_limit": what a KnobChange is of.
std::string_view knob_name(const KnobChange& change);

}  // namespace virt_power

#endif
