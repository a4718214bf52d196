// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// The plugin's counter, switched on and off by a bench.
#ifndef VIRT_POWER_TESTS_BENCH_COUNTING_HPP
#define VIRT_POWER_TESTS_BENCH_COUNTING_HPP

#include <linux/bpf.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "file_descriptor.hpp"
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

/// A program that is next to nothing on the context switch, in our one's place or beside it, until it is
/// destroyed.
class BareProgram {
public:
    explicit BareProgram(const std::vector<bpf_insn>& code);
    /// Does nothing: what is left is the way there.
    static BareProgram empty();
    /// Adds one to a number in an array, without which nothing can be counted.
    static BareProgram least();
    /// Adds one to a number of the process that leaves the CPU, found by its pid: the least that tells
    /// domains apart, and knows neither time nor helpers.
    static BareProgram lookup(const std::vector<pid_t>& pids);

private:
    FileDescriptor program_, link_;
};

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
