// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// What /proc tells of one process and of all CPUs. proc(5).
#ifndef VIRT_POWER_HOST_PROCESS_HPP
#define VIRT_POWER_HOST_PROCESS_HPP

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "virt-power/result.hpp"

namespace virt_power {

/// A process, told from later ones with the same pid by its start.
struct Process {
    pid_t pid = 0;
    uint64_t start_ticks = 0;  ///< since boot, in clock ticks

    bool operator==(const Process&) const = default;

    /// Tells this process from others. 53 bits, which JSON's readers keep: the
    /// start modulo 248 days, and a pid.
    [[nodiscard]] uint64_t instance() const {
        return ((start_ticks & 0x7fffffff) << 22) | static_cast<uint64_t>(pid);
    }
};

/// Fields of /proc/PID/stat and /proc/PID/task/TID/stat.
struct ProcPidStat {
    uint64_t cpu_ticks = 0;  ///< utime + stime; guest time is inside utime
    uint64_t start_ticks = 0;
    uint32_t processor = 0;  ///< CPU that it ran on last
};

/// The name in the line may hold spaces and parentheses.
Result<ProcPidStat> parse_proc_pid_stat(std::string_view text);

/// Busy time per CPU: user, nice, system, irq and softirq, in ns. Guest time is
/// inside user. Idle, iowait and steal are not busy.
Result<std::vector<std::pair<uint32_t, uint64_t>>> parse_proc_stat(std::string_view text);

/// Gone: there is no such process.
Result<Process> find_process(const std::filesystem::path& root, pid_t pid);

/// Nanoseconds per clock tick of /proc.
uint64_t tick_ns();

}  // namespace virt_power

#endif
