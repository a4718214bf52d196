// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// Threads that keep CPUs busy.
#ifndef VIRT_POWER_TOOL_CPU_LOAD_HPP
#define VIRT_POWER_TOOL_CPU_LOAD_HPP

#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include "virt-power/result.hpp"

namespace virt_power {

/// One thread on each CPU, for as long as this object lives; they end with the process, too.
class CpuLoad {
public:
    /// Error: a CPU that this process cannot run on, or no more threads.
    static Result<std::unique_ptr<CpuLoad>> put(const std::vector<uint32_t>& cpus);

    CpuLoad(const CpuLoad&) = delete;
    CpuLoad& operator=(const CpuLoad&) = delete;
    ~CpuLoad();

private:
    CpuLoad() = default;
    [[nodiscard]] Status add(uint32_t cpu);

    std::atomic<bool> ends_ = false;
    std::vector<std::thread> threads_;
};

}  // namespace virt_power

#endif
