// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// Fixed work on one CPU, between whose parts the CPU switches tasks 10,000 times a second.
#ifndef VIRT_POWER_TESTS_BENCH_WORKLOADS_HPP
#define VIRT_POWER_TESTS_BENCH_WORKLOADS_HPP

#include "children.hpp"

namespace virt_power::bench {

constexpr uint64_t switches_per_s = 10'000;

struct Done {
    uint64_t cpu_ns = 0;  ///< of all that took turns
    uint64_t work = 0;    ///< in units of the workload's own
    uint64_t switches = 0;
};

class Workload {
public:
    virtual ~Workload() = default;
    /// To so many switches, as fast as the CPU is now.
    virtual void adjust() {}
    /// About so much time of its CPU.
    virtual Done run(uint64_t time_ns) = 0;
    /// What a counter is to take for domains.
    [[nodiscard]] virtual std::vector<pid_t> processes() const = 0;
    /// Whether all other work is kept from the CPU.
    [[nodiscard]] virtual bool alone() const = 0;
};

/// Two processes that wake each other when each has done its part.
class ProcessPair : public Workload {
public:
    explicit ProcessPair(int cpu);
    void adjust() override;
    Done run(uint64_t time_ns) override;
    [[nodiscard]] std::vector<pid_t> processes() const override { return {::getpid(), peer_.pid()}; }
    [[nodiscard]] bool alone() const override { return alone_; }

private:
    Done run_trips(uint64_t trips);
    [[nodiscard]] Child start_peer(int cpu);

    Pipe there_, back_;
    uint64_t* steps_;  ///< of work between two switches; shared with the peer
    bool alone_;
    Child peer_;
};

/// A guest whose one vCPU counts up its memory at counter_address, and a thread on the same CPU that wakes so
/// often that it is switched away and back, as I/O threads do.
class Guest : public Workload {
public:
    static constexpr uint64_t counter_address = 0x8000;

    /// \param qemu its process; the vCPU's thread has the name that libvirt has QEMU give it
    Guest(int cpu, pid_t qemu, uint64_t memory_bytes);
    Done run(uint64_t time_ns) override;
    [[nodiscard]] std::vector<pid_t> processes() const override { return {qemu_, waker_.pid()}; }
    [[nodiscard]] bool alone() const override { return alone_; }

private:
    [[nodiscard]] Done done_so_far() const;
    [[nodiscard]] uint32_t counter() const;
    [[nodiscard]] bool wait_until_it_counts() const;

    pid_t qemu_, vcpu_;
    int memory_;      ///< /proc/PID/mem
    uint64_t begin_;  ///< of the guest's memory in the process
    bool alone_;
    Child waker_;
};

}  // namespace virt_power::bench

#endif
