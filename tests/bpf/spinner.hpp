// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// Processes that use CPU time.
#ifndef VIRT_POWER_TESTS_BPF_SPINNER_HPP
#define VIRT_POWER_TESTS_BPF_SPINNER_HPP

#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <string>
#include <thread>

#include "process.hpp"
#include "usage_counter_proc.hpp"

namespace virt_power {

/// What a hypervisor took from all CPUs: it is in the time from switch to switch, and not in the kernel's
/// busy time.
inline uint64_t stolen_ns() {
    std::ifstream file("/proc/stat");
    std::string word;
    uint64_t value = 0;
    file >> word;
    for (int field = 0; field < 8; field++) file >> value;
    return value * tick_ns();
}

inline void sleep_ms(int64_t time_ms) { std::this_thread::sleep_for(std::chrono::milliseconds(time_ms)); }

/// A process that spins, with one thread or more, until it is destroyed.
class Spinner {
public:
    explicit Spinner(int threads = 1, int cpu = -1, const char* name = "spinner") : pid_(::fork()) {
        if (pid_ != 0) return;
        ::close_range(3, ~0U, 0);  // what the test holds, a lock say, ends with the test
        ::prctl(PR_SET_NAME, name);
        ::signal(SIGUSR1, [](int) { ::prctl(PR_SET_NAME, "CPU 0/KVM"); });
        if (cpu >= 0) {
            cpu_set_t set;
            CPU_ZERO(&set);
            CPU_SET(static_cast<size_t>(cpu), &set);
            ::sched_setaffinity(0, sizeof(set), &set);
        }
        for (int n = 1; n < threads; n++)
            std::thread([] {
                for (;;) asm volatile("");
            }).detach();
        for (;;) asm volatile("");
    }
    ~Spinner() { end(); }
    Spinner(const Spinner&) = delete;
    Spinner& operator=(const Spinner&) = delete;

    void end() {
        if (pid_ <= 0) return;
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
        pid_ = 0;
    }
    /// As QEMU names the threads of vCPUs after they began.
    void become_vcpu() const { ::kill(pid_, SIGUSR1); }
    [[nodiscard]] pid_t pid() const { return pid_; }
    [[nodiscard]] Process process() const { return *find_process("/", pid_); }
    [[nodiscard]] uint64_t cpu_ns() const { return *read_process_clock(pid_); }

private:
    pid_t pid_;
};

}  // namespace virt_power

#endif
