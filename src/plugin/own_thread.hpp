// SPDX-License-Identifier: LGPL-2.1-or-later
#ifndef VIRT_POWER_PLUGIN_OWN_THREAD_HPP
#define VIRT_POWER_PLUGIN_OWN_THREAD_HPP

#include <functional>

namespace virt_power {

/// Starts a detached thread of ours within the daemon, which takes none of the daemon's
/// signals. The body must catch what it throws. Throws if there can be no thread.
void start_own_thread(std::function<void()> body);

}  // namespace virt_power

#endif
