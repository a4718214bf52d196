// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// Load in phases: by turns one hyperthread of each core, and all of them.
#ifndef VIRT_POWER_TOOL_LOAD_PHASES_HPP
#define VIRT_POWER_TOOL_LOAD_PHASES_HPP

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "hyperthreads.hpp"
#include "load_windows.hpp"
#include "virt-power/result.hpp"
#include "virt-power/sample.hpp"

namespace virt_power {

struct LoadPlan {
    std::vector<Core> cores;
    std::chrono::milliseconds phase{5000};
};

inline constexpr int load_phases = 4;

/// What the phases work with.
struct LoadTools {
    /// Keeps these CPUs busy until what it gave is gone.
    std::function<Result<std::shared_ptr<void>>(const std::vector<uint32_t>& cpus)> put;
    std::function<std::optional<Result<Sample>>()> ask;   ///< as Asker::ask
    std::function<bool(std::chrono::milliseconds)> wait;  ///< false if it was stopped
};

/// All CPUs of the plan, sorted.
std::vector<uint32_t> cpus_of(const LoadPlan& plan);

/// Adds the windows of all phases, none across two of them. Absent if it was stopped; the load is gone in
/// any case.
std::optional<Status> run_load(const LoadPlan& plan, LoadWindows& windows, const LoadTools& tools);

}  // namespace virt_power

#endif
