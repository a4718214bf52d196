// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// What a cycle weighs where nobody measured it.
#ifndef VIRT_POWER_UTIL_WEIGHING_HPP
#define VIRT_POWER_UTIL_WEIGHING_HPP

#include "virt-power/reading.hpp"

namespace virt_power {

/// Two busy hyperthreads of a core are taken to draw 1.1 times what one does alone: docs/model.md.
inline constexpr uint32_t default_shared_permille = 550;
inline constexpr Weighing default_weighing{default_shared_permille, 1000, 0, false};

}  // namespace virt_power

#endif
