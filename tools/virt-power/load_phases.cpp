// SPDX-License-Identifier: LGPL-2.1-or-later
#include "load_phases.hpp"

#include <algorithm>

namespace virt_power {
namespace {

using std::chrono::milliseconds;

/// Frequency and voltage follow a change of load within some milliseconds.
constexpr milliseconds settling{500};
constexpr milliseconds shortest_window{100}, longest_window{1000};
constexpr int windows_wanted = 4;

std::optional<Status> run_phase(const LoadPlan& plan, LoadWindows& windows, const LoadTools& tools,
                                const std::vector<uint32_t>& cpus) {
    Result<std::shared_ptr<void>> load = tools.put(cpus);
    if (!load) return Status(load.error());
    if (!tools.wait(settling)) return std::nullopt;
    windows.cut();
    const milliseconds window =
        std::clamp((plan.phase - settling) / windows_wanted, shortest_window, longest_window);
    for (milliseconds passed{0}; passed <= plan.phase - settling; passed += window) {
        if (passed > milliseconds(0) && !tools.wait(window)) return std::nullopt;
        std::optional<Result<Sample>> sample = tools.ask();
        if (!sample) return std::nullopt;
        // One that did not come costs its window.
        if (*sample) windows.add(**sample);
    }
    return ok();
}

}  // namespace

std::vector<uint32_t> cpus_of(const LoadPlan& plan) {
    std::vector<uint32_t> cpus;
    for (const Core& core : plan.cores) cpus.insert(cpus.end(), core.begin(), core.end());
    std::sort(cpus.begin(), cpus.end());
    return cpus;
}

std::optional<Status> run_load(const LoadPlan& plan, LoadWindows& windows, const LoadTools& tools) {
    std::vector<uint32_t> one;
    for (const Core& core : plan.cores) one.push_back(core.front());
    const std::vector<uint32_t> all = cpus_of(plan);
    for (int phase = 0; phase < load_phases; phase++) {
        std::optional<Status> ended = run_phase(plan, windows, tools, phase % 2 == 0 ? one : all);
        if (!ended || !*ended) return ended;
    }
    return ok();
}

}  // namespace virt_power
