// SPDX-License-Identifier: LGPL-2.1-or-later
// What counting costs at a context switch: two processes on one CPU hand a byte
// to and fro through pipes, with the BPF program attached and without, by turns.
// And the program's own time, as the kernel counts it.
//
// usage: switch-cost PAIRS TRIPS DOMAINS
// One JSON object: nanoseconds a switch of each run, by kind.
#include <bpf/bpf.h>
#include <fmt/format.h>
#include <sys/resource.h>

#include <cstdio>
#include <cstdlib>

#include "children.hpp"
#include "counting.hpp"

using namespace virt_power;
using namespace virt_power::bench;

namespace {

class PingPong {
public:
    explicit PingPong(int cpu)
        : alone_(take_cpu(cpu)), peer_([this, cpu] {
              take_cpu(cpu);
              while (true) {
                  there_.take();
                  back_.give();
              }
          }) {
        (void)run(1000);
    }

    [[nodiscard]] bool alone() const { return alone_; }
    [[nodiscard]] pid_t peer() const { return peer_.pid(); }

    /// Nanoseconds a switch, of which each trip has two.
    [[nodiscard]] double run(uint64_t trips) const {
        rusage before{};
        rusage after{};
        ::getrusage(RUSAGE_SELF, &before);
        uint64_t begun_ns = clock_ns(CLOCK_MONOTONIC);
        for (uint64_t trip = 0; trip < trips; trip++) {
            there_.give();
            back_.take();
        }
        uint64_t took_ns = clock_ns(CLOCK_MONOTONIC) - begun_ns;
        ::getrusage(RUSAGE_SELF, &after);
        auto left = static_cast<uint64_t>(after.ru_nvcsw - before.ru_nvcsw);
        if (left < trips || left > trips + trips / 100 + 10)
            fail(fmt::format("{} trips made this process leave its CPU {} times", trips, left));
        return static_cast<double>(took_ns) / static_cast<double>(2 * trips);
    }

private:
    Pipe there_, back_;
    bool alone_;
    Child peer_;
};

/// Of the program on the context switch, by the kernel's statistics.
double one_run_ns(const PingPong& game, uint64_t trips) {
    ProgramRuns before = program_runs();
    (void)game.run(trips / 4 + 1);
    ProgramRuns after = program_runs();
    return static_cast<double>(after.time_ns - before.time_ns) /
           static_cast<double>(after.count - before.count);
}

/// What the kernel's statistics give for a program.
std::vector<double> program_ns(const BareProgram&, const PingPong& game, size_t pairs, uint64_t trips) {
    std::vector<double> each_ns;
    for (size_t pair = 0; pair < pairs; pair++) each_ns.push_back(one_run_ns(game, trips));
    return each_ns;
}

std::string measure(const Kind& kind, CpuTopology& topology, const PingPong& game, size_t pairs,
                    uint64_t trips) {
    std::vector<double> with_ns;
    std::vector<double> without_ns;
    for (size_t pair = 0; pair < pairs; pair++) {
        for (bool counting : {pair % 2 == 0, pair % 2 != 0}) {
            std::unique_ptr<UsageCounter> counter;
            if (counting) counter = start_counting(topology, kind);
            (counting ? with_ns : without_ns).push_back(game.run(trips));
        }
        ::usleep(50'000);  // others get their turn on this CPU
    }
    int stats = ::bpf_enable_stats(BPF_STATS_RUN_TIME);
    if (stats < 0) fail("cannot count the runs of BPF programs");
    std::unique_ptr<UsageCounter> counter = start_counting(topology, kind);
    std::vector<double> program_ns;
    for (size_t pair = 0; pair < pairs; pair++) {
        program_ns.push_back(one_run_ns(game, trips));
        ::usleep(50'000);
    }
    ::close(stats);
    return fmt::format(
        R"({{"name": "{}", "domains": {}, "with_ns": {}, "without_ns": {}, "program_ns": {}}})", kind.name,
        kind.domains.size(), numbers(with_ns), numbers(without_ns), numbers(program_ns));
}

void run(size_t pairs, uint64_t trips, size_t domain_count) {
    CpuTopology topology("/");
    if (Result<bool> read = topology.refresh(); !read) fail(read.error().message);
    int cpu = last_cpu();
    Sleepers domains(domain_count);
    PingPong game(cpu);
    std::vector<pid_t> with_game = domains.pids();
    with_game.push_back(::getpid());
    with_game.push_back(game.peer());
    auto [event_name, event] = cycle_event(cpu);
    std::vector<Kind> kinds = {{"time", std::nullopt, domains.pids()},
                               {"time, of a domain", std::nullopt, with_game},
                               {event_name, event, domains.pids()},
                               {event_name + ", of a domain", event, with_game}};
    int stats = ::bpf_enable_stats(BPF_STATS_RUN_TIME);
    if (stats < 0) fail("cannot count the runs of BPF programs");
    std::string empty = numbers(program_ns(BareProgram::empty(), game, pairs, trips));
    std::string least = numbers(program_ns(BareProgram::least(), game, pairs, trips));
    std::string lookup = numbers(program_ns(BareProgram::lookup(with_game), game, pairs, trips));
    ::close(stats);
    std::string text;
    for (const Kind& kind : kinds)
        text += (text.empty() ? "" : ", ") + measure(kind, topology, game, pairs, trips);
    std::printf("{\"alone\": %s, \"empty_ns\": %s, \"least_ns\": %s, \"lookup_ns\": %s, \"kinds\": [%s]}\n",
                game.alone() ? "true" : "false", empty.c_str(), least.c_str(), lookup.c_str(), text.c_str());
}

uint64_t number(const char* text) { return std::strtoull(text, nullptr, 10); }

}  // namespace

int main(int argc, char** argv) {
    if (argc != 4 || number(argv[1]) == 0 || number(argv[2]) == 0) {
        std::fprintf(stderr, "usage: %s PAIRS TRIPS DOMAINS\n", argv[0]);
        return 2;
    }
    try {
        run(number(argv[1]), number(argv[2]), number(argv[3]));
    } catch (const std::exception& error) {
        std::fprintf(stderr, "switch-cost: %s\n", error.what());
        return 1;
    }
    return 0;
}
