// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// The fallback where BPF cannot be had: a process's CPU clock, /proc/stat for
/// the host. What a domain used after the last reading before its end is lost
/// to the rest of the host.
#ifndef VIRT_POWER_HOST_USAGE_COUNTER_PROC_HPP
#define VIRT_POWER_HOST_USAGE_COUNTER_PROC_HPP

#include <functional>
#include <map>

#include "cpu_topology.hpp"
#include "usage_counter.hpp"

namespace virt_power {

/// CPU time of a whole process, ended threads included, in ns.
using ProcessClock = std::function<Result<uint64_t>(pid_t)>;

/// clock_getcpuclockid(3): the sum behind utime and stime, not rounded to ticks.
Result<uint64_t> read_process_clock(pid_t pid);

/// One process. On a host of several packages its time is divided by where its
/// threads ran last, as finely as it is read.
class ProcOwner {
public:
    /// Gone: no such process, or another one with its pid.
    static Result<ProcOwner> start(std::filesystem::path root, ProcessClock clock, const Process& process,
                                   const CpuTopology& topology);

    /// Goes on from the last reading; a process that ended keeps what it had.
    void read(const CpuTopology& topology);

    /// Time by package index since start().
    [[nodiscard]] const std::vector<uint64_t>& packages_ns() const { return packages_ns_; }
    /// The same, of at least so many packages.
    [[nodiscard]] OwnerUsage usage(size_t packages) const;

private:
    ProcOwner(std::filesystem::path root, ProcessClock clock, const Process& process)
        : root_(std::move(root)), clock_(std::move(clock)), process_(process) {}
    [[nodiscard]] std::vector<uint64_t> thread_weights(const CpuTopology& topology);

    std::filesystem::path root_;
    ProcessClock clock_;
    Process process_;
    uint64_t last_ns_ = 0;
    bool ended_ = false;
    std::vector<uint64_t> packages_ns_;
    std::map<std::string, uint64_t> thread_ticks_;
};

class ProcUsageCounter : public UsageCounter {
public:
    /// The topology must outlive it; whoever owns both refreshes it.
    ProcUsageCounter(std::filesystem::path root, const CpuTopology& topology, ProcessClock clock);

    [[nodiscard]] UsageSource source() const override { return UsageSource::Proc; }
    [[nodiscard]] Status add(OwnerId owner, const Process& process, std::string_view label) override;
    std::optional<OwnerUsage> end(OwnerId owner, uint64_t now_ns) override;
    void forget(OwnerId /*owner*/) override {}
    [[nodiscard]] Result<UsageReading> read() override;

private:
    std::filesystem::path root_;
    const CpuTopology& topology_;
    ProcessClock clock_;
    std::map<OwnerId, ProcOwner> owners_;
    /// Busy time of a CPU. One that is offline has no line, but keeps what it did.
    struct CpuBusy {
        uint64_t base_ns = 0;  ///< when it was first seen
        uint64_t last_ns = 0;
    };
    std::map<uint32_t, CpuBusy> cpus_;
    std::vector<uint64_t> removed_ns_;  ///< of owners that are gone, by package
    std::vector<uint64_t> rest_ns_;     ///< never decreases
};

}  // namespace virt_power

#endif
