// SPDX-License-Identifier: LGPL-2.1-or-later
#ifndef VIRT_POWER_PLUGIN_LOG_HPP
#define VIRT_POWER_PLUGIN_LOG_HPP

#include <functional>
#include <string_view>

namespace virt_power {

enum class LogLevel { Debug, Info, Warning, Error };
/// Called from any thread.
using Log = std::function<void(LogLevel, std::string_view)>;

}  // namespace virt_power

#endif
