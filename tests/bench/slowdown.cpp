// SPDX-License-Identifier: LGPL-2.1-or-later
// What counting costs work on a CPU that switches 10,000 times a second: CPU
// time for the same work with the BPF program attached and without, by turns. And with a program in its place
// that does nothing, which is the least that can be told apart from no program.
//
// usage: slowdown PAIRS BLOCKS BLOCK_MS DOMAINS [QEMU_PID MEMORY_BYTES]
// A pair has BLOCKS blocks with and as many without, by turns, each beside one of the other kind. With a
// guest: QEMU's process and how much memory the guest has; without, two processes. One JSON object: CPU time
// for a unit of work, in ns, of each block of each pair.
#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>

#include "counting.hpp"
#include "workloads.hpp"

using namespace virt_power;
using namespace virt_power::bench;

namespace {

/// Others get their turn on this CPU; and what loading or removing the program left to do is done.
constexpr useconds_t pause_us = 10'000;

struct Plan {
    uint64_t pairs, blocks, block_ns, domains;
};

double each_ns(const Done& done) { return static_cast<double>(done.cpu_ns) / static_cast<double>(done.work); }

/// start: begins what may slow the work down, until what it returns is destroyed.
template <typename Start>
std::string measure(const Plan& plan, std::string_view name, Workload& workload, Start start) {
    std::string with_ns;
    std::string without_ns;
    uint64_t cpu_ns = 0;
    uint64_t switches = 0;
    for (uint64_t pair = 0; pair < plan.pairs; pair++) {
        std::vector<double> with;
        std::vector<double> without;
        workload.adjust();
        for (uint64_t block = 0; block < plan.blocks; block++)
            for (bool counting : {block % 2 == pair % 2, block % 2 != pair % 2}) {
                std::optional<decltype(start())> counter;
                if (counting) counter.emplace(start());
                ::usleep(pause_us);
                Done done = workload.run(plan.block_ns);
                (counting ? with : without).push_back(each_ns(done));
                if (!counting) {
                    cpu_ns += done.cpu_ns;
                    switches += done.switches;
                }
                counter.reset();
                ::usleep(pause_us);
            }
        with_ns += (pair == 0 ? "" : ", ") + numbers(with);
        without_ns += (pair == 0 ? "" : ", ") + numbers(without);
    }
    double rate = static_cast<double>(switches) / static_cast<double>(cpu_ns) * 1e9;
    return fmt::format(R"({{"name": "{}", "switches_per_s": {:.0f}, "with_ns": [{}], "without_ns": [{}]}})",
                       name, rate, with_ns, without_ns);
}

void run(const Plan& plan, pid_t qemu, uint64_t memory_bytes) {
    CpuTopology topology("/");
    if (Result<bool> read = topology.refresh(); !read) fail(read.error().message);
    int cpu = last_cpu();
    Sleepers domains(plan.domains);
    std::unique_ptr<Workload> workload;
    if (qemu != 0)
        workload = std::make_unique<Guest>(cpu, qemu, memory_bytes);
    else
        workload = std::make_unique<ProcessPair>(cpu);
    std::vector<pid_t> known = domains.pids();
    for (pid_t pid : workload->processes()) known.push_back(pid);
    std::string kinds;
    auto [event_name, event] = cycle_event(cpu);
    for (const Kind& kind : {Kind{"time", std::nullopt, known}, Kind{event_name, event, known}})
        kinds += (kinds.empty() ? "" : ", ") +
                 measure(plan, kind.name, *workload, [&] { return start_counting(topology, kind); });
    std::string empty = measure(plan, "an empty program", *workload, BareProgram::empty);
    std::printf("{\"alone\": %s, \"domains\": %zu, \"kinds\": [%s], \"empty\": %s}\n",
                workload->alone() ? "true" : "false", known.size(), kinds.c_str(), empty.c_str());
}

}  // namespace

int main(int argc, char** argv) {
    std::vector<uint64_t> values;
    for (int n = 1; n < argc; n++) values.push_back(std::strtoull(argv[n], nullptr, 10));
    if ((argc != 5 && argc != 7) || values[0] == 0 || values[1] == 0 || values[2] == 0) {
        std::fprintf(stderr, "usage: %s PAIRS BLOCKS BLOCK_MS DOMAINS [QEMU_PID MEMORY_BYTES]\n", argv[0]);
        return 2;
    }
    try {
        bool guest = argc == 7;
        run({values[0], values[1], values[2] * 1'000'000, values[3]},
            guest ? static_cast<pid_t>(values[4]) : 0, guest ? values[5] : 0);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "slowdown: %s\n", error.what());
        return 1;
    }
    return 0;
}
