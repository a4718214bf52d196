// SPDX-License-Identifier: LGPL-2.1-or-later
/// \file
/// perf_event_open(2), so that tests can stand in for it.
#ifndef VIRT_POWER_HOST_PERF_SYSTEM_HPP
#define VIRT_POWER_HOST_PERF_SYSTEM_HPP

#include <cstdint>

#include "file_descriptor.hpp"
#include "virt-power/result.hpp"

namespace virt_power {

struct PerfEvent {
    uint32_t type = 0;
    uint64_t config = 0;
    bool pinned = false;  ///< on the PMU always or an error, never in turns
};

class PerfSystem {
public:
    virtual ~PerfSystem() = default;

    /// A counting event for all tasks of one CPU; closed on exec.
    [[nodiscard]] virtual Result<FileDescriptor> open(const PerfEvent& event, uint32_t cpu) const = 0;
    /// Its raw count.
    [[nodiscard]] virtual Result<uint64_t> read(const FileDescriptor& event) const = 0;

    /// The kernel's.
    static const PerfSystem& kernel();
};

}  // namespace virt_power

#endif
