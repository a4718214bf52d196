// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// Names of the files that Cpufreq sets, below /sys/devices/system/cpu. They stand in
/// the journal, too.
#ifndef VIRT_POWER_HOST_CPUFREQ_FILES_HPP
#define VIRT_POWER_HOST_CPUFREQ_FILES_HPP

#include <string>
#include <string_view>
#include <vector>

namespace virt_power {

// cpuN/cpufreq
inline constexpr const char* governor_file = "scaling_governor";
inline constexpr const char* governors_file = "scaling_available_governors";
inline constexpr const char* current_file = "scaling_cur_freq";
inline constexpr const char* min_file = "scaling_min_freq";
inline constexpr const char* max_file = "scaling_max_freq";
inline constexpr const char* set_speed_file = "scaling_setspeed";
inline constexpr const char* preference_file = "energy_performance_preference";
inline constexpr const char* preferences_file = "energy_performance_available_preferences";

// of all CPUs
inline constexpr const char* pstate_directory = "intel_pstate";
inline constexpr const char* max_percent_file = "max_perf_pct";
inline constexpr const char* min_percent_file = "min_perf_pct";
inline constexpr const char* no_turbo_file = "no_turbo";
inline constexpr const char* boost_directory = "cpufreq";
inline constexpr const char* boost_file = "boost";

/// The only governor under which a frequency can be set.
inline constexpr const char* userspace_governor = "userspace";

/// What white space parts.
std::vector<std::string> split_words(std::string_view text);

}  // namespace virt_power

#endif
