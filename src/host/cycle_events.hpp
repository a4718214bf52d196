// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// One pinned cycles event per online CPU, handed to the BPF program.
#ifndef VIRT_POWER_HOST_CYCLE_EVENTS_HPP
#define VIRT_POWER_HOST_CYCLE_EVENTS_HPP

#include <map>
#include <optional>
#include <vector>

#include "perf_system.hpp"

namespace virt_power {

class CycleEvents {
public:
    /// Nothing where no PMU counts the event.
    static std::optional<CycleEvents> probe(const PerfSystem& perf, const PerfEvent& event,
                                            const std::vector<uint32_t>& cpus);

    /// Makes the map (a perf event array) hold an event for each of these CPUs
    /// and for no other. A CPU whose event cannot be opened has none: the BPF
    /// program counts gaps there.
    void cover(const std::vector<uint32_t>& cpus, int map);

    /// These CPUs have events already, by a process before this one.
    void assume(const std::vector<uint32_t>& cpus);

    /// Closes the event of a CPU: it counts no more. cover() opens another one.
    void drop(uint32_t cpu, int map);

private:
    CycleEvents(const PerfSystem& perf, const PerfEvent& event) : perf_(&perf), event_(event) {}

    const PerfSystem* perf_;
    PerfEvent event_;
    std::map<uint32_t, FileDescriptor> events_;
};

}  // namespace virt_power

#endif
