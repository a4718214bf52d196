// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// Counts at each context switch, by a BPF program (bpf/cpu_usage.bpf.c), time
/// and, where a PMU counts, cycles. bpf(2), perf_event_open(2).
#ifndef VIRT_POWER_HOST_USAGE_COUNTER_BPF_HPP
#define VIRT_POWER_HOST_USAGE_COUNTER_BPF_HPP

#include <linux/perf_event.h>

#include <functional>
#include <memory>

#include "cpu_topology.hpp"
#include "perf_system.hpp"
#include "usage_counter.hpp"
#include "zone_memory.hpp"

namespace virt_power {

struct BpfOptions {
    std::filesystem::path root = "/";  ///< of /proc and /sys
    /// What is read as cycles; tests without a PMU take a software event. Nothing: count time alone.
    std::optional<PerfEvent> cycles = PerfEvent{PERF_TYPE_HARDWARE, PERF_COUNT_HW_CPU_CYCLES, true};
    const PerfSystem* perf = &PerfSystem::kernel();  ///< outlives the counter
    std::filesystem::path bpf_fs;     ///< where what is counted can outlive this process; empty: nowhere
    std::filesystem::path state_dir;  ///< of the daemon whose count it is
    bool pin = true;                  ///< false: it does not, and what was kept there is removed
    std::function<void(std::string_view)> warn = [](std::string_view) {};
    std::function<void(std::string_view)> inform = [](std::string_view) {};
};

struct BpfCounting {
    std::unique_ptr<UsageCounter> counter;
    std::shared_ptr<ZoneMemory> zones;  ///< kept with it
};

/// Unsupported: no BTF, an old kernel; Denied: not root, or in a PID namespace, where
/// pids are not the kernel's; Transient: no descriptors or memory. The topology must outlive it;
/// whoever owns both refreshes it.
/// What was counted before is taken over: the topology then knows its packages, too.
Result<BpfCounting> make_bpf_usage_counter(CpuTopology& topology, BpfOptions options);

/// Whether a daemon before this one left something there.
[[nodiscard]] bool has_kept_counting(const BpfOptions& options);

/// Ends what a daemon before this one left counting. Transient: another one holds it.
[[nodiscard]] Status remove_kept_counting(const BpfOptions& options);

/// True where KVM lends the PMU to guests: a pinned host event would take it
/// from them, or not count while they run.
bool kvm_mediates_pmu(const std::filesystem::path& root);

}  // namespace virt_power

#endif
