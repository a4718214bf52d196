// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// What a cycle weighs where nobody measured it.
#ifndef VIRT_POWER_HOST_WEIGHING_HPP
#define VIRT_POWER_HOST_WEIGHING_HPP

#include "virt-power/reading.hpp"

namespace virt_power {

/// Two busy hyperthreads draw 1.1 times what one does alone (HaPPy, USENIX ATC 2014): docs/model.md.
inline constexpr Weighing default_weighing{550, 1000, 0, false};

}  // namespace virt_power

#endif
