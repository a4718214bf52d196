// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// Marks what the shared library offers: everything else is hidden.
#ifndef VIRT_POWER_EXPORT_HPP
#define VIRT_POWER_EXPORT_HPP

#define VIRT_POWER_API __attribute__((visibility("default")))

#endif
