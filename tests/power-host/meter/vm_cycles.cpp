// SPDX-License-Identifier: LGPL-2.1-or-later
#include "vm_cycles.hpp"

#include <linux/perf_event.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <system_error>

namespace virt_power {
namespace {

struct Count {
    uint64_t value = 0, enabled = 0, running = 0;
};

}  // namespace

VmCycles::VmCycles(pid_t pid) {
    perf_event_attr attributes{};
    attributes.size = sizeof(attributes);
    attributes.type = PERF_TYPE_HARDWARE;
    attributes.config = PERF_COUNT_HW_CPU_CYCLES;
    attributes.inherit = 1;
    attributes.read_format = PERF_FORMAT_TOTAL_TIME_ENABLED | PERF_FORMAT_TOTAL_TIME_RUNNING;
    std::error_code gone;
    for (const auto& task :
         std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/task", gone)) {
        long tid = std::stol(task.path().filename().string());
        long event = ::syscall(SYS_perf_event_open, &attributes, tid, -1, -1, PERF_FLAG_FD_CLOEXEC);
        if (event >= 0) events_.emplace_back(static_cast<int>(event));
    }
}

std::optional<uint64_t> VmCycles::read() const {
    if (events_.empty()) return std::nullopt;
    uint64_t sum = 0;
    for (const FileDescriptor& event : events_) {
        Count count;
        if (::read(event.get(), &count, sizeof(count)) != sizeof(count)) return std::nullopt;
        if (count.enabled == 0) continue;  // a thread that never ran since
        if (count.running == 0) return std::nullopt;
        sum += static_cast<uint64_t>(static_cast<long double>(count.value) *
                                     static_cast<long double>(count.enabled) /
                                     static_cast<long double>(count.running));
    }
    return sum;
}

}  // namespace virt_power
