// SPDX-License-Identifier: LGPL-2.1-or-later
#ifndef VIRT_POWER_HOST_CLOCK_HPP
#define VIRT_POWER_HOST_CLOCK_HPP

#include <time.h>

#include <cstdint>
#include <functional>

namespace virt_power {

/// Nanoseconds of a clock that never goes back.
using Clock = std::function<uint64_t()>;

/// CLOCK_BOOTTIME: goes on while the host sleeps, knows no jumps.
inline uint64_t boottime_ns() {
    timespec time{};
    ::clock_gettime(CLOCK_BOOTTIME, &time);
    return static_cast<uint64_t>(time.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(time.tv_nsec);
}

/// BPF's bpf_ktime_get_ns().
inline uint64_t monotonic_ns() {
    timespec time{};
    ::clock_gettime(CLOCK_MONOTONIC, &time);
    return static_cast<uint64_t>(time.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(time.tv_nsec);
}

}  // namespace virt_power

#endif
