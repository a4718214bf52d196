// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// Cycles of a VM as libvirt's perf group counts them: an event for each thread of the process.
#ifndef VIRT_POWER_POWER_HOST_METER_VM_CYCLES_HPP
#define VIRT_POWER_POWER_HOST_METER_VM_CYCLES_HPP

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "file_descriptor.hpp"

namespace virt_power {

class VmCycles {
public:
    /// Counts the threads that are there, and those that they start.
    explicit VmCycles(pid_t pid);

    /// Extrapolated where the events shared the counters with others. Absent where
    /// no PMU counts, or one of the events never did.
    [[nodiscard]] std::optional<uint64_t> read() const;

private:
    std::vector<FileDescriptor> events_;
};

}  // namespace virt_power

#endif
