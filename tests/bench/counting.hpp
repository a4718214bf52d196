// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// The plugin's counter, switched on and off by a bench.
#ifndef VIRT_POWER_TESTS_BENCH_COUNTING_HPP
#define VIRT_POWER_TESTS_BENCH_COUNTING_HPP

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "usage_counter_bpf.hpp"

namespace virt_power::bench {

struct Kind {
    std::string name;
    std::optional<PerfEvent> cycles;
    std::vector<pid_t> domains;
};

/// Cycles where this machine counts them; a software event, which takes the same way, where it does not.
std::pair<std::string, PerfEvent> cycle_event(int cpu);

/// Counts until it is destroyed; each process is a domain.
std::unique_ptr<UsageCounter> start_counting(CpuTopology& topology, const Kind& kind);

struct ProgramRuns {
    uint64_t count = 0;
    uint64_t time_ns = 0;
};

/// Of the program on the context switch that this process holds, while the kernel counts them: proc(5),
/// fdinfo.
ProgramRuns program_runs();

/// As JSON.
std::string numbers(const std::vector<double>& values);

}  // namespace virt_power::bench

#endif
