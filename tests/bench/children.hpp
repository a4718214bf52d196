// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// Processes that take turns on one CPU which they have to themselves.
#ifndef VIRT_POWER_TESTS_BENCH_CHILDREN_HPP
#define VIRT_POWER_TESTS_BENCH_CHILDREN_HPP

#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <ctime>
#include <stdexcept>
#include <string>
#include <vector>

namespace virt_power::bench {

constexpr uint64_t ns_per_s = 1'000'000'000;

[[noreturn]] inline void fail(const std::string& what) { throw std::runtime_error(what); }

inline uint64_t clock_ns(clockid_t clock) {
    timespec now{};
    if (::clock_gettime(clock, &now) != 0) fail("a clock cannot be read");
    return static_cast<uint64_t>(now.tv_sec) * ns_per_s + static_cast<uint64_t>(now.tv_nsec);
}

/// CPU time of all threads of a process, without what a hypervisor took from it.
inline uint64_t process_cpu_ns(pid_t pid) {
    clockid_t clock{};
    if (::clock_getcpuclockid(pid, &clock) != 0) fail("process " + std::to_string(pid) + " has ended");
    return clock_ns(clock);
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

/// A process that runs a body, and dies with this one.
class Child {
public:
    template <typename Body>
    explicit Child(Body body) {
        pid_t parent = ::getpid();
        pid_ = ::fork();
        if (pid_ < 0) fail("cannot fork");
        if (pid_ != 0) return;
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (::getppid() != parent) ::_exit(1);
        body();
        ::_exit(0);
    }
    ~Child() {
        if (pid_ <= 0) return;
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
    }
    Child(Child&& other) noexcept : pid_(other.pid_) { other.pid_ = 0; }
    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;

    [[nodiscard]] pid_t pid() const { return pid_; }

private:
    pid_t pid_ = 0;
};

/// Pins a thread, and keeps all others but more urgent ones from its CPU: what else the machine does is not
/// to be measured. False where that is not permitted.
inline bool take_cpu(int cpu, int urgency = 1, pid_t thread = 0) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(static_cast<size_t>(cpu), &set);
    if (::sched_setaffinity(thread, sizeof(set), &set) != 0) fail("cannot run on CPU " + std::to_string(cpu));
    sched_param parameter{};
    parameter.sched_priority = urgency;
    return ::sched_setscheduler(thread, SCHED_FIFO, &parameter) == 0;
}

inline int last_cpu() {
    cpu_set_t set;
    if (::sched_getaffinity(0, sizeof(set), &set) != 0) fail("cannot tell the CPUs");
    int last = 0;
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(static_cast<size_t>(cpu), &set)) last = cpu;
    return last;
}

/// Processes that sleep.
class Sleepers {
public:
    explicit Sleepers(size_t count) {
        for (size_t n = 0; n < count; n++)
            children_.emplace_back([] {
                while (true) ::pause();
            });
    }
    [[nodiscard]] std::vector<pid_t> pids() const {
        std::vector<pid_t> found;
        for (const Child& child : children_) found.push_back(child.pid());
        return found;
    }

private:
    std::vector<Child> children_;
};

}  // namespace virt_power::bench

#endif
