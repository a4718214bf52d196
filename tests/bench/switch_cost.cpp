// SPDX-License-Identifier: LGPL-2.1-or-later
// What counting costs at a context switch: two processes on one CPU hand a byte
// to and fro through pipes, with the BPF program attached and without, by turns.
// And the program's own time, as the kernel counts it.
//
// usage: switch-cost PAIRS TRIPS DOMAINS
// One JSON object: nanoseconds a switch of each run, by kind.
#include <bpf/bpf.h>
#include <fmt/format.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "usage_counter_bpf.hpp"

using namespace virt_power;

namespace {

constexpr uint64_t ns_per_s = 1'000'000'000;

[[noreturn]] void fail(const std::string& what) { throw std::runtime_error(what); }

uint64_t now_ns() {
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<uint64_t>(now.tv_sec) * ns_per_s + static_cast<uint64_t>(now.tv_nsec);
}

class Pipe {
public:
    Pipe() {
        if (::pipe(ends_.data()) != 0) fail("no pipe");
    }
    void give() const {
        char byte = 0;
        if (::write(ends_[1], &byte, 1) != 1) fail("cannot write to a pipe");
    }
    void take() const {
        char byte = 0;
        if (::read(ends_[0], &byte, 1) != 1) fail("cannot read from a pipe");
    }

private:
    std::array<int, 2> ends_{};
};

/// A child that dies with this process and takes no part in what is measured.
template <typename Body>
pid_t start_child(Body body) {
    pid_t parent = ::getpid();
    pid_t pid = ::fork();
    if (pid < 0) fail("cannot fork");
    if (pid != 0) return pid;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(1);
    body();
    ::_exit(0);
}

void end_child(pid_t pid) {
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
}

/// Pins this process, and keeps all others but the most urgent from its CPU: what else the machine does is
/// not to be measured. False where that is not permitted.
bool take_cpu(int cpu) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(static_cast<size_t>(cpu), &set);
    if (::sched_setaffinity(0, sizeof(set), &set) != 0) fail(fmt::format("cannot run on CPU {}", cpu));
    sched_param parameter{};
    parameter.sched_priority = 1;
    return ::sched_setscheduler(0, SCHED_FIFO, &parameter) == 0;
}

int last_cpu() {
    cpu_set_t set;
    if (::sched_getaffinity(0, sizeof(set), &set) != 0) fail("cannot tell the CPUs");
    int last = 0;
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(static_cast<size_t>(cpu), &set)) last = cpu;
    return last;
}

class PingPong {
public:
    explicit PingPong(int cpu) : alone_(take_cpu(cpu)) {
        peer_ = start_child([&] {
            take_cpu(cpu);
            while (true) {
                there_.take();
                back_.give();
            }
        });
        (void)run(1000);
    }
    ~PingPong() { end_child(peer_); }
    PingPong(const PingPong&) = delete;
    PingPong& operator=(const PingPong&) = delete;

    [[nodiscard]] bool alone() const { return alone_; }
    [[nodiscard]] pid_t peer() const { return peer_; }

    /// Nanoseconds a switch, of which each trip has two.
    [[nodiscard]] double run(uint64_t trips) const {
        rusage before{};
        rusage after{};
        ::getrusage(RUSAGE_SELF, &before);
        uint64_t begun_ns = now_ns();
        for (uint64_t trip = 0; trip < trips; trip++) {
            there_.give();
            back_.take();
        }
        uint64_t took_ns = now_ns() - begun_ns;
        ::getrusage(RUSAGE_SELF, &after);
        auto left = static_cast<uint64_t>(after.ru_nvcsw - before.ru_nvcsw);
        if (left < trips || left > trips + trips / 100 + 10)
            fail(fmt::format("{} trips made this process leave its CPU {} times", trips, left));
        return static_cast<double>(took_ns) / static_cast<double>(2 * trips);
    }

private:
    Pipe there_, back_;
    bool alone_;
    pid_t peer_ = -1;
};

/// Processes that sleep, each of which is a domain for the counter.
class Domains {
public:
    explicit Domains(size_t count) {
        for (size_t n = 0; n < count; n++)
            pids_.push_back(start_child([] {
                while (true) ::pause();
            }));
    }
    ~Domains() {
        for (pid_t pid : pids_) end_child(pid);
    }
    Domains(const Domains&) = delete;
    Domains& operator=(const Domains&) = delete;

    [[nodiscard]] const std::vector<pid_t>& pids() const { return pids_; }

private:
    std::vector<pid_t> pids_;
};

struct Kind {
    std::string name;
    std::optional<PerfEvent> cycles;
    std::vector<pid_t> domains;
};

std::unique_ptr<UsageCounter> start_counting(const CpuTopology& topology, const Kind& kind) {
    BpfOptions options;
    options.cycles = kind.cycles;
    Result<BpfCounting> counting = make_bpf_usage_counter(topology, options);
    if (!counting) fail(counting.error().message);
    OwnerId owner = 1;
    for (pid_t pid : kind.domains) {
        Result<Process> process = find_process("/", pid);
        Status added = process ? counting->counter->add(owner++, *process, "") : Status(process.error());
        if (!added) fail(added.error().message);
    }
    return std::move(counting->counter);
}

struct ProgramRuns {
    uint64_t count = 0;
    uint64_t time_ns = 0;
};

/// Of the program on the context switch that this process holds: proc(5), fdinfo.
ProgramRuns program_runs() {
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fdinfo")) {
        std::ifstream file(entry.path());
        std::string key;
        std::string value;
        std::string type;
        ProgramRuns runs;
        while (file >> key && std::getline(file, value)) {
            if (key == "prog_type:") type = value;
            if (key == "run_cnt:") runs.count = std::stoull(value);
            if (key == "run_time_ns:") runs.time_ns = std::stoull(value);
        }
        if (!type.empty() && std::stoi(type) == BPF_PROG_TYPE_TRACING) return runs;
    }
    fail("this process holds no BPF program on the context switch");
}

std::string numbers(const std::vector<double>& values) {
    std::string text;
    for (double value : values) text += fmt::format("{}{:.2f}", text.empty() ? "" : ", ", value);
    return "[" + text + "]";
}

std::string measure(const Kind& kind, const CpuTopology& topology, const PingPong& game, size_t pairs,
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
    ProgramRuns before = program_runs();
    (void)game.run(trips);
    ProgramRuns after = program_runs();
    ::close(stats);
    return fmt::format(
        R"({{"name": "{}", "domains": {}, "with_ns": {}, "without_ns": {}, "runs": {}, "runs_time_ns": {}}})",
        kind.name, kind.domains.size(), numbers(with_ns), numbers(without_ns), after.count - before.count,
        after.time_ns - before.time_ns);
}

/// Cycles where this machine counts them; a software event, which takes the same way, where it does not.
std::pair<std::string, PerfEvent> cycle_event(int cpu) {
    PerfEvent hardware{PERF_TYPE_HARDWARE, PERF_COUNT_HW_CPU_CYCLES, true};
    if (PerfSystem::kernel().open(hardware, static_cast<uint32_t>(cpu))) return {"cycles", hardware};
    return {"software-event", {PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_CLOCK, false}};
}

void run(size_t pairs, uint64_t trips, size_t domain_count) {
    CpuTopology topology("/");
    if (Result<bool> read = topology.refresh(); !read) fail(read.error().message);
    int cpu = last_cpu();
    Domains domains(domain_count);
    PingPong game(cpu);
    std::vector<pid_t> with_game = domains.pids();
    with_game.push_back(::getpid());
    with_game.push_back(game.peer());
    auto [event_name, event] = cycle_event(cpu);
    std::vector<Kind> kinds = {{"time", std::nullopt, domains.pids()},
                               {"time, of a domain", std::nullopt, with_game},
                               {event_name, event, domains.pids()},
                               {event_name + ", of a domain", event, with_game}};
    std::string text;
    for (const Kind& kind : kinds)
        text += (text.empty() ? "" : ", ") + measure(kind, topology, game, pairs, trips);
    std::printf("{\"alone\": %s, \"kinds\": [%s]}\n", game.alone() ? "true" : "false", text.c_str());
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
