// SPDX-License-Identifier: LGPL-2.1-or-later
#include "cycle_events.hpp"

#include <bpf/bpf.h>

#include <algorithm>

namespace virt_power {

std::optional<CycleEvents> CycleEvents::probe(const PerfSystem& perf, const PerfEvent& event,
                                              const std::vector<uint32_t>& cpus) {
    if (cpus.empty() || !perf.open(event, cpus.front())) return std::nullopt;
    return CycleEvents(perf, event);
}

void CycleEvents::assume(const std::vector<uint32_t>& cpus) {
    for (uint32_t cpu : cpus) events_.try_emplace(cpu);
}

void CycleEvents::drop(uint32_t cpu, int map) {
    (void)bpf_map_delete_elem(map, &cpu);
    events_.erase(cpu);
}

void CycleEvents::cover(const std::vector<uint32_t>& cpus, int map) {
    for (auto it = events_.begin(); it != events_.end();) {
        if (std::binary_search(cpus.begin(), cpus.end(), it->first)) {
            ++it;
            continue;
        }
        (void)bpf_map_delete_elem(map, &it->first);
        it = events_.erase(it);
    }
    for (uint32_t cpu : cpus) {
        if (events_.contains(cpu)) continue;
        Result<FileDescriptor> event = perf_->open(event_, cpu);
        if (!event) continue;
        int descriptor = event->get();
        if (bpf_map_update_elem(map, &cpu, &descriptor, BPF_ANY) == 0)
            events_.emplace(cpu, std::move(*event));
    }
}

}  // namespace virt_power
