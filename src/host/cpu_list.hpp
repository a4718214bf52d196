// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// The CPUs that a client names: "0-3,8", as libvirt's virBitmapParse takes it.
#ifndef VIRT_POWER_HOST_CPU_LIST_HPP
#define VIRT_POWER_HOST_CPU_LIST_HPP

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "numbers.hpp"

namespace virt_power {

/// CPUs are numbered below this.
inline constexpr uint32_t max_cpus = 4096;

/// Items N, N-M and ^N (takes N out of what stands before it), with commas between
/// them and one allowed at the end, spaces allowed around numbers. Sorted, each once.
/// Throws KnobError (InvalidArgument) for anything else, a number of max_cpus or more,
/// and a list in which no CPU is left.
std::vector<uint32_t> parse_cpumap(std::string_view text);

/// "CPU 3" or "CPUs 0-3,8", for sentences.
std::string name_cpus(const std::vector<uint32_t>& cpus);

}  // namespace virt_power

#endif
